//! The token of a call: its caller, its audience, its validity and its ephemeral key.
//!
//! It is a JWT signed by the client's key. With an Ed25519 key its header is always the same, so the
//! binary protocol carries only the claims and the signature.
//!
//! A token authorizes calls to its audience until it expires, so an eavesdropper could replay it. It is
//! never printed, and without TLS it stays within the machine or a private network unless the user
//! allows more.

use std::{fmt, sync::OnceLock};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::ProtocolError;
use crate::key::{KeyAlgorithm, SigningKey, VerifyingKey};

/// The header of every token of the binary protocol. It is not sent, so both sides must agree on each byte.
pub const HEADER: &str = r#"{"alg":"EdDSA","typ":"JWT"}"#;
/// A token is valid for this long before and after its creation, in seconds. The published clients use
/// the same value: it tolerates clocks that differ.
pub const TTL: u64 = 60;
/// The tolerated difference between the peers' clocks, in seconds.
pub const LEEWAY: u64 = 60;
/// The longest remaining validity of a token that is accepted, in seconds: an hour, and the leeway.
/// Published clients use [`TTL`], but can be configured for an hour.
pub const MAX_VALIDITY: u64 = 3600 + LEEWAY;

/// The claims of a token, in the order in which the published clients write them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The audience: the Volt's id, or the client id of a relayed service's host.
    pub aud: String,
    /// The start of the validity, in Unix seconds.
    pub iat: u64,
    /// The end of the validity, in Unix seconds.
    pub exp: u64,
    /// The caller's session; absent before the first `Authenticate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The caller's ephemeral X25519 key: DER `SubjectPublicKeyInfo` in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k: Option<String>,
    /// Legacy: the call's AES key, encrypted to the target's RSA key, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sk: Option<String>,
    /// Legacy: the call's initialisation vector, encrypted and encoded like `sk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<String>,
}

impl Claims {
    /// Creates the claims of a call made at `now` (Unix seconds).
    pub fn new(audience: &str, session: Option<&str>, ephemeral_der: &[u8], now: u64) -> Self {
        // Backdated, as the published clients do, because the peer's clock may be behind.
        Self {
            aud: audience.to_owned(),
            iat: now.saturating_sub(TTL),
            exp: now.saturating_add(TTL),
            sub: session.filter(|id| !id.is_empty()).map(str::to_owned),
            k: Some(STANDARD.encode(ephemeral_der)),
            sk: None,
            iv: None,
        }
    }

    /// Like [`new`](Self::new), for a call by direct gRPC, which has no encryption per call.
    pub fn direct(audience: &str, session: Option<&str>, now: u64) -> Self {
        Self { k: None, ..Self::new(audience, session, &[], now) }
    }

    /// Signs the claims. Returns their JSON text, and the signature of the whole token.
    ///
    /// # Errors
    ///
    /// Fails if the claims cannot be serialized as JSON, which is not expected.
    pub fn sign(&self, key: &SigningKey) -> Result<(Vec<u8>, Vec<u8>), ProtocolError> {
        let claims = serde_json::to_vec(self).map_err(|error| json_error(&error))?;
        let input = signing_input(HEADER.as_bytes(), &claims);
        Ok((claims, sign(key, &input)?))
    }

    /// Signs the claims as a whole token, for an Ed25519 key.
    ///
    /// # Errors
    ///
    /// Same as [`sign`](Self::sign).
    pub fn to_jwt(&self, key: &SigningKey) -> Result<String, ProtocolError> {
        let (claims, signature) = self.sign(key)?;
        let mut jwt = signing_input(HEADER.as_bytes(), &claims);
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jwt);
        Ok(jwt)
    }

    /// Signs the claims as a whole token that names its key, as the legacy protocol requires.
    ///
    /// # Errors
    ///
    /// Same as [`sign`](Self::sign).
    pub fn to_legacy_jwt(&self, key: &SigningKey) -> Result<String, ProtocolError> {
        let kid = Some(key.verifying_key().fingerprint());
        let header = Header { alg: "RS256", typ: "JWT", kid };
        let header = serde_json::to_vec(&header).map_err(|error| json_error(&error))?;
        let claims = serde_json::to_vec(self).map_err(|error| json_error(&error))?;
        let mut jwt = signing_input(&header, &claims);
        let signature = sign(key, &jwt)?;
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jwt);
        Ok(jwt)
    }
}

/// A received token. Its signature is not trusted until [`verify`](Self::verify) has succeeded.
#[derive(Clone)]
pub struct Token {
    claims: Claims,
    algorithm: KeyAlgorithm,
    key_id: Option<String>,
    /// The signed text: header and claims, as in a JWT.
    signing_input: String,
    signature: Bytes,
    /// The key that the signature was verified with.
    signer: OnceLock<VerifyingKey>,
}

