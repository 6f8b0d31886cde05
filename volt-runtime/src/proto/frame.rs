//! One websocket message: a header of ten bytes and a body.
//!
//! Layout, integers big-endian: version `u8` = 1, type `u8`, call number `u64`, body. The body's fields
//! have their length before them, in one byte or two; the ciphertext reaches to the end.
//!
//! The driver of a connection reads only the header, and whether the metadata marks the last frame. A
//! body is examined in the task of its call, so that a damaged one fails that call alone.

use std::fmt;

use bytes::{Buf, BufMut, Bytes};
use serde::Deserialize;

use super::ProtocolError;
use crate::message::Encoding;

/// The only protocol version.
pub const VERSION: u8 = 1;
/// The number of bytes before the body.
pub const HEADER_LEN: usize = 10;

/// The metadata of a client's last frame. Without a payload it is a half-close that is not sealed.
pub(super) const CLIENT_END: &[u8] = br#"{"client_end":true}"#;
/// The metadata of a server's last frame.
pub(super) const SERVER_END: &[u8] = br#"{"server_end":true}"#;
/// The metadata of the frame, without a payload, for a caller that has disconnected.
pub(super) const CALLER_GONE: &[u8] =
    br#"{"client_end":true,"error":"the caller has disconnected"}"#;
/// The metadata of payloads in the binary form, which are never sent on a websocket: callers over gRPC use
/// them. The mark keeps the encoding of a payload while a server forwards it.
const BINARY: &[u8] = br#"{"protobuf":true}"#;
const BINARY_CLIENT_END: &[u8] = br#"{"client_end":true,"protobuf":true}"#;
const BINARY_SERVER_END: &[u8] = br#"{"server_end":true,"protobuf":true}"#;

/// The side that sent its last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Client,
    Server,
}

/// Returns the metadata of a payload.
pub(super) const fn metadata(encoding: Encoding, last: Option<Last>) -> &'static [u8] {
    match (encoding, last) {
        (Encoding::Json, None) => &[],
        (Encoding::Json, Some(Last::Client)) => CLIENT_END,
        (Encoding::Json, Some(Last::Server)) => SERVER_END,
        (Encoding::Protobuf, None) => BINARY,
        (Encoding::Protobuf, Some(Last::Client)) => BINARY_CLIENT_END,
        (Encoding::Protobuf, Some(Last::Server)) => BINARY_SERVER_END,
    }
}

/// Returns the encoding of a payload with this metadata.
pub(super) fn encoding(metadata: &[u8]) -> Encoding {
    match metadata {
        BINARY | BINARY_CLIENT_END | BINARY_SERVER_END => Encoding::Protobuf,
        _ => Encoding::Json,
    }
}

/// Returns whether metadata is of the usual kinds, which report no error.
pub(super) fn is_usual(metadata: &[u8]) -> bool {
    metadata.is_empty()
        || [CLIENT_END, SERVER_END].contains(&metadata)
        || encoding(metadata) == Encoding::Protobuf
}

/// The content of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameKind {
    /// One side's ephemeral key.
    KeyExchange,
    /// The sealed `method_invoke`, client to server.
    Invoke,
    /// Any other sealed envelope, and anything that a relay or a legacy peer sends in clear text.
    Payload,
    /// The message that opens a legacy call, with its token, key and first envelope.
    LegacyOpening,
}

impl FrameKind {
    /// Returns whether a frame of this kind opens a call.
    pub const fn opens(self) -> bool {
        matches!(self, Self::KeyExchange | Self::LegacyOpening)
    }

    const fn to_byte(self) -> u8 {
        match self {
            Self::KeyExchange => 1,
            Self::Invoke => 2,
            Self::Payload | Self::LegacyOpening => 3,
        }
    }
}

