//! The token of a call: who calls, whom, when, and with which ephemeral key.
//!
//! It is a JWT signed by the client's Ed25519 key. Its header is always the same, so the wire
//! carries only the claims and the signature.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::ProtocolError;
use crate::key::{SigningKey, VerifyingKey};

/// The header of every token.
pub const HEADER: &str = r#"{"alg":"EdDSA","typ":"JWT"}"#;
/// How long before and after now a token is valid, in seconds.
pub const TTL: u64 = 60;
/// How far a peer's clock may be off, in seconds.
pub const LEEWAY: u64 = 60;

/// What a token says, in the order in which the published clients write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Whom it is for: the Volt's id, or the client id of a relayed service's host.
    pub aud: String,
    /// Valid from, in Unix seconds.
    pub iat: u64,
    /// Valid until, in Unix seconds.
    pub exp: u64,
    /// The caller's session; absent before the first `Authenticate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The caller's ephemeral X25519 key: DER `SubjectPublicKeyInfo` in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k: Option<String>,
}

impl Claims {
    /// The claims of a call made at `now` (Unix seconds).
    pub fn new(audience: &str, session: Option<&str>, ephemeral_der: &[u8], now: u64) -> Self {
        Self {
            aud: audience.to_owned(),
            iat: now.saturating_sub(TTL),
            exp: now.saturating_add(TTL),
            sub: session.filter(|id| !id.is_empty()).map(str::to_owned),
            k: Some(STANDARD.encode(ephemeral_der)),
        }
    }

    /// Signs the claims: the JSON text, and the signature of the whole token.
    ///
    /// # Errors
    ///
    /// When the claims cannot be written as JSON, which is not expected.
    pub fn sign(&self, key: &SigningKey) -> Result<(Vec<u8>, Vec<u8>), ProtocolError> {
        let claims = serde_json::to_vec(self).map_err(|error| json_error(&error))?;
        let signature = key.sign(signing_input(&claims).as_bytes());
        Ok((claims, signature))
    }
}

/// A token that arrived. Its signature has not been checked until [`verify`](Self::verify) says so.
#[derive(Clone, Debug)]
pub struct Token {
    claims: Claims,
    raw_claims: Bytes,
    signature: Bytes,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not for this Volt.
    #[error("the token is for another Volt")]
    Audience,
    /// Too old.
    #[error("the token has expired")]
    Expired,
    /// From the future.
    #[error("the token is not valid yet: compare the clocks")]
    NotYetValid,
    /// Not signed by that key.
    #[error("the token's signature is wrong")]
    Signature,
}

impl Token {
    /// Reads the claims of a key exchange.
    ///
    /// # Errors
    ///
    /// When they are not the JSON of [`Claims`].
    pub fn parse(raw_claims: Bytes, signature: Bytes) -> Result<Self, ProtocolError> {
        let claims = serde_json::from_slice(&raw_claims).map_err(|error| json_error(&error))?;
        Ok(Self { claims, raw_claims, signature })
    }

    /// What it says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The caller's ephemeral key, DER.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::PeerKey`] when there is none, or it is not base64.
    pub fn ephemeral_der(&self) -> Result<Vec<u8>, ProtocolError> {
        let k = self.claims.k.as_deref().ok_or(ProtocolError::PeerKey)?;
        STANDARD.decode(k).map_err(|_| ProtocolError::PeerKey)
    }

    /// Checks whom the token is for and when it is valid; `now` in Unix seconds.
    ///
    /// # Errors
    ///
    /// Says which of the two is wrong.
    pub fn check(&self, audience: &str, now: u64) -> Result<(), TokenError> {
        if self.claims.aud != audience {
            return Err(TokenError::Audience);
        }
        if self.claims.exp.saturating_add(LEEWAY) < now {
            return Err(TokenError::Expired);
        }
        if self.claims.iat > now.saturating_add(LEEWAY) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }

    /// Checks that `key` signed the token.
    ///
    /// # Errors
    ///
    /// [`TokenError::Signature`] when it did not.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), TokenError> {
        if key.verify(signing_input(&self.raw_claims).as_bytes(), &self.signature) {
            Ok(())
        } else {
            Err(TokenError::Signature)
        }
    }

    /// The whole token in its usual form, `header.claims.signature`.
    pub fn to_jwt(&self) -> String {
        let mut jwt = signing_input(&self.raw_claims);
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(&self.signature, &mut jwt);
        jwt
    }
}

fn signing_input(claims: &[u8]) -> String {
    let mut input = URL_SAFE_NO_PAD.encode(HEADER);
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut input);
    input
}

fn json_error(error: &serde_json::Error) -> ProtocolError {
    ProtocolError::Json { what: "token", why: error.to_string() }
}
