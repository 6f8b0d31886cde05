//! The legacy JSON protocol of RSA keys: each websocket message is a JSON object in a text message.
//!
//! The first message of a call carries a token with the call's key, encrypted for the target, so there
//! is no key exchange. The envelopes inside are those of the binary protocol. One initialisation vector
//! serves all messages of a call, which is the protocol's weakness: equal beginnings of messages are
//! visible as such.
//!
//! The first message also carries the first request, so a recorded one could be executed again. A server
//! therefore remembers the sealed keys that it has opened ([`SealedKeys`]).

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use zeroize::Zeroizing;

use super::{
    ProtocolError,
    crypto::{self, CallKey, IV_LEN, KEY_LEN},
    envelope::{Envelope, Incoming},
    frame::{Frame, FrameKind},
    handshake::Route,
    token::{Claims, LEEWAY, TTL, Token},
};
use crate::key::{SigningKey, oaep_decrypt, oaep_encrypt};

/// One websocket message, in either direction:
///
/// ```text
/// {"id": 1, "token": "…", "target_fingerprint": ["…"], "json_payload": "…"}   opens a call
/// {"id": 1, "json_payload": "…"}                                              a request
/// {"id": 1, "client_end": true, "json_payload": "…"}                          the half-close
/// {"invoke_id": "1", "json_payload": "…"}                                     a response
/// {"invoke_id": "1", "json_payload": "…", "server_end": true}                 the end
/// {"invoke_id": "1", "error": "…"}                                            a rejection
/// ```
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Message {
    /// The call's id, in requests.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    id: Option<u64>,
    /// The call's id, in responses: a 64-bit integer in its JSON form.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_text",
        deserialize_with = "number"
    )]
    invoke_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_fingerprint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_end: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_end: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_payload: Option<String>,
}

impl Message {
    fn read(text: &[u8]) -> Result<Self, ProtocolError> {
        serde_json::from_slice(text).map_err(|error| json_error(&error))
    }

    fn write(&self) -> Result<Vec<u8>, ProtocolError> {
        serde_json::to_vec(self).map_err(|error| json_error(&error))
    }

    fn error(&self) -> Option<&str> {
        self.error.as_deref().filter(|error| !error.is_empty())
    }
}

/// Reads what the driver of a connection needs to know of a message.
///
/// # Errors
///
/// Fails if the text is not a JSON object of this protocol, or has no call id.
pub fn decode(text: Bytes) -> Result<Frame, ProtocolError> {
    let message = Message::read(&text)?;
    let call = message.id.or(message.invoke_id);
    let call = call.ok_or(ProtocolError::Unexpected("a message has no call number"))?;
    let kind = if message.token.is_some() { FrameKind::LegacyOpening } else { FrameKind::Payload };
    let ends = [message.client_end, message.server_end].contains(&Some(true));
    let last = ends || message.error().is_some();
    // The text is kept whole, and parsed again by the call's task, which also decodes and decrypts the
    // payload.
    Ok(Frame { kind, call, last, body: text })
}

/// The opening of a call, sent with its first message.
#[derive(Clone)]
pub struct Opening {
    token: String,
    targets: Vec<String>,
}

impl fmt::Debug for Opening {
    /// Omits the token: anyone who has it can call as its owner.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("targets", &self.targets).finish_non_exhaustive()
    }
}

/// Opens a call at `now` (Unix seconds). Returns its key, and the opening that its first message
/// must carry.
///
/// `targets` are the fingerprints of the peers to route through; empty when the target is the
/// direct peer.
///
/// # Errors
///
/// Fails if the target's key is not an RSA key, or the crypto library fails.
pub fn open(
    route: &Route,
    targets: Vec<String>,
    key: &SigningKey,
    now: u64,
) -> Result<(CallKey, Opening), ProtocolError> {
    // The client alone chooses the key, which reaches the target in the token.
    let secret = Zeroizing::new(crypto::random::<KEY_LEN>()?);
    let iv = crypto::random::<IV_LEN>()?;
    let seal = |plain: &[u8]| {
        let sealed = oaep_encrypt(&route.signer, plain);
        sealed.map(|sealed| STANDARD.encode(sealed)).map_err(|_| ProtocolError::PeerKey)
    };
    let claims = Claims {
        aud: route.audience.clone(),
        iat: now.saturating_sub(TTL),
        exp: now.saturating_add(TTL),
        sub: None,
        k: None,
        sk: Some(seal(&*secret)?),
        iv: Some(seal(&iv)?),
    };
    let token = claims.to_legacy_jwt(key)?;
    Ok((CallKey::legacy(&secret, iv)?, Opening { token, targets }))
}