/// A frame whose header has been read. The body is not examined until its call reads it. It may
/// hold the claims of a token, so it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The kind of the body.
    pub kind: FrameKind,
    /// The call's id on its connection.
    pub call: u64,
    /// Set if the frame is marked in clear text as the last one: an end, or a rejection.
    pub last: bool,
    /// The rest of the message; of a legacy message, all of it.
    pub body: Bytes,
}

impl Frame {
    /// Reads the header of a websocket message.
    ///
    /// # Errors
    ///
    /// Fails if the message is too short, or its version or type is unknown. The call that it
    /// belongs to is then unknown, so the connection fails.
    pub fn decode(mut message: Bytes) -> Result<Self, ProtocolError> {
        if message.len() < HEADER_LEN {
            return Err(ProtocolError::Truncated("header"));
        }
        let version = message.get_u8();
        if version != VERSION {
            return Err(ProtocolError::Version(version));
        }
        let kind = match message.get_u8() {
            1 => FrameKind::KeyExchange,
            2 => FrameKind::Invoke,
            3 => FrameKind::Payload,
            other => return Err(ProtocolError::FrameType(other)),
        };
        let call = message.get_u64();
        // The end of a call is marked in clear text, so that the connection can act on it without the key.
        let last = kind != FrameKind::KeyExchange && is_last(clear_metadata(&message));
        Ok(Self { kind, call, last, body: message })
    }

    /// Writes a header into an empty buffer.
    pub fn begin(out: &mut Vec<u8>, kind: FrameKind, call: u64) {
        out.put_u8(VERSION);
        out.put_u8(kind.to_byte());
        out.put_u64(call);
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("kind", &self.kind)
            .field("call", &self.call)
            .field("last", &self.last)
            .field("body", &format_args!("({} bytes)", self.body.len()))
            .finish()
    }
}

/// The body of a client's key exchange. Anyone who has it can call as the client, so it is not
/// printed. Layout: metadata with a `u16` length, signature with a `u8` length, claims with a `u16` length.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRequest {
    /// The route of the call, as JSON; may be empty.
    pub metadata: Bytes,
    /// The client's signature of the token.
    pub signature: Bytes,
    /// The token's claims, as JSON, exactly as they were signed.
    pub claims: Bytes,
}

impl KeyRequest {
    /// Splits a body into its fields.
    ///
    /// # Errors
    ///
    /// Fails if a field is longer than the rest of the body.
    pub fn decode(mut body: Bytes) -> Result<Self, ProtocolError> {
        let metadata = take_u16(&mut body, "key exchange metadata")?;
        let signature = take_u8(&mut body, "key exchange signature")?;
        let claims = take_u16(&mut body, "key exchange claims")?;
        Ok(Self { metadata, signature, claims })
    }

    /// Encodes the whole frame.
    ///
    /// # Errors
    ///
    /// Fails if a field does not fit its length prefix.
    pub fn encode(&self, call: u64) -> Result<Vec<u8>, ProtocolError> {
        let fields = self.metadata.len() + self.signature.len() + self.claims.len();
        let mut out = Vec::with_capacity(HEADER_LEN + 5 + fields);
        Frame::begin(&mut out, FrameKind::KeyExchange, call);
        put_u16(&mut out, &self.metadata, "key exchange metadata")?;
        put_u8(&mut out, &self.signature, "key exchange signature")?;
        put_u16(&mut out, &self.claims, "key exchange claims")?;
        Ok(out)
    }
}

impl fmt::Debug for KeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRequest").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

/// The body of a server's key exchange. Layout: key, nonce and signature, each with a `u8` length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReply {
    /// The server's ephemeral X25519 key, DER `SubjectPublicKeyInfo`.
    pub key: Bytes,
    /// Random bytes that the signature also covers.
    pub nonce: Bytes,
    /// The Volt's (or host's) signature over key and nonce.
    pub signature: Bytes,
}

