//! The legacy JSON protocol of RSA keys: each websocket message is a JSON object in a text message.
//!
//! The first message of a call brings a token that carries the call's key, encrypted for the target,
//! so there is no key exchange. The envelopes inside are those of the binary protocol. One
//! initialisation vector serves all messages of a call, which is the protocol's weakness.

use std::fmt;

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
    token::{Claims, TTL, Token},
};
use crate::key::{SigningKey, oaep_decrypt, oaep_encrypt};

/// One websocket message, of either direction.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Message {
    /// The call's number, in requests.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    id: Option<u64>,
    /// The call's number, in responses: a 64-bit integer as JSON writes it.
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

/// What the driver of a connection must know of a message.
///
/// # Errors
///
/// When it is no JSON object of this protocol, or has no call number.
pub fn decode(text: Bytes) -> Result<Frame, ProtocolError> {
    let message = Message::read(&text)?;
    let call = message.id.or(message.invoke_id);
    let call = call.ok_or(ProtocolError::Unexpected("a message has no call number"))?;
    let kind = if message.token.is_some() { FrameKind::LegacyOpening } else { FrameKind::Payload };
    let ends = [message.client_end, message.server_end].contains(&Some(true));
    let last = ends || message.error().is_some();
    Ok(Frame { kind, call, last, body: text })
}

/// What opens a call: sent with its first message.
#[derive(Clone)]
pub struct Opening {
    token: String,
    targets: Vec<String>,
}

impl fmt::Debug for Opening {
    /// Without the token, with which anyone can call as its owner.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("targets", &self.targets).finish_non_exhaustive()
    }
}

/// Opens a call at `now` (Unix seconds): its key, and what its first message must carry.
///
/// `targets` are the fingerprints of those to route through; empty when the target is who is
/// connected to.
///
/// # Errors
///
/// When the target's key is no RSA key, or the crypto library fails.
pub fn open(
    route: &Route,
    targets: Vec<String>,
    key: &SigningKey,
    now: u64,
) -> Result<(CallKey, Opening), ProtocolError> {
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

/// Reads the message that opens a call: the caller's token, not checked yet.
///
/// # Errors
///
/// When there is no token.
pub fn accept(text: &[u8]) -> Result<Token, ProtocolError> {
    let message = Message::read(text)?;
    let token = message.token.ok_or(ProtocolError::Unexpected("a call must bring a token"))?;
    Token::parse_jwt(&token)
}

/// The key that a token brings for its call.
///
/// # Errors
///
/// [`ProtocolError::PeerKey`] when there is none for `identity`. It does not say why, because whoever
/// may try often could learn the key from that.
pub fn call_key(token: &Token, identity: &SigningKey) -> Result<CallKey, ProtocolError> {
    let secret = opened(token.claims().sk.as_deref(), identity)?;
    let iv = opened(token.claims().iv.as_deref(), identity)?;
    CallKey::legacy(&secret, *iv)
}

fn opened<const N: usize>(
    sealed: Option<&str>,
    identity: &SigningKey,
) -> Result<Zeroizing<[u8; N]>, ProtocolError> {
    let sealed = sealed.ok_or(ProtocolError::PeerKey)?;
    let sealed = STANDARD.decode(sealed).map_err(|_| ProtocolError::PeerKey)?;
    let plain = oaep_decrypt(identity, &sealed).map_err(|_| ProtocolError::PeerKey)?;
    plain.as_slice().try_into().map(Zeroizing::new).map_err(|_| ProtocolError::PeerKey)
}

/// Which side writes a message, and whether it is that side's last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) client: bool,
    pub(super) end: bool,
}

/// The message that carries an envelope.
pub(super) fn seal(
    key: &CallKey,
    iv: [u8; IV_LEN],
    call: u64,
    position: Position,
    opening: Option<&Opening>,
    mut envelope: Vec<u8>,
) -> Result<Vec<u8>, ProtocolError> {
    key.encrypt_from(iv, &mut envelope, 0)?;
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
    if let Some(error) = message.error() {
        return Ok(Incoming::Rejected(error.to_owned()));
    }
    let payload = message.json_payload.unwrap_or_default();
    let mut envelope = STANDARD.decode(payload).map_err(|_| ProtocolError::Decrypt)?;
    key.decrypt(iv, &mut envelope)?;
    Envelope::take(envelope).map(Incoming::Envelope)
}

/// The message that turns a call away; the reason travels in clear.
///
/// # Errors
///
/// When it cannot be written as JSON, which is not expected.
pub fn reject(call: u64, reason: &str) -> Result<Vec<u8>, ProtocolError> {
    Message { invoke_id: Some(call), error: Some(reason.to_owned()), ..Message::default() }.write()
}

/// A call number, as a number or as text.
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

#[expect(clippy::ref_option, reason = "serde wants it so")]
fn as_text<S: serde::Serializer>(id: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

fn json_error(error: &serde_json::Error) -> ProtocolError {
    ProtocolError::Json { what: "message", why: error.to_string() }
}