/// Reads the message that opens a call. Returns the caller's token, not verified yet.
///
/// # Errors
///
/// Fails if there is no token.
pub fn accept(text: &[u8]) -> Result<Token, ProtocolError> {
    let message = Message::read(text)?;
    let token = message.token.ok_or(ProtocolError::Unexpected("a call must carry a token"))?;
    Token::parse_jwt(&token)
}

/// The sealed keys that have opened a call, so that a recorded call is not executed again, and its key
/// cannot be opened with the token of another caller.
///
/// A key is remembered at least while its token is valid, and beyond that until another one takes its
/// place.
#[derive(Debug)]
pub struct SealedKeys {
    /// The beginnings of the keys' digests.
    known: HashSet<[u8; 16]>,
    /// The same keys, sorted by the time at which each can be forgotten.
    order: BTreeSet<(u64, [u8; 16])>,
    capacity: usize,
}

impl Default for SealedKeys {
    fn default() -> Self {
        // At most about 20 MiB. Only keys that could be opened are remembered, and opening this many
        // keeps a processor busy for minutes.
        Self::new(1 << 18)
    }
}

impl SealedKeys {
    /// Creates a memory for this many keys.
    pub fn new(capacity: usize) -> Self {
        Self { known: HashSet::new(), order: BTreeSet::new(), capacity: capacity.max(1) }
    }

    /// Checks that the sealed key of a token has not been remembered.
    ///
    /// # Errors
    ///
    /// Fails if the token has none, or the key has been seen before.
    pub fn check(&self, token: &Token) -> Result<(), ProtocolError> {
        self.unknown(token).map(|_| ())
    }

    /// Remembers the sealed key of an authenticated caller's token at `now` (Unix seconds), after it
    /// has been opened: keys that cannot be opened must not take up places.
    ///
    /// # Errors
    ///
    /// Same as [`check`](Self::check); also fails if too many calls arrive.
    pub fn admit(&mut self, token: &Token, now: u64) -> Result<(), ProtocolError> {
        let key = self.unknown(token)?;
        // Only a key whose token has expired makes room. Forgetting another would allow its call to be
        // repeated.
        if self.order.len() >= self.capacity {
            match self.order.first().copied() {
                Some(first @ (until, oldest)) if until < now => {
                    self.known.remove(&oldest);
                    self.order.remove(&first);
                }
                _ => return Err(ProtocolError::Unexpected("too many legacy calls are made")),
            }
        }
        self.known.insert(key);
        self.order.insert((token.claims().exp.saturating_add(LEEWAY), key));
        Ok(())
    }

    /// Returns the digest of a token's sealed key, unless that has been seen before.
    fn unknown(&self, token: &Token) -> Result<[u8; 16], ProtocolError> {
        let sealed = token.claims().sk.as_deref().ok_or(ProtocolError::PeerKey)?;
        // Hash the decoded bytes, because the same key has several base64 encodings.
        let sealed = STANDARD.decode(sealed).map_err(|_| ProtocolError::PeerKey)?;
        let mut key = [0; 16];
        key.copy_from_slice(&digest(&SHA256, &sealed).as_ref()[..16]);
        if self.known.contains(&key) {
            return Err(ProtocolError::Unexpected("this call has been made before"));
        }
        Ok(key)
    }
}

/// Decrypts the call's key in a token.
///
/// # Errors
///
/// Returns [`ProtocolError::PeerKey`] if the token has no key for `identity`. The error has no
/// details: repeated attempts could otherwise reveal the key.
pub fn call_key(token: &Token, identity: &SigningKey) -> Result<CallKey, ProtocolError> {
    let secret = opened(token.claims().sk.as_deref(), identity)?;
    let iv = opened(token.claims().iv.as_deref(), identity)?;
    CallKey::legacy(&secret, *iv)
}

/// Decrypts one of the sealed values in a token. Every failure is the same error.
fn opened<const N: usize>(
    sealed: Option<&str>,
    identity: &SigningKey,
) -> Result<Zeroizing<[u8; N]>, ProtocolError> {
    let sealed = sealed.ok_or(ProtocolError::PeerKey)?;
    let sealed = STANDARD.decode(sealed).map_err(|_| ProtocolError::PeerKey)?;
    let plain = oaep_decrypt(identity, &sealed).map_err(|_| ProtocolError::PeerKey)?;
    plain.as_slice().try_into().map(Zeroizing::new).map_err(|_| ProtocolError::PeerKey)
}

