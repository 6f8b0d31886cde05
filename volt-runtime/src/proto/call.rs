//! A call after its key exchange: the messages that each end may send, and the frames that arrive.
//!
//! [`Outgoing`] is one end's sending side. A client's begins with the invocation, continues with
//! requests and ends with a half-close; a server's has responses and an end. After the end, a client
//! may still cancel. [`Arriving`] is the receiving side. It opens frames in their order and detects
//! those that were repeated or sent back.

use bytes::Bytes;
use serde::Deserialize;

use super::{
    ProtocolError,
    crypto::{CallKey, IV_LEN},
    envelope::{self, Envelope},
    frame::{self, FrameKind, Sealed},
    iv::{self, Received},
    legacy::{self, Opening, Position},
};
pub use super::{envelope::Incoming, iv::End};
use crate::{Code, Status, message::Payload};

pub(super) const CLIENT_END: &[u8] = br#"{"client_end":true}"#;
pub(super) const SERVER_END: &[u8] = br#"{"server_end":true}"#;

/// The message of the status `Unavailable` with which a stopping server ends a call that it did not
/// execute.
#[cfg(feature = "socket")]
pub(crate) const NOT_EXECUTED: &str = "this server is shutting down, and did not execute the call";

/// The sending side of a call: seals messages into frames, in the order that the protocol requires.
///
/// | phase | may seal |
/// |---|---|
/// | opening (client) | the invocation with the first request, which leads to the next phase; or an end |
/// | requests (client) | requests, and a half-close |
/// | responses (server) | responses, and the end |
/// | ended | a cancellation, of a client |
#[derive(Debug)]
pub struct Outgoing {
    call: u64,
    phase: Phase,
    /// The maximum size of a message on the wire, in bytes.
    limit: usize,
}

#[derive(Debug)]
enum Phase {
    /// A client that has not named its method yet. Boxed, because open calls are many.
    Opening(Box<Invocation>),
    /// A client that has named its method.
    Requests,
    /// A server.
    Responses,
    /// Nothing more may be sent. Remembers whether this is the client's side.
    Ended { client: bool },
}

/// The parts of a client's first message beside the request.
#[derive(Debug)]
struct Invocation {
    method_name: String,
    service_id: Option<String>,
    /// The opening of a legacy call.
    legacy: Option<Opening>,
}

impl Outgoing {
    /// Creates a client's side. Its first message invokes `method_name`.
    pub fn client(call: u64, method_name: &str, service_id: Option<&str>) -> Self {
        Self::opening(call, method_name, service_id, None)
    }

    /// Creates a client's side of a legacy call. Its first message also opens the call.
    pub fn legacy_client(
        call: u64,
        method_name: &str,
        service_id: Option<&str>,
        opening: Opening,
    ) -> Self {
        Self::opening(call, method_name, service_id, Some(opening))
    }

    fn opening(
        call: u64,
        method_name: &str,
        service_id: Option<&str>,
        legacy: Option<Opening>,
    ) -> Self {
        let invocation = Invocation {
            method_name: method_name.to_owned(),
            service_id: service_id.map(str::to_owned),
            legacy,
        };
        Self { call, phase: Phase::Opening(Box::new(invocation)), limit: usize::MAX }
    }

    /// Creates a server's side.
    pub fn server(call: u64) -> Self {
        Self { call, phase: Phase::Responses, limit: usize::MAX }
    }

    /// Refuses messages that are larger than `limit` on the wire, in bytes.
    #[must_use]
    pub fn with_limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Splits off the part that seals the first message. The rest seals the messages that follow.
    #[must_use]
    pub fn split_first(&mut self) -> Self {
        let rest = Self { call: self.call, phase: Phase::Requests, limit: self.limit };
        std::mem::replace(self, rest)
    }

    /// Returns whether the call has ended on this side.
    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// Returns whether the invocation has been sealed for the peer.
    pub fn is_invoked(&self) -> bool {
        !matches!(self.phase, Phase::Opening(_))
    }

    /// Seals `message` into a frame.
    ///
    /// # Errors
    ///
    /// After the end, or when the message cannot be written or exceeds the limit. Another message may
    /// be sent instead.
    pub fn message(
        &mut self,
        key: &CallKey,
        message: &dyn Payload,
    ) -> Result<Vec<u8>, ProtocolError> {
        self.message_with_iv(key, self.iv()?, message)
    }

    /// As [`message`](Self::message), for replaying a recorded call.
    ///
    /// # Errors
    ///
    /// As [`message`](Self::message).
    pub fn message_with_iv(
        &mut self,
        key: &CallKey,
        iv: [u8; IV_LEN],
        message: &dyn Payload,
    ) -> Result<Vec<u8>, ProtocolError> {
        match &self.phase {
            Phase::Opening(invocation) => {
                let Invocation { method_name, service_id, .. } = &**invocation;
                let frame = self.seal(key, FrameKind::Invoke, false, iv, |out| {
                    envelope::write_invoke(out, method_name, service_id.as_deref(), message)
                })?;
                // Only now: after a failure the next message still has to name the method.
                self.phase = Phase::Requests;
                Ok(frame)
            }
            Phase::Requests | Phase::Responses => {
                self.seal(key, FrameKind::Payload, false, iv, |out| {
                    envelope::write_payload(out, message)
                })
            }
            Phase::Ended { .. } => {
                Err(ProtocolError::Unexpected("nothing can be sent after the end of a call"))
            }
        }
    }

