//! A call on a connection: what its two halves and the connection's driver share.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::connection::Shared;
use crate::{
    CallOptions, Error, ErrorKind, Executed, MethodKind, Overflow, Result,
    message::Payload,
    proto::{ProtocolError, call::Outgoing, crypto::CallKey, handshake::ClientHandshake},
    queue::Queue,
    socket::CallSlot,
};

/// What the connection's driver and the two halves of a call share.
pub(super) struct CallState {
    id: u64,
    kind: MethodKind,
    shared: Arc<Shared>,
    inbox: Queue<Bytes>,
    overflow: Overflow,
    /// The server's key has come.
    keyed: AtomicBool,
    /// The peer has said that nothing more will come; what it said is in the inbox.
    peer_ended: AtomicBool,
    exchange: Mutex<Exchange>,
}

/// The key exchange and the sending side, which begin with one another.
struct Exchange {
    key: KeyState,
    outgoing: Outgoing,
    /// What is to be done on the wire as soon as there is a key.
    then: Then,
    wakers: Vec<Waker>,
}

pub(super) enum KeyState {
    /// The server's key has not come.
    Waiting(ClientHandshake),
    /// It has; the next half that needs the key works it out.
    Replied(ClientHandshake, Bytes),
    Ready(Arc<CallKey>),
    Failed(Error),
}

/// In the order in which they may follow one another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Then {
    Nothing,
    HalfClose,
    Cancel,
    /// One of the two sides has ended the call: there is nothing to say any more.
    Over,
}

