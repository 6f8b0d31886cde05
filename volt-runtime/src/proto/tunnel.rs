//! Frames of the binary protocol as a relay forwards them: the same fields, in messages of `Connect`
//! and `Invoke` calls instead of websocket messages.
//!
//! The conversions go both ways and never open a payload. The token gains its JWT header on the way,
//! because those messages carry it whole.

use std::fmt;

use bytes::Bytes;

use super::{
    ProtocolError, call,
    frame::{self, Frame, FrameKind, KeyReply, KeyRequest, Last, Sealed, begin_sealed, is_last},
    handshake::Via,
    token::{self, Parts, Token},
};
use crate::message::Encoding;

/// One frame of a forwarded call. The call's id is transmitted alongside.
///
/// A caller sends `Open`, then payloads; a target answers with its `KeyExchange` and payloads, or
/// rejects. The last payload of each side has `end` set. Instead of one, a caller may send `HalfClose`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelFrame {
    /// Opens the call, from the caller.
    Open {
        /// The caller's token, a JWT.
        token: String,
        /// The route beyond the target; empty when the call is for the target itself.
        via: Via,
    },
    /// The target's key exchange.
    KeyExchange {
        /// Its ephemeral X25519 key, DER `SubjectPublicKeyInfo`.
        key: Bytes,
        /// Random bytes that the signature also covers.
        nonce: Bytes,
        /// The target's signature over key and nonce.
        signature: Bytes,
    },
    /// An encrypted envelope, from either side.
    Payload {
        /// The initialisation vector.
        iv: Bytes,
        /// The encrypted envelope.
        ciphertext: Bytes,
        /// The encoding of the envelope, which the messages of `Connect` and `Invoke` have different fields
        /// for. A call is answered in the encoding of its caller.
        encoding: Encoding,
        /// Set if it is the sender's last.
        end: bool,
    },
    /// The caller has no more to send. A caller over gRPC half-closes its stream, and does not seal
    /// an end.
    HalfClose,
    /// The caller has disconnected. No key is needed.
    CallerGone,
    /// The call could not be forwarded, or was not accepted.
    Rejected(String),
}

impl fmt::Debug for TunnelFrame {
    /// Omits the token: anyone who has it can call as its owner.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { via, .. } => {
                f.debug_struct("Open").field("via", via).finish_non_exhaustive()
            }
            Self::KeyExchange { .. } => f.debug_struct("KeyExchange").finish_non_exhaustive(),
            Self::Payload { ciphertext, end, .. } => f
                .debug_struct("Payload")
                .field("ciphertext", &format_args!("({} bytes)", ciphertext.len()))
                .field("end", end)
                .finish_non_exhaustive(),
            Self::HalfClose => f.write_str("HalfClose"),
            Self::CallerGone => f.write_str("CallerGone"),
            Self::Rejected(reason) => f.debug_tuple("Rejected").field(reason).finish(),
        }
    }
}

impl TunnelFrame {
    /// Converts the frame with which a caller opens a call.
    ///
    /// # Errors
    ///
    /// Fails if the frame is damaged or opens no call.
    #[cfg(all(feature = "client", feature = "grpc"))]
    pub(crate) fn from_opening(frame: &Frame) -> Result<Self, ProtocolError> {
        let opened = super::handshake::ServerHandshake::accept(frame)?;
        Ok(Self::open(&opened.token, opened.via))
    }

    /// Converts a frame that the target of a call sent.
    ///
    /// # Errors
    ///
    /// Fails if the frame is damaged.
    pub fn from_target(frame: Frame) -> Result<Self, ProtocolError> {
        if frame.kind == FrameKind::KeyExchange {
            let KeyReply { key, nonce, signature } = KeyReply::decode(frame.body)?;
            return Ok(Self::KeyExchange { key, nonce, signature });
        }
        // Check this before payloads, because a rejection has the form of a payload without
        // content.
        if let Some(reason) = call::rejection(&frame.body)? {
            return Ok(Self::Rejected(reason));
        }
        Ok(Self::sealed(Sealed::decode(frame.body)?))
    }

    /// Converts the body of an invoke or payload frame that the caller sent after opening the call.
    ///
    /// # Errors
    ///
    /// Fails if the frame is damaged.
    pub fn from_caller(body: Bytes) -> Result<Self, ProtocolError> {
        let sealed = Sealed::decode(body)?;
        Ok(match &*sealed.metadata {
            frame::CALLER_GONE => Self::CallerGone,
            _ if sealed.is_half_close() => Self::HalfClose,
            _ => Self::sealed(sealed),
        })
    }

    fn sealed(sealed: Sealed) -> Self {
        let encoding = frame::encoding(&sealed.metadata);
        let end = is_last(&sealed.metadata);
        Self::Payload { iv: sealed.iv, ciphertext: sealed.ciphertext, encoding, end }
    }

    /// Converts the frame to the binary protocol, for the caller.
    ///
    /// # Errors
    ///
    /// Fails if a field is too long for a frame, or callers do not receive this kind of frame.
    pub fn to_caller(&self, call: u64) -> Result<Vec<u8>, ProtocolError> {
        match self {
            Self::KeyExchange { key, nonce, signature } => {
                let (key, nonce, signature) = (key.clone(), nonce.clone(), signature.clone());
                KeyReply { key, nonce, signature }.encode(call)
            }
            Self::Payload { iv, ciphertext, encoding, end } => {
                let metadata = frame::metadata(*encoding, end.then_some(Last::Server));
                payload(call, iv, ciphertext, metadata)
            }
            Self::Rejected(reason) => call::reject(call, reason),
            Self::Open { .. } | Self::HalfClose | Self::CallerGone => {
                Err(ProtocolError::Unexpected("a target sent a frame that only callers send"))
            }
        }
    }

