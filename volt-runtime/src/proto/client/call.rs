//! The connection's state of one call, and the cryptography that it hands out as [`Work`].
//!
//! [The module](super) has the states. `Work` owns all that it needs, so that a task can perform it without
//! the lock around the connection.

use std::{fmt, mem, sync::Arc, task::Waker, time::Instant};

use bytes::Bytes;

use crate::{
    CallOptions, Error, ErrorKind, Executed, MethodKind, Result,
    message::Payload,
    proto::{
        ProtocolError,
        call::{self, Outgoing},
        crypto::CallKey,
        flow::Inbox,
        handshake::ClientHandshake,
    },
    queue::Wakes,
};

/// The progress of a call's key exchange.
#[derive(Debug)]
pub enum KeyExchange {
    /// The Volt's key has not arrived.
    Awaiting(ClientHandshake),
    /// The Volt's key has arrived. The half or worker that needs the call's key derives it.
    Replied(ClientHandshake, Bytes),
    /// The call's key is being derived.
    Deriving,
    /// Messages can be sealed and opened.
    Done(Arc<CallKey>),
    /// The key exchange failed.
    Failed,
}

impl KeyExchange {
    /// Accepts the Volt's key. Returns whether the key was expected.
    pub(super) fn reply(&mut self, body: Bytes) -> bool {
        // Moved out and back: the handshake moves from one state to the next.
        match mem::replace(self, Self::Failed) {
            Self::Awaiting(handshake) => {
                *self = Self::Replied(handshake, body);
                true
            }
            other => {
                *self = other;
                false
            }
        }
    }

    /// Returns the pending key derivation, if any. The work is returned only once.
    pub(super) fn derive(&mut self, call: u64) -> Option<Work> {
        if !matches!(self, Self::Replied(..)) {
            return None;
        }
        match mem::replace(self, Self::Deriving) {
            Self::Replied(handshake, body) => {
                Some(Work(Job::Derive(Derivation { call, handshake, body })))
            }
            _ => None,
        }
    }

    pub(super) fn key(&self) -> Option<&Arc<CallKey>> {
        match self {
            Self::Done(key) => Some(key),
            _ => None,
        }
    }
}

/// A key to be derived.
#[derive(Debug)]
pub(super) struct Derivation {
    call: u64,
    handshake: ClientHandshake,
    body: Bytes,
}

impl Derivation {
    /// Checks the Volt's signature and derives the call's key.
    fn key(self) -> Result<CallKey, ProtocolError> {
        self.handshake.complete(self.body)
    }
}

/// The first request of a call. It is sent in the background, as soon as the key is available and
/// the outbox has room.
pub struct FirstRequest {
    /// Seals the request.
    pub outgoing: Outgoing,
    /// The request.
    pub message: Arc<dyn Payload>,
    /// Set if no other request follows.
    pub last: bool,
    /// The time after which it must not be sent.
    pub deadline: Option<Instant>,
}

impl FirstRequest {
    /// Seals the request, and the half-close with it if no other follows. The deadline is checked here,
    /// at the last moment at which the request can still be held back.
    fn seal(self, now: Instant, id: u64, key: &CallKey) -> Result<Vec<Vec<u8>>> {
        let Self { mut outgoing, message, last, deadline } = self;
        if deadline.is_some_and(|deadline| deadline <= now) {
            let message = "the deadline passed before the request could be sent";
            return Err(Error::new(ErrorKind::Deadline, message).with_executed(Executed::No));
        }
        let mut frames = vec![outgoing.message(key, &*message).map_err(protocol_error)?];
        if last {
            frames.push(call::half_close(id, key).map_err(protocol_error)?);
        }
        Ok(frames)
    }
}

impl fmt::Debug for FirstRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstRequest").field("last", &self.last).finish_non_exhaustive()
    }
}

/// Cryptography that a call waits for.
#[derive(Debug)]
pub struct Work(pub(super) Job);

/// The kinds of work, each with everything that it needs.
#[derive(Debug)]
pub(super) enum Job {
    /// Verify the Volt's key and derive that of the call.
    Derive(Derivation),
    /// Seal the first request.
    First(u64, Arc<CallKey>, FirstRequest),
    /// Seal the half-close.
    HalfClose(u64, Arc<CallKey>),
    /// Seal the cancellation.
    Cancel(u64, Arc<CallKey>),
}

impl Work {
    /// Performs the work. This takes up to a tenth of a millisecond, longer for a large request; do
    /// not hold a lock meanwhile. The result goes to
    /// [`Connection::complete`](super::Connection::complete).
    #[must_use]
    pub fn run(self, now: Instant) -> Done {
        Done(match self.0 {
            Job::Derive(derivation) => {
                Outcome::Derived(derivation.call, derivation.key().map(Arc::new))
            }
            Job::First(id, key, first) => Outcome::First(id, first.seal(now, id, &key)),
            Job::HalfClose(id, key) => Outcome::HalfClose(id, call::half_close(id, &key)),
            Job::Cancel(id, key) => Outcome::Cancel(id, call::cancel(id, &key)),
        })
    }
}

/// The result of some [`Work`].
#[derive(Debug)]
pub struct Done(pub(super) Outcome);