/// The side that writes a message, and whether it is that side's last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) client: bool,
    pub(super) end: bool,
}

/// Builds the message that carries an envelope.
pub(super) fn seal(
    key: &CallKey,
    iv: [u8; IV_LEN],
    call: u64,
    position: Position,
    opening: Option<&Opening>,
    mut envelope: Vec<u8>,
) -> Result<Vec<u8>, ProtocolError> {
    key.encrypt_from(iv, &mut envelope, 0)?;
    // Requests have the call's number in `id`, responses in `invoke_id`.
    Message {
        id: position.client.then_some(call),
        invoke_id: (!position.client).then_some(call),
        token: opening.map(|opening| opening.token.clone()),
        target_fingerprint: opening.map(|opening| opening.targets.clone()),
        client_end: (position.client && position.end).then_some(true),
        server_end: (!position.client && position.end).then_some(true),
        error: None,
        json_payload: Some(STANDARD.encode(envelope)),
    }
    .write()
}

/// Opens a message.
pub(super) fn open_message(
    key: &CallKey,
    iv: [u8; IV_LEN],
    text: &[u8],
) -> Result<Incoming, ProtocolError> {
    let message = Message::read(text)?;
    // Before the payload, which a rejection does not have.
    if let Some(error) = message.error() {
        return Ok(Incoming::Rejected(error.to_owned()));
    }
    let payload = message.json_payload.unwrap_or_default();
    let mut envelope = STANDARD.decode(payload).map_err(|_| ProtocolError::Decrypt)?;
    key.decrypt(iv, &mut envelope)?;
    Envelope::take(envelope).map(Incoming::Envelope)
}

/// Builds the message that rejects a call. The reason is sent in clear text.
///
/// # Errors
///
/// Fails if the message cannot be serialized as JSON, which is not expected.
pub fn reject(call: u64, reason: &str) -> Result<Vec<u8>, ProtocolError> {
    Message { invoke_id: Some(call), error: Some(reason.to_owned()), ..Message::default() }.write()
}

/// Reads a call id, as a number or as text.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
    }
    match Option::<Either>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Either::Number(number)) => Ok(Some(number)),
        Some(Either::Text(text)) => text.parse().map(Some).map_err(D::Error::custom),
    }
}

#[expect(clippy::ref_option, reason = "required by serde")]
fn as_text<S: serde::Serializer>(id: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

fn json_error(error: &serde_json::Error) -> ProtocolError {
    ProtocolError::Json { what: "message", why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(sealed: &str, exp: u64) -> Token {
        let claims = format!(r#"{{"aud":"volt","iat":0,"exp":{exp},"sk":"{sealed}"}}"#);
        Token::parse(claims.as_bytes(), Bytes::new()).unwrap()
    }

    #[test]
    fn a_sealed_key_opens_only_one_call() {
        let mut keys = SealedKeys::default();
        keys.admit(&token("AAAA", 100), 50).unwrap();
        for later in [50, 10_000] {
            // A fresh token, perhaps of another caller.
            let error = keys.admit(&token("AAAA", later + 60), later).unwrap_err();
            assert!(error.to_string().contains("made before"), "{error}");
        }
        keys.admit(&token("AAAB", 100), 50).unwrap();
        assert_eq!(keys.admit(&token("?", 100), 50), Err(ProtocolError::PeerKey));
    }

    #[test]
    fn sealed_keys_are_kept_while_their_tokens_are_valid() {
        let mut keys = SealedKeys::new(2);
        keys.admit(&token("AAAA", 1000), 50).unwrap();
        keys.admit(&token("BBBB", 100), 50).unwrap();
        let error = keys.admit(&token("CCCC", 100), 100 + LEEWAY).unwrap_err();
        assert!(error.to_string().contains("too many"), "{error}");
        // The key whose token has expired makes room, although an older one is still kept.
        keys.admit(&token("CCCC", 300), 101 + LEEWAY).unwrap();
        keys.admit(&token("AAAA", 300), 101 + LEEWAY).unwrap_err();
        assert_eq!((keys.known.len(), keys.order.len()), (2, 2));
    }
}