    /// Converts the frame to the binary protocol, for the target.
    ///
    /// # Errors
    ///
    /// Fails if a field is too long for a frame, or targets do not receive this kind of frame.
    pub fn to_target(&self, call: u64) -> Result<Frame, ProtocolError> {
        let frame = match self {
            Self::Open { token, via } => {
                let Parts { header, claims, signature } = token::split(token)?;
                let metadata = Via { header, ..via.clone() }.write()?;
                let (claims, signature) = (claims.into(), signature.into());
                KeyRequest { metadata, signature, claims }.encode(call)?
            }
            Self::Payload { iv, ciphertext, encoding, end } => {
                let metadata = frame::metadata(*encoding, end.then_some(Last::Client));
                payload(call, iv, ciphertext, metadata)?
            }
            Self::HalfClose => payload(call, &[], &[], frame::CLIENT_END)?,
            Self::CallerGone => payload(call, &[], &[], frame::CALLER_GONE)?,
            Self::KeyExchange { .. } | Self::Rejected(_) => {
                return Err(ProtocolError::Unexpected(
                    "a caller sent a frame that only targets send",
                ));
            }
        };
        // Encoded and decoded, so that the target applies the same checks as to a frame from a socket.
        Frame::decode(frame.into())
    }

    /// Creates the frame that opens a forwarded call, with the remaining route `via`.
    pub fn open(token: &Token, via: Via) -> Self {
        Self::Open { token: token.to_jwt(), via }
    }

    /// Returns whether this is the last frame in its direction.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Payload { end, .. } => *end,
            Self::HalfClose | Self::CallerGone | Self::Rejected(_) => true,
            Self::Open { .. } | Self::KeyExchange { .. } => false,
        }
    }
}

fn payload(
    call: u64,
    iv: &[u8],
    ciphertext: &[u8],
    metadata: &[u8],
) -> Result<Vec<u8>, ProtocolError> {
    let mut out = Vec::with_capacity(64 + ciphertext.len());
    begin_sealed(&mut out, FrameKind::Payload, call, metadata, iv)?;
    out.extend_from_slice(ciphertext);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::{key::SigningKey, proto::handshake::ServerHandshake};

    #[test]
    fn metadata_without_an_end_is_forwarded_without_one() {
        let frame = |metadata: &[u8]| {
            let frame = payload(1, &[7; 16], b"sealed", metadata).unwrap();
            Frame::decode(frame.into()).unwrap()
        };
        for (metadata, ends) in [(&b"{}"[..], false), (frame::CLIENT_END, true), (b"", false)] {
            let passed_on = TunnelFrame::from_caller(frame(metadata).body).unwrap();
            assert_eq!(passed_on.is_last(), ends, "{metadata:?}");
        }
        let answer = TunnelFrame::from_target(frame(br#"{"i":1}"#)).unwrap();
        assert!(!answer.is_last());
    }

    /// A third-party Rust client writes the algorithm second.
    #[test]
    fn a_token_with_another_header_is_verified_as_it_was_signed() {
        let key = SigningKey::generate().unwrap();
        let claims = br#"{"aud":"volt","iat":940,"exp":1060}"#;
        let jwt = |header: &str| {
            let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let signed = format!("{}.{}", part(header.as_bytes()), part(claims));
            let signature = key.sign(signed.as_bytes()).unwrap();
            format!("{signed}.{}", part(&signature))
        };
        for header in [token::HEADER, r#"{"typ":"JWT","alg":"EdDSA"}"#] {
            let token = jwt(header);
            let open = TunnelFrame::Open { token: token.clone(), via: Via::default() };
            let call = ServerHandshake::accept(&open.to_target(1).unwrap()).unwrap();
            call.token.verify(&key.verifying_key()).unwrap();
            assert_eq!((call.token.to_jwt(), call.via), (token, Via::default()));
        }
        for header in [r#"{"typ":"JWT","alg":"none"}"#, "{}"] {
            let open = TunnelFrame::Open { token: jwt(header), via: Via::default() };
            open.to_target(1).unwrap_err();
        }
    }

    /// A relay must put them into the same fields again.
    #[test]
    fn the_frames_of_a_caller_keep_their_form() {
        let payload = |encoding, end| {
            let (iv, ciphertext) = (Bytes::from_static(&[7; 16]), Bytes::from_static(b"sealed"));
            TunnelFrame::Payload { iv, ciphertext, encoding, end }
        };
        for frame in [
            payload(Encoding::Json, false),
            payload(Encoding::Json, true),
            payload(Encoding::Protobuf, false),
            payload(Encoding::Protobuf, true),
            TunnelFrame::HalfClose,
            TunnelFrame::CallerGone,
        ] {
            let passed_on = frame.to_target(1).unwrap();
            assert_eq!(passed_on.last, frame.is_last());
            assert_eq!(TunnelFrame::from_caller(passed_on.body), Ok(frame.clone()));
            if let TunnelFrame::Payload { .. } = frame {
                let answer = Frame::decode(frame.to_caller(1).unwrap().into()).unwrap();
                assert_eq!(TunnelFrame::from_target(answer), Ok(frame));
            } else {
                assert!(frame.to_caller(1).is_err());
            }
        }
    }
}