/// The header of a token.
#[derive(Serialize, Deserialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
}

/// The reason why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The token is not for this Volt.
    #[error("the token is for another Volt")]
    Audience,
    /// Too old.
    #[error("the token has expired")]
    Expired,
    /// From the future.
    #[error("the token is not valid yet: compare the clocks")]
    NotYetValid,
    /// The token is valid for longer than the maximum.
    #[error("the token is valid for more than {MAX_VALIDITY} seconds from now")]
    ValidTooLong,
    /// The token is not signed by that key.
    #[error("the token's signature is wrong")]
    Signature,
}

impl Token {
    /// Reads the claims of a key exchange.
    ///
    /// # Errors
    ///
    /// Fails if the claims are not valid JSON for [`Claims`].
    pub fn parse(raw_claims: &[u8], signature: Bytes) -> Result<Self, ProtocolError> {
        Self::parse_with(None, raw_claims, signature)
    }

    /// Like [`parse`](Self::parse), for a token with another `header` than the usual one, in
    /// base64.
    ///
    /// # Errors
    ///
    /// Same as [`parse`](Self::parse); also fails if the header is damaged or has another
    /// algorithm.
    pub(super) fn parse_with(
        header: Option<&str>,
        raw_claims: &[u8],
        signature: Bytes,
    ) -> Result<Self, ProtocolError> {
        // Verify the claims as they were sent: reserialized, they could differ in order or spacing.
        let signing_input = match header {
            None => signing_input(HEADER.as_bytes(), raw_claims),
            Some(header) => signing_input(&eddsa_header(header)?, raw_claims),
        };
        Ok(Self {
            claims: serde_json::from_slice(raw_claims).map_err(|error| json_error(&error))?,
            algorithm: KeyAlgorithm::Ed25519,
            key_id: None,
            signing_input,
            signature,
            signer: OnceLock::new(),
        })
    }

    /// Parses a whole token, `header.claims.signature`, signed with either kind of key.
    ///
    /// # Errors
    ///
    /// Fails if the text is not a JWT, has another algorithm, or its claims are not those of a
    /// call.
    pub fn parse_jwt(jwt: &str) -> Result<Self, ProtocolError> {
        const SHAPE: ProtocolError = ProtocolError::Unexpected("the token is not a JWT");
        let (signed, signature) = jwt.rsplit_once('.').ok_or(SHAPE)?;
        let (header, claims) = signed.split_once('.').ok_or(SHAPE)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| SHAPE);
        let raw_header = decode(header)?;
        let header: Header<'_> =
            serde_json::from_slice(&raw_header).map_err(|error| json_error(&error))?;
        // An allow list, which excludes `none` and symmetric algorithms.
        let algorithm = match header.alg {
            "EdDSA" => KeyAlgorithm::Ed25519,
            "RS256" => KeyAlgorithm::Rsa,
            _ => return Err(ProtocolError::Unexpected("the token's algorithm is not known")),
        };
        Ok(Self {
            claims: serde_json::from_slice(&decode(claims)?).map_err(|error| json_error(&error))?,
            algorithm,
            key_id: header.kid,
            signing_input: signed.to_owned(),
            signature: decode(signature)?.into(),
            signer: OnceLock::new(),
        })
    }

    /// Returns the fingerprint of the key that the token claims to be signed with. Legacy tokens have it
    /// instead of a session.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Returns the claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Returns the caller's ephemeral key, DER.
    ///
    /// # Errors
    ///
    /// Returns [`ProtocolError::PeerKey`] if the token has no key, or the key is not base64.
    pub fn ephemeral_der(&self) -> Result<Vec<u8>, ProtocolError> {
        let k = self.claims.k.as_deref().ok_or(ProtocolError::PeerKey)?;
        STANDARD.decode(k).map_err(|_| ProtocolError::PeerKey)
    }

    /// Checks the token's audience and validity period; `now` is in Unix seconds.
    ///
    /// # Errors
    ///
    /// Reports which of the two is wrong.
    pub fn check(&self, audience: &str, now: u64) -> Result<(), TokenError> {
        if self.claims.aud != audience {
            return Err(TokenError::Audience);
        }
        self.check_times(now)
    }

    /// Checks only the validity period, for a relay, which is not the token's audience.
    ///
    /// # Errors
    ///
    /// Fails if the token has expired, is not valid yet, or is valid for more than
    /// [`MAX_VALIDITY`].
    pub fn check_times(&self, now: u64) -> Result<(), TokenError> {
        // Saturating, because the claims are the sender's: a sum beyond the range must not wrap around.
        if self.claims.exp.saturating_add(LEEWAY) < now {
            return Err(TokenError::Expired);
        }
        if self.claims.iat > now.saturating_add(LEEWAY) {
            return Err(TokenError::NotYetValid);
        }
        if self.claims.exp > now.saturating_add(MAX_VALIDITY) {
            return Err(TokenError::ValidTooLong);
        }
        Ok(())
    }

    /// Returns whether a key has been found that signed the token.
    pub fn is_verified(&self) -> bool {
        self.signer.get().is_some()
    }

    /// Returns whether the token has the usual header, these claims and this signature, byte for byte.
    pub(super) fn is(&self, raw_claims: &[u8], signature: &[u8]) -> bool {
        // Compare the signature first, because it nearly always decides.
        self.signature == signature
            && self.algorithm == KeyAlgorithm::Ed25519
            && self.signing_input == signing_input(HEADER.as_bytes(), raw_claims)
    }

    /// Verifies that `key` signed the token. A success is cached.
    ///
    /// # Errors
    ///
    /// Returns [`TokenError::Signature`] if `key` did not sign the token.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), TokenError> {
        if self.signer.get() == Some(key) {
            return Ok(());
        }
        // The key's algorithm decides which signature is valid, not the token's header alone.
        let valid = key.algorithm() == self.algorithm
            && key.verify(self.signing_input.as_bytes(), &self.signature);
        if !valid {
            return Err(TokenError::Signature);
        }
        // If another key is cached already, it stays: both have signed the token.
        let _ = self.signer.set(key.clone());
        Ok(())
    }

    /// Returns the whole token in its usual form, `header.claims.signature`. It authorizes calls: pass it
    /// only to its audience, or to the Volt that is asked about its caller.
    pub fn to_jwt(&self) -> String {
        let mut jwt = self.signing_input.clone();
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(&self.signature, &mut jwt);
        jwt
    }
}

