//! One call, as its connection knows it.

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

/// How far the key exchange of a call is.
#[derive(Debug)]
pub enum KeyExchange {
    /// The Volt's key has not arrived.
    Awaiting(ClientHandshake),
    /// The Volt's key has arrived. Deriving the call's key from it is left to whoever needs that.
    Replied(ClientHandshake, Bytes),
    /// Somebody is deriving the call's key.
    Deriving,
    /// Messages can be sealed and opened.
    Done(Arc<CallKey>),
    /// There will be no key.
    Failed,
}

impl KeyExchange {
    /// Accepts the Volt's key. Returns whether it was expected.
    pub(super) fn reply(&mut self, body: Bytes) -> bool {
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

    /// The derivation that is to be done now, if any. It is handed out once.
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

/// The first request of a call that is sent without being waited for: it leaves as soon as there is a
/// key and room.
pub struct FirstRequest {
    /// Seals the request.
    pub outgoing: Outgoing,
    /// The request.
    pub message: Arc<dyn Payload>,
    /// Whether no other request follows.
    pub last: bool,
    /// When it is too late to send it.
    pub deadline: Option<Instant>,
}

impl FirstRequest {
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

#[derive(Debug)]
pub(super) enum Job {
    Derive(Derivation),
    First(u64, Arc<CallKey>, FirstRequest),
    HalfClose(u64, Arc<CallKey>),
    Cancel(u64, Arc<CallKey>),
}

impl Work {
    /// Does it. This takes up to a tenth of a millisecond, longer for a large request, and no lock should
    /// be held meanwhile. The result goes to [`Connection::complete`](super::Connection::complete).
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
    /// The frames of the request, and of a half-close if it was the last.
    First(u64, Result<Vec<Vec<u8>>>),
    HalfClose(u64, Result<Vec<u8>, ProtocolError>),
    Cancel(u64, Result<Vec<u8>, ProtocolError>),
}

/// What the worker of a connection does.
#[derive(Debug)]
pub enum Task {
    /// The cryptography of one call.
    Call(Work),
    /// Open so many calls for the pool with [`Connection::preopen`](super::Connection::preopen).
    Preopen(usize),
}

/// What this side may still send.
pub(super) enum Phase {
    /// There is no key yet, or what waits for it is being sealed.
    Keying(Queued),
    /// Messages, and then a half-close.
    Open,
    /// Only a cancellation: this side has half-closed, or the Volt has said its last word.
    HalfClosed,
    /// The call is to be cancelled as soon as there is a key.
    Closing,
    /// Nothing.
    Closed,
}

/// What is to be sent as soon as there is a key.
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
pub(super) struct Call {
    pub(super) exchange: KeyExchange,
    pub(super) phase: Phase,
    /// The Volt was told which method is called.
    pub(super) invoked: bool,
    /// This side has half-closed, or is going to.
    pub(super) half_closed: bool,
    /// The receiving half, which owns the call, has been dropped.
    pub(super) abandoned: bool,
    pub(super) inbox: Inbox,
    /// The sending half, while it waits for the key.
    pub(super) writer: Option<Waker>,
    kind: MethodKind,
}

impl Call {
    pub(super) fn new(exchange: KeyExchange, kind: MethodKind, options: &CallOptions) -> Box<Self> {
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
            inbox: Inbox::new(options.receive_buffer, options.overflow),
            writer: None,
            kind,
        })
    }

    /// Whether everything has been said and one answer is due.
    pub(super) fn awaits_answer(&self) -> bool {
        !self.abandoned
            && match self.kind {
                MethodKind::Unary => true,
                MethodKind::ServerStreaming => false,
                MethodKind::ClientStreaming | MethodKind::Bidi => self.half_closed,
            }
    }

    /// Whether something of this call waits for cryptography, though perhaps not for its turn.
    pub(super) fn needs_worker(&self) -> bool {
        match &self.phase {
            Phase::Closing => true,
            Phase::Keying(queued) => !queued.is_empty(),
            _ => false,
        }
    }

    /// Makes both halves look at the call again.
    pub(super) fn wake_halves(&mut self, wakes: &mut Wakes) {
        wakes.add(self.writer.take());
        self.inbox.wake_reader(wakes);
    }

    /// Makes the sending half fail, even while it waits for a key.
    pub(super) fn stop_sending(&mut self, wakes: &mut Wakes) {
        if matches!(self.phase, Phase::Keying(_) | Phase::Open) {
            self.phase = Phase::HalfClosed;
        }
        wakes.add(self.writer.take());
    }
}

/// The error of a call that cannot go on.
pub(crate) fn protocol_error(error: ProtocolError) -> Error {
    Error::protocol(format!("this call cannot go on: {error}")).with_source(error)
}