#[derive(Debug)]
pub(super) enum Outcome {
    Derived(u64, Result<Arc<CallKey>, ProtocolError>),
    /// The frames of the request, and of the half-close if it was the last one.
    First(u64, Result<Vec<Vec<u8>>>),
    HalfClose(u64, Result<Vec<u8>, ProtocolError>),
    Cancel(u64, Result<Vec<u8>, ProtocolError>),
}

/// A task for the connection's worker.
#[derive(Debug)]
pub enum Task {
    /// The cryptography of one call.
    Call(Work),
    /// Open this many calls for the pool with [`Connection::preopen`](super::Connection::preopen).
    Preopen(usize),
}

/// The frames that this side may still send.
pub(super) enum Phase {
    /// There is no key yet, or the queued frames are being sealed.
    Keying(Queued),
    /// Messages may be sent, and then a half-close.
    Open,
    /// Only a cancellation may be sent: this side has half-closed, or the Volt has ended the call.
    HalfClosed,
    /// The call is cancelled as soon as there is a key.
    Closing,
    /// Nothing.
    Closed,
}

/// Frames to send as soon as there is a key.
#[derive(Default)]
pub(super) struct Queued {
    pub(super) first: Option<FirstRequest>,
    /// The first request is being sealed.
    pub(super) sealing: bool,
    pub(super) half_close: bool,
}

impl Queued {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && !self.sealing && !self.half_close
    }
}

/// One call.
///
/// The flags are facts that stay once they are set. [`Phase`] is what may still be sent, `exchange`
/// whether there is a key, and `inbox` what can still be read.
#[expect(clippy::struct_excessive_bools, reason = "each is set once, independently of the others")]
pub(super) struct Call {
    pub(super) exchange: KeyExchange,
    pub(super) phase: Phase,
    /// The invocation has been sent to the Volt.
    pub(super) invoked: bool,
    /// This side has half-closed, or will do so once there is a key.
    pub(super) half_closed: bool,
    /// The receiving half, which owns the call, has been dropped. The call is removed as soon as it is
    /// cancelled.
    pub(super) abandoned: bool,
    /// The Volt has ended the call. Its last frame may not have been read. Such calls no longer count
    /// as open.
    pub(super) ended: bool,
    /// The frames that have arrived and not been read.
    pub(super) inbox: Inbox,
    /// The sending half, while it waits for the key.
    pub(super) writer: Option<Waker>,
    kind: MethodKind,
}

impl Call {
    pub(super) fn new(exchange: KeyExchange, kind: MethodKind, options: &CallOptions) -> Box<Self> {
        // A call from the pool, and a legacy one, may have its key.
        let phase = match &exchange {
            KeyExchange::Done(_) => Phase::Open,
            _ => Phase::Keying(Queued::default()),
        };
        Box::new(Self {
            exchange,
            phase,
            invoked: false,
            half_closed: false,
            abandoned: false,
            ended: false,
            inbox: Inbox::new(options.receive_buffer, options.overflow),
            writer: None,
            kind,
        })
    }

    /// Returns whether all requests have been sent and a single response is due. Closing waits for such
    /// calls. A bidirectional call counts after its half-close, because its requests are complete then.
    pub(super) fn awaits_answer(&self) -> bool {
        !self.abandoned
            && !self.ended
            && match self.kind {
                MethodKind::Unary => true,
                MethodKind::ServerStreaming => false,
                MethodKind::ClientStreaming | MethodKind::Bidi => self.half_closed,
            }
    }

    /// Returns whether the call could send its first message, but has not.
    pub(super) fn is_unsent(&self) -> bool {
        match &self.phase {
            Phase::Keying(queued) => !self.invoked && queued.is_empty(),
            Phase::Open => !self.invoked,
            _ => false,
        }
    }

    /// Returns whether the call has cryptography pending. It may still lack the key or room in the
    /// outbox.
    pub(super) fn needs_worker(&self) -> bool {
        match &self.phase {
            Phase::Closing => true,
            Phase::Keying(queued) => !queued.is_empty(),
            _ => false,
        }
    }

    /// Wakes both halves, so that they poll the call again.
    pub(super) fn wake_halves(&mut self, wakes: &mut Wakes) {
        wakes.add(self.writer.take());
        self.inbox.wake_reader(wakes);
    }

    /// Fails the sending half, even while it waits for the key.
    pub(super) fn stop_sending(&mut self, wakes: &mut Wakes) {
        // The later phases send no messages anyway, and must not be undone.
        if matches!(self.phase, Phase::Keying(_) | Phase::Open) {
            self.phase = Phase::HalfClosed;
        }
        wakes.add(self.writer.take());
    }
}

/// Converts a protocol error into the error that fails the call.
pub(crate) fn protocol_error(error: ProtocolError) -> Error {
    // This is known before any part of the message was sent, and the caller must resolve it.
    if let ProtocolError::MessageTooLarge { .. } = error {
        let message = format!("{error} (`ConnectOptions::max_sent_message_size`)");
        return Error::new(ErrorKind::ResourceExhausted, message).with_executed(Executed::No);
    }
    Error::protocol(format!("the call failed: {error}")).with_source(error)
}
