//! A call after its key exchange: the messages that each end may send, and the frames that arrive.
//!
//! [`Outgoing`] is one end's sending side. A client's begins with the invocation, continues with
//! requests and ends with a half-close; a server's has responses and an end. After the end, a client
//! may still cancel. [`Arriving`] is the receiving side.

use super::{
    ProtocolError, binary,
    crypto::{CallKey, IV_LEN},
    envelope,
    frame::{self, FrameKind, Last},
    iv,
    legacy::{self, Opening, Position},
};
pub use super::{
    arriving::{Arriving, open, rejection},
    envelope::Incoming,
    iv::End,
};
use crate::{
    Code, MethodKind, Status,
    message::{Encoding, Payload},
};

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
    encoding: Encoding,
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
    kind: MethodKind,
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
            kind: MethodKind::Unary,
            legacy,
        };
        Self::new(call, Phase::Opening(Box::new(invocation)))
    }

    /// Creates a server's side.
    pub fn server(call: u64) -> Self {
        Self::new(call, Phase::Responses)
    }

    fn new(call: u64, phase: Phase) -> Self {
        Self { call, phase, encoding: Encoding::Json, limit: usize::MAX }
    }

    /// Makes a client's side use the binary form. Its first message also contains the kind of the method.
    #[must_use]
    pub fn in_protobuf(mut self, kind: MethodKind) -> Self {
        self.encoding = Encoding::Protobuf;
        if let Phase::Opening(invocation) = &mut self.phase {
            invocation.kind = kind;
        }
        self
    }

    /// Makes a server's side use this encoding: that of its caller.
    pub fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
    }

    /// Refuses messages that are larger than `limit` on the wire, in bytes.
    #[must_use]
    pub fn with_limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Splits off the part that seals the first message. The rest seals the messages that follow.
    #[must_use]
    pub fn split_first(&mut self) -> Self {
        let rest = Self { phase: Phase::Requests, ..*self };
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
    /// Fails after the end, or if the message cannot be written or exceeds the limit. Another message
    /// may be sent instead.
    pub fn message(
        &mut self,
        key: &CallKey,
        message: &dyn Payload,
    ) -> Result<Vec<u8>, ProtocolError> {
        self.message_with_iv(key, self.iv()?, message)
    }

    /// Like [`message`](Self::message), for replaying a recorded call.
    ///
    /// # Errors
    ///
    /// Same as [`message`](Self::message).
    pub fn message_with_iv(
        &mut self,
        key: &CallKey,
        iv: [u8; IV_LEN],
        message: &dyn Payload,
    ) -> Result<Vec<u8>, ProtocolError> {
        match &self.phase {
            Phase::Opening(invocation) => {
                let Invocation { method_name, service_id, kind, .. } = &**invocation;
                let service_id = service_id.as_deref();
                let frame = self.seal(key, FrameKind::Invoke, false, iv, |out| {
                    match self.encoding {
                        Encoding::Json => {
                            envelope::write_invoke(out, method_name, service_id, message)?;
                        }
                        Encoding::Protobuf => {
                            binary::write_invoke(out, method_name, *kind, service_id, message);
                        }
                    }
                    Ok(())
                })?;
                // Change the state only now: after a failure the next message still has to name the
                // method.
                self.phase = Phase::Requests;
                Ok(frame)
            }
            Phase::Requests | Phase::Responses => {
                self.seal(key, FrameKind::Payload, false, iv, |out| match self.encoding {
                    Encoding::Json => envelope::write_payload(out, message),
                    Encoding::Protobuf => {
                        binary::write_payload(out, message);
                        Ok(())
                    }
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
    /// Fails if this side has already ended.
    pub fn end(
        &mut self,
        key: &CallKey,
        failure: Option<&Status>,
    ) -> Result<Vec<u8>, ProtocolError> {
        self.end_with_iv(key, self.iv()?, failure)
    }

    /// Like [`end`](Self::end), for replaying a recorded call.
    ///
    /// # Errors
    ///
    /// Same as [`end`](Self::end).
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
    /// Fails if the crypto library fails, which is not expected.
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
        let frame = self.seal(key, FrameKind::Payload, true, iv, |out| match self.encoding {
            Encoding::Json => envelope::write_end(out, failure),
            Encoding::Protobuf => {
                binary::write_end(out, failure);
                Ok(())
            }
        })?;
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
        let last = end.then_some(if client { Last::Client } else { Last::Server });
        let metadata = frame::metadata(self.encoding, last);
        frame::begin_sealed(&mut out, kind, self.call, metadata, &iv)?;
        let start = out.len();
        write(&mut out)?;
        // Check this before the encryption, which would be wasted on a message that is too large.
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
/// Fails if the crypto library fails, which is not expected.
pub fn cancel(call: u64, key: &CallKey) -> Result<Vec<u8>, ProtocolError> {
    requests(call).cancel(key)
}

/// Seals the frame with which a client half-closes a call, even one that it has not invoked.
///
/// # Errors
///
/// Same as [`cancel`].
pub fn half_close(call: u64, key: &CallKey) -> Result<Vec<u8>, ProtocolError> {
    requests(call).end(key, None)
}

/// A client's side that can only end the call.
fn requests(call: u64) -> Outgoing {
    Outgoing::new(call, Phase::Requests)
}

fn cancelled() -> Status {
    Status::new(Code::Cancelled, "cancelled by the caller")
}

/// Builds the frame that rejects a call before it has a key. The reason is sent in clear text.
///
/// # Errors
///
/// Fails if the reason is too long for a frame.
pub fn reject(call: u64, reason: &str) -> Result<Vec<u8>, ProtocolError> {
    let metadata = serde_json::json!({ "error": reason }).to_string();
    let mut out = Vec::with_capacity(frame::HEADER_LEN + 3 + metadata.len());
    frame::begin_sealed(&mut out, FrameKind::Payload, call, metadata.as_bytes(), &[])?;
    Ok(out)
}