impl KeyReply {
    /// Splits a body into its fields.
    ///
    /// # Errors
    ///
    /// Fails if a field is longer than the rest of the body.
    pub fn decode(mut body: Bytes) -> Result<Self, ProtocolError> {
        let key = take_u8(&mut body, "key exchange key")?;
        let nonce = take_u8(&mut body, "key exchange nonce")?;
        let signature = take_u8(&mut body, "key exchange signature")?;
        Ok(Self { key, nonce, signature })
    }

    /// Encodes the whole frame.
    ///
    /// # Errors
    ///
    /// Fails if a field does not fit its length prefix.
    pub fn encode(&self, call: u64) -> Result<Vec<u8>, ProtocolError> {
        let fields = self.key.len() + self.nonce.len() + self.signature.len();
        let mut out = Vec::with_capacity(HEADER_LEN + 3 + fields);
        Frame::begin(&mut out, FrameKind::KeyExchange, call);
        put_u8(&mut out, &self.key, "key exchange key")?;
        put_u8(&mut out, &self.nonce, "key exchange nonce")?;
        put_u8(&mut out, &self.signature, "key exchange signature")?;
        Ok(out)
    }
}

/// The body of an invoke or payload frame. Layout: metadata with a `u16` length, vector with a `u8`
/// length, and the ciphertext to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// JSON in clear text, which relays read; may be empty.
    pub metadata: Bytes,
    /// The initialisation vector, 16 bytes; empty in an error frame.
    pub iv: Bytes,
    /// The encrypted envelope; empty in an error frame.
    pub ciphertext: Bytes,
}

impl Sealed {
    /// Splits a body into its fields.
    ///
    /// # Errors
    ///
    /// Fails if a field is longer than the rest of the body.
    pub fn decode(mut body: Bytes) -> Result<Self, ProtocolError> {
        let metadata = take_u16(&mut body, "payload metadata")?;
        let iv = take_u8(&mut body, "payload IV")?;
        Ok(Self { metadata, iv, ciphertext: body })
    }

    /// Returns whether this is a caller's half-close without a payload.
    pub(super) fn is_half_close(&self) -> bool {
        self.iv.is_empty() && self.ciphertext.is_empty() && self.metadata == CLIENT_END
    }
}

/// Writes the part of a sealed frame that precedes its ciphertext.
pub(super) fn begin_sealed(
    out: &mut Vec<u8>,
    kind: FrameKind,
    call: u64,
    metadata: &[u8],
    iv: &[u8],
) -> Result<(), ProtocolError> {
    Frame::begin(out, kind, call);
    put_u16(out, metadata, "payload metadata")?;
    put_u8(out, iv, "payload IV")
}

/// Returns the metadata at the beginning of a sealed frame's body; empty if it is absent or
/// truncated.
fn clear_metadata(body: &[u8]) -> &[u8] {
    let Some((length, rest)) = body.split_first_chunk() else { return &[] };
    rest.get(..u16::from_be_bytes(*length).into()).unwrap_or_default()
}

/// Returns whether metadata marks the last frame. Few frames have metadata, so parsing it is cheap.
pub(super) fn is_last(metadata: &[u8]) -> bool {
    #[derive(Default, Deserialize)]
    struct End {
        client_end: Option<bool>,
        server_end: Option<bool>,
        error: Option<String>,
    }
    // Invalid metadata marks nothing. Opening the frame reports the error.
    let end: End = if metadata.is_empty() {
        End::default()
    } else {
        serde_json::from_slice(metadata).unwrap_or_default()
    };
    end.client_end == Some(true)
        || end.server_end == Some(true)
        || end.error.is_some_and(|error| !error.is_empty())
}

fn take_u8(body: &mut Bytes, what: &'static str) -> Result<Bytes, ProtocolError> {
    let len = body.try_get_u8().map_err(|_| ProtocolError::Truncated(what))?;
    take(body, len.into(), what)
}