impl CallState {
    pub(super) fn new(
        id: u64,
        shared: Arc<Shared>,
        key: KeyState,
        outgoing: Outgoing,
        kind: MethodKind,
        options: &CallOptions,
    ) -> Arc<Self> {
        let inbox = Queue::within(options.receive_buffer.max(1), shared.budget());
        Arc::new(Self {
            id,
            kind,
            shared,
            inbox,
            overflow: options.overflow,
            keyed: AtomicBool::new(!matches!(key, KeyState::Waiting(_))),
            peer_ended: AtomicBool::new(false),
            exchange: Mutex::new(Exchange {
                key,
                outgoing,
                then: Then::Nothing,
                wakers: Vec::new(),
            }),
        })
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        // A state left behind by a panic is still whole: each change below is one assignment.
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server's key exchange has come. Called by the driver, which leaves the work to the call,
    /// unless the call was dropped and the server has still to be told.
    pub(super) fn key_replied(&self, body: Bytes) {
        self.keyed.store(true, Ordering::Relaxed);
        let mut exchange = self.exchange();
        exchange.key = match std::mem::replace(&mut exchange.key, KeyState::Failed(ended())) {
            KeyState::Waiting(handshake) => KeyState::Replied(handshake, body),
            key => {
                // With the first key, what has arrived before can still be read.
                self.inbox.close(Some(Error::protocol("the Volt exchanged keys twice")));
                key
            }
        };
        if exchange.then == Then::Cancel {
            exchange.complete(&self.shared, self.id);
        }
        exchange.wake();
    }

    /// A frame for the inbox has come. One that says in clear that it is the last, or that comes
    /// before the key, is the end of the call.
    pub(super) fn frame_came(&self, last: bool) {
        if !last && self.keyed.load(Ordering::Relaxed) {
            return;
        }
        self.stop_sending();
        if self.exchange().then == Then::Cancel {
            self.shared.remove(self.id);
        }
    }

    /// Makes the sending half fail, even while it waits for a key.
    pub(super) fn stop_sending(&self) {
        self.peer_ended.store(true, Ordering::Release);
        self.exchange().wake();
    }

    /// The connection is gone.
    pub(super) fn lost(&self, reason: &Error) {
        self.inbox.close(Some(reason.clone()));
        let mut exchange = self.exchange();
        // With a key, what has arrived can still be read.
        if matches!(exchange.key, KeyState::Waiting(_)) {
            exchange.key = KeyState::Failed(reason.clone());
        }
        exchange.wake();
    }

    /// Whether everything has been said and one answer is due.
    pub(super) fn awaits_answer(&self) -> bool {
        match self.kind {
            MethodKind::Unary => true,
            MethodKind::ServerStreaming => false,
            MethodKind::ClientStreaming | MethodKind::Bidi => {
                let exchange = self.exchange();
                exchange.then == Then::HalfClose || exchange.outgoing.is_ended()
            }
        }
    }

    pub(super) fn poll_key(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<CallKey>>> {
        let mut exchange = self.exchange();
        exchange.complete(&self.shared, self.id);
        match &exchange.key {
            KeyState::Ready(key) => Poll::Ready(Ok(Arc::clone(key))),
            KeyState::Failed(error) => Poll::Ready(Err(error.clone())),
            _ => {
                if !exchange.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                    exchange.wakers.push(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    pub(super) fn peer_has_ended(&self) -> bool {
        self.peer_ended.load(Ordering::Acquire)
    }

    /// Waits until the connection has room for a message.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.shared.link().poll_room(cx)
    }

    /// Seals a message and queues it.
    pub(super) fn send(&self, key: &CallKey, message: &dyn Payload) -> Result<()> {
        let frame = self.exchange().outgoing.message(key, message).map_err(protocol_error)?;
        self.shared.link().send(frame);
        Ok(())
    }

    /// Does something on the wire now, or as soon as there is a key.
    pub(super) fn then(&self, then: Then) {
        let mut exchange = self.exchange();
        if exchange.then < then {
            exchange.then = then;
        }
        exchange.complete(&self.shared, self.id);
        exchange.perform(&self.shared, self.id);
    }

    /// Whether the Volt was told which method is called.
    pub(super) fn is_invoked(&self) -> bool {
        self.exchange().outgoing.is_invoked()
    }

    /// A legacy server wants its end answered, unless this side has ended already.
    pub(super) fn acknowledge_end(&self) {
        let mut exchange = self.exchange();
        let legacy = matches!(&exchange.key, KeyState::Ready(key) if key.legacy_iv().is_some());
        if legacy && exchange.outgoing.is_invoked() {
            exchange.then = Then::HalfClose;
            exchange.perform(&self.shared, self.id);
        }
    }

    /// Forgets the call without a word to the peer, which has ended it or is gone.
    pub(super) fn forget(&self) {
        self.exchange().then = Then::Over;
        self.shared.remove(self.id);
        self.inbox.abandon();
    }

    /// Ends the call on the wire and forgets it as soon as that is done.
    pub(super) fn cancel(&self) {
        self.inbox.abandon();
        self.then(Then::Cancel);
        if self.exchange().then == Then::Cancel {
            self.shared.forget_in_time(self.id);
        }
    }
}

impl Exchange {
    /// Works the key out if the server's half of it is there.
    fn complete(&mut self, shared: &Shared, id: u64) {
        if !matches!(self.key, KeyState::Replied(..)) {
            return;
        }
        let replied = std::mem::replace(&mut self.key, KeyState::Failed(ended()));
        let KeyState::Replied(handshake, body) = replied else {
            return;
        };
        self.key = match handshake.complete(body) {
            Ok(key) => KeyState::Ready(Arc::new(key)),
            Err(error) => KeyState::Failed(protocol_error(error).with_executed(Executed::No)),
        };
        self.wake();
        self.perform(shared, id);
    }

    /// Does what was put off until there is a key.
    fn perform(&mut self, shared: &Shared, id: u64) {
        let frame = match (&self.key, self.then) {
            (_, Then::Nothing | Then::Over) | (KeyState::Waiting(_) | KeyState::Replied(..), _) => {
                return;
            }
            (KeyState::Ready(key), Then::HalfClose) if !self.outgoing.is_ended() => {
                self.outgoing.end(key, None).ok()
            }
            (KeyState::Ready(key), Then::Cancel) => self.outgoing.cancel(key).ok(),
            (KeyState::Ready(_), Then::HalfClose) | (KeyState::Failed(_), _) => None,
        };
        if let Some(frame) = frame {
            shared.link().send(frame);
        }
        if self.then == Then::Cancel {
            self.then = Then::Over;
            shared.remove(id);
        }
    }

    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl CallSlot for CallState {
    fn inbox(&self) -> &Queue<Bytes> {
        &self.inbox
    }

    fn overflow(&self) -> Overflow {
        self.overflow
    }

    fn overflowed(&self) {
        let message = "responses arrive faster than they are read, and the buffer for them is full";
        self.inbox.close(Some(Error::new(ErrorKind::ResourceExhausted, message)));
        self.then(Then::Cancel);
    }
}

pub(super) fn protocol_error(error: ProtocolError) -> Error {
    Error::protocol(format!("this call cannot go on: {error}")).with_source(error)
}

pub(super) fn ended() -> Error {
    Error::connection("the call has ended")
}