    /// Seals the frame that ends this side, with the reason if it is a failure. A side ends only
    /// once; after that, only a cancellation may follow.
    ///
    /// # Errors
    ///
    /// When this side has already ended.
    pub fn end(
        &mut self,
        key: &CallKey,
        failure: Option<&Status>,
    ) -> Result<Vec<u8>, ProtocolError> {
        self.end_with_iv(key, self.iv()?, failure)
    }

    /// As [`end`](Self::end), for replaying a recorded call.
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end).
    pub fn end_with_iv(
        &mut self,
        key: &CallKey,
        iv: [u8; IV_LEN],
        failure: Option<&Status>,
    ) -> Result<Vec<u8>, ProtocolError> {
        if self.is_ended() {
            return Err(ProtocolError::Unexpected("a call ends only once"));
        }
        self.seal_end(key, iv, failure)
    }

    /// Seals the frame with which a client cancels the call; see the function [`cancel`].
    ///
    /// # Errors
    ///
    /// When the crypto library fails, which is not expected.
    pub fn cancel(&mut self, key: &CallKey) -> Result<Vec<u8>, ProtocolError> {
        self.seal_end(key, self.iv()?, Some(&cancelled()))
    }

    /// Seals an end even if this side has ended before, for a cancellation.
    fn seal_end(
        &mut self,
        key: &CallKey,
        iv: [u8; IV_LEN],
        failure: Option<&Status>,
    ) -> Result<Vec<u8>, ProtocolError> {
        let frame =
            self.seal(key, FrameKind::Payload, true, iv, |out| envelope::write_end(out, failure))?;
        self.phase = Phase::Ended { client: self.is_client() };
        Ok(frame)
    }

    fn iv(&self) -> Result<[u8; IV_LEN], ProtocolError> {
        iv::draw(if self.is_client() { End::Client } else { End::Server })
    }

    fn is_client(&self) -> bool {
        match self.phase {
            Phase::Opening(_) | Phase::Requests => true,
            Phase::Responses => false,
            Phase::Ended { client } => client,
        }
    }

    /// Seals an envelope as the call's protocol requires.
    fn seal(
        &self,
        key: &CallKey,
        kind: FrameKind,
        end: bool,
        iv: [u8; IV_LEN],
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), ProtocolError>,
    ) -> Result<Vec<u8>, ProtocolError> {
        let client = self.is_client();
        let mut out = Vec::with_capacity(256);
        if let Some(iv) = key.legacy_iv() {
            let opening = match &self.phase {
                Phase::Opening(invocation) => invocation.legacy.as_ref(),
                _ => None,
            };
            // The legacy form encrypts and encodes the whole message, so its size is known only after that.
            write(&mut out)?;
            let sealed = legacy::seal(key, iv, self.call, Position { client, end }, opening, out)?;
            return self.check_size(sealed.len()).map(|()| sealed);
        }
        let metadata = match (end, client) {
            (false, _) => &[][..],
            (true, true) => CLIENT_END,
            (true, false) => SERVER_END,
        };
        frame::begin_sealed(&mut out, kind, self.call, metadata, &iv)?;
        let start = out.len();
        write(&mut out)?;
        // Before the encryption, which would be wasted on a message that is too large.
        self.check_size(out.len())?;
        key.encrypt_from(iv, &mut out, start)?;
        Ok(out)
    }

    fn check_size(&self, size: usize) -> Result<(), ProtocolError> {
        if size > self.limit {
            return Err(ProtocolError::MessageTooLarge { size, limit: self.limit });
        }
        Ok(())
    }
}

/// Seals the frame with which a client cancels a call, whether or not it has half-closed.
///
/// The frame is a `method_end` with gRPC's code for a cancelled call. A peer that ignores the code
/// sees a half-close, or a frame after one, which it ignores.
///
/// # Errors
///
/// When the crypto library fails, which is not expected.
pub fn cancel(call: u64, key: &CallKey) -> Result<Vec<u8>, ProtocolError> {
    requests(call).cancel(key)
}

/// Seals the frame with which a client half-closes a call, even one that it has not invoked.
///
/// # Errors
///
/// As [`cancel`].
pub fn half_close(call: u64, key: &CallKey) -> Result<Vec<u8>, ProtocolError> {
    requests(call).end(key, None)
}

/// A client's side that can only end the call.
fn requests(call: u64) -> Outgoing {
    Outgoing { call, phase: Phase::Requests, limit: usize::MAX }
}

fn cancelled() -> Status {
    Status::new(Code::Cancelled, "cancelled by the caller")
}

#[derive(Default, Deserialize)]
struct Metadata {
    error: Option<String>,
}

/// Returns the error in a frame's metadata, which is readable without a key.
///
/// # Errors
///
/// When the frame is damaged.
pub fn rejection(body: &Bytes) -> Result<Option<String>, ProtocolError> {
    read_rejection(&Sealed::decode(body.clone())?)
}

