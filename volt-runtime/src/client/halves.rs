//! The two halves of a call that its owner holds.

use std::{
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

use super::{
    call::{CallState, Then, ended, protocol_error},
    connection::CloseOnDrop,
};
use crate::{
    Error, ErrorKind, Executed, Result, Status,
    message::Payload,
    proto::{
        call::{self, Incoming},
        crypto::CallKey,
        envelope::Envelope,
    },
    queue::Popped,
    socket::CallSlot as _,
    transport::{ReceiveHalf, SendHalf},
};

/// How long a half of a call still waits for the Volt's key.
struct Patience {
    limit: Duration,
    /// Made when there is something to wait for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        timer.as_mut().poll(cx).map(|()| {
            let message = format!("the Volt did not answer the key exchange within {limit:?}");
            Error::new(ErrorKind::Deadline, message).with_executed(Executed::No)
        })
    }
}

/// The sending half.
pub(super) struct Sender {
    state: Arc<CallState>,
    _open: Arc<CloseOnDrop>,
    key: Option<Arc<CallKey>>,
    patience: Patience,
}

impl Sender {
    pub(super) fn new(state: Arc<CallState>, open: Arc<CloseOnDrop>, patience: Duration) -> Self {
        Self { state, _open: open, key: None, patience: Patience::new(patience) }
    }
}

impl SendHalf for Sender {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.key.is_none() {
            // Asked first, so that a rejection which comes after this is noticed.
            let key = match self.state.poll_key(cx) {
                Poll::Pending => self.patience.poll_over(cx).map(Err),
                key @ Poll::Ready(_) => key,
            };
            if self.state.peer_has_ended() {
                return Poll::Ready(Err(ended()));
            }
            self.key = Some(ready!(key)?);
            self.patience.timer = None;
        }
        if self.state.peer_has_ended() {
            return Poll::Ready(Err(ended()));
        }
        self.state.poll_room(cx)
    }

    fn send(&mut self, message: &dyn Payload) -> Result<()> {
        let Some(key) = &self.key else {
            return Err(Error::protocol("a message was sent before the call was ready"));
        };
        self.state.send(key, message)
    }

    fn end(&mut self, _: Option<&Status>) {
        self.state.then(Then::HalfClose);
    }
}

/// The receiving half. It owns the call: dropping it before the end cancels the call.
pub(super) struct Receiver {
    state: Arc<CallState>,
    _open: Arc<CloseOnDrop>,
    ended: bool,
    patience: Patience,
}

impl Receiver {
    pub(super) fn new(state: Arc<CallState>, open: Arc<CloseOnDrop>, patience: Duration) -> Self {
        Self { state, _open: open, ended: false, patience: Patience::new(patience) }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<String>>> {
        // Without a key the only thing to expect is a rejection, which is not encrypted.
        let key = match self.state.poll_key(cx) {
            Poll::Ready(Ok(key)) => {
                self.patience.timer = None;
                Some(key)
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(self.first_rejection(cx, error))),
            Poll::Pending => None,
        };
        let body = match self.state.inbox().poll_pop(cx) {
            Poll::Ready(Popped::Item(body)) => body,
            Poll::Ready(Popped::Closed(reason)) => {
                return Poll::Ready(Err(reason.unwrap_or_else(ended)));
            }
            Poll::Pending if key.is_some() => return Poll::Pending,
            Poll::Pending => return self.patience.poll_over(cx).map(Err),
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
        match self.state.inbox().poll_pop(cx) {
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