impl fmt::Debug for Claims {
    /// Omits the session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("aud", &self.aud)
            .field("iat", &self.iat)
            .field("exp", &self.exp)
            .field("sub", &self.sub.as_ref().map(|_| "(hidden)"))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Token {
    /// Omits the signed content: anyone who has it can call as the token's owner.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("claims", &self.claims)
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// An `EdDSA` token as a key exchange frame carries it.
pub(super) struct Parts {
    /// In base64, if it is not [`HEADER`]. The signature covers it, and the frame has no field for it.
    pub(super) header: Option<String>,
    pub(super) claims: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// Splits an `EdDSA` token.
///
/// # Errors
///
/// Fails if the text is not a JWT, or has another algorithm.
pub(super) fn split(jwt: &str) -> Result<Parts, ProtocolError> {
    let (signed, signature) = jwt.rsplit_once('.').ok_or(SHAPE)?;
    let (header, claims) = signed.split_once('.').ok_or(SHAPE)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| SHAPE);
    let is_usual = eddsa_header(header)? == HEADER.as_bytes();
    Ok(Parts {
        header: (!is_usual).then(|| header.to_owned()),
        claims: decode(claims)?,
        signature: decode(signature)?,
    })
}

const SHAPE: ProtocolError = ProtocolError::Unexpected("the token is not a JWT of this protocol");

/// Decodes the header of an `EdDSA` token.
fn eddsa_header(base64: &str) -> Result<Vec<u8>, ProtocolError> {
    let raw = URL_SAFE_NO_PAD.decode(base64).map_err(|_| SHAPE)?;
    let header: Header<'_> = serde_json::from_slice(&raw).map_err(|_| SHAPE)?;
    if header.alg == "EdDSA" { Ok(raw) } else { Err(SHAPE) }
}

fn signing_input(header: &[u8], claims: &[u8]) -> String {
    let mut input = URL_SAFE_NO_PAD.encode(header);
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut input);
    input
}

fn sign(key: &SigningKey, input: &str) -> Result<Vec<u8>, ProtocolError> {
    key.sign(input.as_bytes()).map_err(|_| ProtocolError::Crypto("signing"))
}

fn json_error(error: &serde_json::Error) -> ProtocolError {
    ProtocolError::Json { what: "token", why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_valid_for_too_long_is_refused() {
        let token = |exp: u64| {
            let claims = format!(r#"{{"aud":"volt","iat":940,"exp":{exp}}}"#);
            Token::parse(claims.as_bytes(), Bytes::new()).unwrap()
        };
        token(1060).check("volt", 1000).unwrap();
        token(1000 + MAX_VALIDITY).check("volt", 1000).unwrap();
        for exp in [1001 + MAX_VALIDITY, u64::MAX] {
            assert_eq!(token(exp).check("volt", 1000), Err(TokenError::ValidTooLong));
            assert_eq!(token(exp).check_times(1000), Err(TokenError::ValidTooLong));
        }
    }
}