/// Returns the error in the metadata. It is the sender's claim: the metadata is not authenticated.
fn read_rejection(sealed: &Sealed) -> Result<Option<String>, ProtocolError> {
    // Most frames have no metadata, or only the mark of the last frame.
    if sealed.metadata.is_empty() || sealed.metadata == SERVER_END || sealed.metadata == CLIENT_END
    {
        return Ok(None);
    }
    let metadata: Metadata = serde_json::from_slice(&sealed.metadata)
        .map_err(|error| ProtocolError::Json { what: "frame metadata", why: error.to_string() })?;
    Ok(metadata.error.filter(|error| !error.is_empty()))
}

/// The receiving side of a call: opens payloads, and refuses those that this side has sent itself and
/// those that have already arrived in this call.
///
/// In the legacy protocol, equal messages of both sides are equal on the wire, so it can refuse neither.
#[derive(Debug)]
pub struct Arriving {
    end: End,
    received: Received,
}

impl Arriving {
    /// Creates the receiving side of this end.
    pub fn new(end: End) -> Self {
        Self { end, received: Received::default() }
    }

    /// As the function [`open`], for each frame once.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Repeated`] for a payload of this side or one that has already arrived, and as
    /// [`open`].
    pub fn open(&mut self, key: &CallKey, body: Bytes) -> Result<Incoming, ProtocolError> {
        if let Some(block) = self.check(key, &body)? {
            self.received.remember(block);
        }
        open(key, body)
    }

    /// As [`open`](Self::open), for a frame that will be opened again in its turn.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn peek(&self, key: &CallKey, body: Bytes) -> Result<Incoming, ProtocolError> {
        self.check(key, &body)?;
        open(key, body)
    }

    /// Returns the first block of the ciphertext of a payload that has not been seen before, if it has
    /// one.
    fn check(&self, key: &CallKey, body: &Bytes) -> Result<Option<[u8; IV_LEN]>, ProtocolError> {
        if key.legacy_iv().is_some() {
            return Ok(None);
        }
        let sealed = Sealed::decode(body.clone())?;
        let iv = <[u8; IV_LEN]>::try_from(&sealed.iv[..]);
        let (Ok(iv), Some(block)) = (iv, sealed.ciphertext.first_chunk().copied()) else {
            // A rejection, or an error that opening it reports.
            return Ok(None);
        };
        // One that the peer has sent before, or one of this side that was sent back.
        if self.received.contains(block) || iv::is_drawn(self.end, iv)? {
            return Err(ProtocolError::Repeated);
        }
        Ok(Some(block))
    }
}

/// Opens the body of an invoke or payload frame.
///
/// # Errors
///
/// When the body is damaged, cannot be decrypted, or does not hold an envelope.
pub fn open(key: &CallKey, body: Bytes) -> Result<Incoming, ProtocolError> {
    if let Some(iv) = key.legacy_iv() {
        return legacy::open_message(key, iv, &body);
    }
    let sealed = Sealed::decode(body)?;
    if let Some(error) = read_rejection(&sealed)? {
        return Ok(Incoming::Rejected(error));
    }
    let iv: [u8; IV_LEN] = sealed.iv[..].try_into().map_err(|_| ProtocolError::Decrypt)?;
    let ciphertext = sealed.ciphertext;
    drop((sealed.metadata, sealed.iv));
    // The only copy of an incoming message: the socket's buffer also holds the frames that follow.
    let mut text = Vec::from(ciphertext);
    key.decrypt(iv, &mut text)?;
    Envelope::take(text).map(Incoming::Envelope)
}

/// Builds the frame that rejects a call before it has a key. The reason is sent in clear text.
///
/// # Errors
///
/// When the reason is too long for a frame.
pub fn reject(call: u64, reason: &str) -> Result<Vec<u8>, ProtocolError> {
    let metadata = serde_json::json!({ "error": reason }).to_string();
    let mut out = Vec::with_capacity(frame::HEADER_LEN + 3 + metadata.len());
    frame::begin_sealed(&mut out, FrameKind::Payload, call, metadata.as_bytes(), &[])?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::frame::Frame;

    #[test]
    fn a_repetition_with_another_vector_is_refused() {
        let key = CallKey::from_raw(&[7; 32]).unwrap();
        let mut arriving = Arriving::new(End::Client);
        let frame = Outgoing::server(1).end(&key, None).unwrap();
        let sealed = Sealed::decode(Frame::decode(frame.clone().into()).unwrap().body).unwrap();
        let at = frame.windows(IV_LEN).position(|part| part == &sealed.iv[..]).unwrap();
        let mut changed = frame.clone();
        // The second byte of the text becomes a space, which JSON allows there.
        changed[at + 1] ^= b'"' ^ b' ';
        let mut open =
            |frame: Vec<u8>| arriving.open(&key, Frame::decode(frame.into()).unwrap().body);
        assert!(open(frame).is_ok());
        assert!(matches!(open(changed), Err(ProtocolError::Repeated)));
    }
}