fn take_u16(body: &mut Bytes, what: &'static str) -> Result<Bytes, ProtocolError> {
    let len = body.try_get_u16().map_err(|_| ProtocolError::Truncated(what))?;
    take(body, len.into(), what)
}

fn take(body: &mut Bytes, len: usize, what: &'static str) -> Result<Bytes, ProtocolError> {
    if body.len() < len {
        return Err(ProtocolError::Truncated(what));
    }
    // The field shares the message's buffer: nothing is copied.
    Ok(body.split_to(len))
}

fn put_u8(out: &mut Vec<u8>, field: &[u8], what: &'static str) -> Result<(), ProtocolError> {
    out.put_u8(u8::try_from(field.len()).map_err(|_| ProtocolError::TooLong(what))?);
    out.put_slice(field);
    Ok(())
}

fn put_u16(out: &mut Vec<u8>, field: &[u8], what: &'static str) -> Result<(), ProtocolError> {
    out.put_u16(u16::try_from(field.len()).map_err(|_| ProtocolError::TooLong(what))?);
    out.put_slice(field);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_of_a_key_exchange_is_an_error_not_a_panic() {
        let request = KeyRequest {
            metadata: Bytes::from_static(b"{\"d\":[]}"),
            signature: Bytes::from_static(&[7; 64]),
            claims: Bytes::from_static(b"{}"),
        };
        let frame = Bytes::from(request.encode(9).unwrap());
        for len in 0..frame.len() {
            let short = Frame::decode(frame.slice(..len)).and_then(|f| KeyRequest::decode(f.body));
            assert!(matches!(short, Err(ProtocolError::Truncated(_))), "{len} bytes: {short:?}");
        }
        let whole = Frame::decode(frame).unwrap();
        assert_eq!((whole.kind, whole.call), (FrameKind::KeyExchange, 9));
        assert_eq!(KeyRequest::decode(whole.body).unwrap(), request);
    }

    #[test]
    fn an_unknown_version_or_type_is_named() {
        let frame = |version, kind| Bytes::from(vec![version, kind, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(Frame::decode(frame(2, 1)), Err(ProtocolError::Version(2)));
        assert_eq!(Frame::decode(frame(1, 0)), Err(ProtocolError::FrameType(0)));
    }

    /// Otherwise a peer could stop our side of a call with a frame that does not end it.
    #[test]
    fn only_end_metadata_marks_the_last_frame() {
        let last = |kind, metadata: &str| {
            let mut frame = Vec::new();
            begin_sealed(&mut frame, kind, 1, metadata.as_bytes(), &[7; 16]).unwrap();
            Frame::decode(frame.into()).unwrap().last
        };
        for metadata in [
            r#"{"client_end":true}"#,
            r#"{ "server_end": true, "i": 1 }"#,
            r#"{"error":"session invalid"}"#,
        ] {
            assert!(last(FrameKind::Payload, metadata), "{metadata}");
            assert!(!last(FrameKind::KeyExchange, metadata), "{metadata}");
        }
        for metadata in [
            "",
            "{}",
            r#"{"d":[],"i":1}"#,
            r#"{"server_end":false,"client_end":null,"error":""}"#,
            r#"{"note":"server_end"}"#,
            "server_end",
        ] {
            assert!(!last(FrameKind::Payload, metadata), "{metadata}");
        }
        // Truncated metadata marks nothing.
        let mut frame = Vec::new();
        begin_sealed(&mut frame, FrameKind::Payload, 1, br#"{"server_end":true}"#, &[]).unwrap();
        frame.truncate(HEADER_LEN + 10);
        assert!(!Frame::decode(frame.into()).unwrap().last);
    }

    #[test]
    fn a_field_too_long_for_its_prefix_is_refused() {
        let reply =
            KeyReply { key: vec![0; 256].into(), nonce: Bytes::new(), signature: Bytes::new() };
        assert_eq!(reply.encode(1), Err(ProtocolError::TooLong("key exchange key")));
    }
}
