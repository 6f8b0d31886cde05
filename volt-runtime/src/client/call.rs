//! A call on a connection: its state, and the two halves that its owner holds.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;

use super::connection::{CloseOnDrop, Shared};
use crate::{
    Error, ErrorKind, Executed, Overflow, Result, Status,
    message::Payload,
    proto::{
        ProtocolError,
        call::{self, Incoming, Outgoing},
        crypto::CallKey,
        envelope::Envelope,
        handshake::ClientHandshake,
    },
    queue::{Popped, Queue},
    socket::CallSlot,
    transport::{ReceiveHalf, SendHalf},
};

/// What the connection's driver and the two halves of a call share.
pub(super) struct CallState {
    id: u64,
    shared: Arc<Shared>,
    inbox: Queue<Bytes>,
    overflow: Overflow,
    /// The peer has said that nothing more will come; what it said is in the inbox.
    peer_ended: AtomicBool,
    exchange: Mutex<Exchange>,
    _open: Arc<CloseOnDrop>,
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    HalfClose,
    Cancel,
}

impl CallState {
    pub(super) fn new(
        id: u64,
        shared: Arc<Shared>,
        open: Arc<CloseOnDrop>,
        key: KeyState,
        outgoing: Outgoing,
        options: &crate::CallOptions,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            shared,
            inbox: Queue::new(options.receive_buffer.max(1)),
            overflow: options.overflow,
            peer_ended: AtomicBool::new(false),
            exchange: Mutex::new(Exchange {
                key,
                outgoing,
                then: Then::Nothing,
                wakers: Vec::new(),
            }),
            _open: open,
        })
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        // A state left behind by a panic is still whole: each change below is one assignment.
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server's key exchange has come. Called by the driver, which leaves the work to the call,
    /// unless the call was dropped and the server has still to be told.
    pub(super) fn key_replied(&self, body: Bytes) {
        let mut exchange = self.exchange();
        match std::mem::replace(&mut exchange.key, KeyState::Failed(ended())) {
            KeyState::Waiting(handshake) => {
                exchange.key = KeyState::Replied(handshake, body);
                if exchange.then == Then::Cancel {
                    exchange.complete(&self.shared, self.id);
                }
            }
            _ => self.inbox.close(Some(Error::protocol("the Volt exchanged keys twice"))),
        }
        exchange.wake();
    }

    /// A frame says in clear that it is the call's last.
    pub(super) fn last_frame(&self) {
        self.stop_sending();
        if self.exchange().then == Then::Cancel {
            self.shared.remove(self.id);
        }
    }

    /// Makes the sending half fail, even while it waits for a key.
    fn stop_sending(&self) {
        self.peer_ended.store(true, Ordering::Release);
        self.exchange().wake();
    }

    /// The connection is gone.
    pub(super) fn lost(&self, reason: &Error) {
        self.inbox.close(Some(reason.clone()));
        let mut exchange = self.exchange();
        // With a key, what has arrived can still be read.
        if matches!(exchange.key, KeyState::Waiting(_)) {
            exchange.key = KeyState::Failed(reason.clone().with_executed(Executed::No));
        }
        exchange.wake();
    }

    fn poll_key(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<CallKey>>> {
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

    /// Does something on the wire now, or as soon as there is a key.
    fn then(&self, then: Then) {
        let mut exchange = self.exchange();
        if exchange.then != Then::Cancel {
            exchange.then = then;
        }
        exchange.complete(&self.shared, self.id);
        exchange.perform(&self.shared, self.id);
    }

    fn is_invoked(&self) -> bool {
        self.exchange().outgoing.is_invoked()
    }

    /// A legacy server wants its end answered, unless this side has ended already.
    fn acknowledge_end(&self) {
        let mut exchange = self.exchange();
        let legacy = matches!(&exchange.key, KeyState::Ready(key) if key.legacy_iv().is_some());
        if legacy && exchange.outgoing.is_invoked() {
            exchange.then = Then::HalfClose;
            exchange.perform(&self.shared, self.id);
        }
    }

    /// Forgets the call without a word to the peer, which has ended it or is gone.
    fn forget(&self) {
        self.shared.remove(self.id);
        self.inbox.abandon();
    }

    /// Ends the call on the wire and forgets it as soon as that is done.
    fn cancel(&self) {
        self.inbox.abandon();
        self.then(Then::Cancel);
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
            (_, Then::Nothing) | (KeyState::Waiting(_) | KeyState::Replied(..), _) => return,
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

/// The sending half.
pub(super) struct Sender {
    pub(super) state: Arc<CallState>,
    pub(super) key: Option<Arc<CallKey>>,
}

impl SendHalf for Sender {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.key.is_none() {
            // Asked first, so that a rejection which comes after this is noticed.
            let key = self.state.poll_key(cx);
            if self.state.peer_ended.load(Ordering::Acquire) {
                return Poll::Ready(Err(ended()));
            }
            self.key = Some(ready!(key)?);
        }
        if self.state.peer_ended.load(Ordering::Acquire) {
            return Poll::Ready(Err(ended()));
        }
        self.state.shared.link().poll_room(cx)
    }

    fn send(&mut self, message: &dyn Payload) -> Result<()> {
        let Some(key) = &self.key else {
            return Err(Error::protocol("a message was sent before the call was ready"));
        };
        let frame = self.state.exchange().outgoing.message(key, message).map_err(protocol_error)?;
        self.state.shared.link().send(frame);
        Ok(())
    }

    fn finish(&mut self, _: Option<&Status>) {
        self.state.then(Then::HalfClose);
    }
}

/// The receiving half. It owns the call: dropping it before the end cancels the call.
pub(super) struct Receiver {
    pub(super) state: Arc<CallState>,
    pub(super) ended: bool,
}

impl Receiver {
    fn poll_incoming(&self, cx: &mut Context<'_>) -> Poll<Result<Option<String>>> {
        // Without a key the only thing to expect is a rejection, which is not encrypted.
        let key = match self.state.poll_key(cx) {
            Poll::Ready(Ok(key)) => Some(key),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(self.first_rejection(cx, error))),
            Poll::Pending => None,
        };
        let body = match ready!(self.state.inbox.poll_pop(cx)) {
            Popped::Item(body) => body,
            Popped::Closed(reason) => return Poll::Ready(Err(reason.unwrap_or_else(ended))),
        };
        let Some(key) = key else {
            return Poll::Ready(Err(match call::rejection(&body) {
                Ok(Some(reason)) => rejected(reason),
                Ok(None) => Error::protocol("the Volt sent a payload before its key"),
                Err(error) => protocol_error(error),
            }));
        };
        Poll::Ready(match call::open(&key, body).map_err(protocol_error)? {
            Incoming::Envelope(Envelope::Payload(text)) => Ok(Some(text)),
            Incoming::Envelope(Envelope::End(None)) => Ok(None),
            Incoming::Envelope(Envelope::End(Some(status))) => {
                Err(Error::new(ErrorKind::Failed, "").with_status(status))
            }
            Incoming::Envelope(Envelope::Invoke { .. }) => {
                Err(Error::protocol("the Volt invoked a method on its client"))
            }
            // After the invocation it is a relay or the crypto that failed, not the admission.
            Incoming::Rejected(reason) if self.state.is_invoked() => {
                Err(rejected(reason).with_executed(Executed::Maybe))
            }
            Incoming::Rejected(reason) => Err(rejected(reason)),
        })
    }

    /// A connection that is lost right after a rejection must not hide it.
    fn first_rejection(&self, cx: &mut Context<'_>, error: Error) -> Error {
        match self.state.inbox.poll_pop(cx) {
            Poll::Ready(Popped::Item(body)) => {
                call::rejection(&body).ok().flatten().map_or(error, rejected)
            }
            _ => error,
        }
    }
}

impl ReceiveHalf for Receiver {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<String>>> {
        let outcome = ready!(self.poll_incoming(cx));
        let over = match &outcome {
            Ok(Some(_)) => false,
            Ok(None) => true,
            // After an error of our own the peer has still to be told that the call is over.
            Err(error) => matches!(
                error.kind(),
                ErrorKind::Failed | ErrorKind::Routing | ErrorKind::Connection
            ),
        };
        if over {
            self.ended = true;
            self.state.stop_sending();
            self.state.acknowledge_end();
            self.state.forget();
        }
        Poll::Ready(outcome)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if !self.ended {
            self.state.stop_sending();
            self.state.cancel();
        }
    }
}

fn rejected(reason: String) -> Error {
    Error::new(ErrorKind::Routing, reason)
}

fn protocol_error(error: ProtocolError) -> Error {
    Error::protocol("this call cannot go on").with_source(error)
}

fn ended() -> Error {
    Error::connection("the call has ended")
}
