//! Operations of a call's two halves on their connection.
//!
//! The halves are owned by the caller's tasks, the state by the connection. Each operation names its
//! call by id, and does nothing if that has been removed meanwhile.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;

use super::{
    call::{FirstRequest, Job, KeyExchange, Phase, Queued, Work},
    connection::Connection,
    work::next_work,
};
use crate::{
    error::{Error, Result},
    proto::crypto::CallKey,
    queue::{Popped, register},
};

/// The result of [`poll_ready`](Connection::poll_ready).
#[derive(Debug)]
pub enum Ready {
    /// A message can be sealed with this key.
    Open(Arc<CallKey>),
    /// This work must be completed first.
    Work(Work),
}

/// The result of [`poll_read`](Connection::poll_read).
#[derive(Debug)]
pub enum Read {
    /// A frame, with the key that opens it. Without a key, the frame can only be a rejection.
    Frame(Bytes, Option<Arc<CallKey>>),
    /// The call has ended.
    Closed(Error),
    /// This work must be completed first.
    Work(Work),
}
impl Connection {
    // The sending half of a call.

    /// Waits until a message can be sealed and sent.
    ///
    /// # Errors
    ///
    /// Fails if the call can send no further messages.
    pub fn poll_ready(&mut self, id: u64, cx: &mut Context<'_>) -> Poll<Result<Ready>> {
        let Some(call) = self.calls.get_mut(&id) else { return Poll::Ready(Err(Error::ended())) };
        match (&call.phase, &call.exchange) {
            (Phase::Open, KeyExchange::Done(key)) => {
                let key = Arc::clone(key);
                let room = self.outbox.poll_room(cx);
                room.map(|room| {
                    room.map(|()| Ready::Open(key)).map_err(|reason| reason.unwrap_or_else(closed))
                })
            }
            (Phase::Keying(_), _) => {
                // The half that waits for the key derives it, in its own task.
                if let Some(work) = call.exchange.derive(id) {
                    return Poll::Ready(Ok(Ready::Work(work)));
                }
                register(&mut call.writer, cx);
                Poll::Pending
            }
            _ => Poll::Ready(Err(call.inbox.reason().cloned().unwrap_or_else(Error::ended))),
        }
    }

    /// Sends a sealed message. If the call has ended meanwhile, the message is dropped and the
    /// receiving half reports why.
    pub fn send(&mut self, id: u64, frame: Vec<u8>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        // The call may have ended while the frame was sealed outside the lock.
        if matches!(call.phase, Phase::Open) {
            call.invoked = true;
            self.transmit(frame);
        }
    }

    /// Queues the first request, to be sent as soon as there is a key and room.
    pub fn send_first(&mut self, id: u64, first: FirstRequest) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        // A pre-opened call has its key, but the outbox may lack room. The queue waits for both.
        if let Phase::Open = call.phase {
            call.phase = Phase::Keying(Queued::default());
        }
        let Phase::Keying(queued) = &mut call.phase else { return };
        call.half_closed |= first.last;
        queued.first = Some(first);
        self.schedule(id);
    }

    /// Half-closes the call by sending `frame`. Without a frame, returns the key to seal one with
    /// if it is available; otherwise the half-close is sent as soon as there is a key.
    ///
    /// A call that has sent nothing fails: the Volt does not know its method, and would not answer.
    pub fn half_close(&mut self, id: u64, frame: Option<Vec<u8>>) -> Option<Arc<CallKey>> {
        let call = self.calls.get_mut(&id)?;
        // Without this the call would wait for an answer until its deadline.
        if call.is_unsent() {
            self.fail_unsent(id);
            return None;
        }
        match (&mut call.phase, frame) {
            (Phase::Open, None) => return call.exchange.key().cloned(),
            (Phase::Open, Some(frame)) => {
                call.phase = Phase::HalfClosed;
                call.half_closed = true;
                self.transmit(frame);
            }
            (Phase::Keying(queued), _) => {
                queued.half_close = true;
                call.half_closed = true;
                self.schedule(id);
            }
            (Phase::HalfClosed | Phase::Closing | Phase::Closed, _) => {}
        }
        None
    }

    /// Fails a call that was half-closed without a message, and ends it on the wire.
    fn fail_unsent(&mut self, id: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let message = "no message was sent: a call invokes its method with the first message";
        call.inbox.close(Error::configuration(message), &mut self.wakes);
        call.stop_sending(&mut self.wakes);
        call.half_closed = true;
        // A legacy call is opened by its first message, so there is nothing to cancel.
        let is_legacy = call.exchange.key().is_some_and(|key| key.legacy_iv().is_some());
        call.phase = if is_legacy { Phase::Closed } else { Phase::Closing };
        self.schedule(id);
    }

    // The receiving half of a call.

    /// Reads the next frame.
    pub fn poll_read(&mut self, id: u64, cx: &mut Context<'_>) -> Poll<Read> {
        let Some(call) = self.calls.get_mut(&id) else {
            return Poll::Ready(Read::Closed(Error::ended()));
        };
        // The reader does the call's cryptography itself where possible, rather than queue for the
        // worker.
        let work = call.exchange.derive(id).or_else(|| next_work(id, call, &mut self.outbox, None));
        if let Some(work) = work {
            return Poll::Ready(Read::Work(work));
        }
        // Another task derives the key. Its frames must wait: without a key they would look like rejections.
        if matches!(call.exchange, KeyExchange::Deriving) {
            call.inbox.register(cx);
            return Poll::Pending;
        }
        match self.inboxes.poll_pop(&mut call.inbox, cx, &mut self.wakes) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Popped::Closed(reason)) => {
                Poll::Ready(Read::Closed(reason.unwrap_or_else(Error::ended)))
            }
            Poll::Ready(Popped::Item(body)) => {
                let key = call.exchange.key().cloned();
                self.unblock();
                Poll::Ready(Read::Frame(body, key))
            }
        }
    }

    /// Returns whether the invocation has been sent to the Volt.
    pub fn is_invoked(&self, id: u64) -> bool {
        self.calls.get(&id).is_some_and(|call| call.invoked)
    }

    /// Returns whether this side has half-closed.
    pub fn is_half_closed(&self, id: u64) -> bool {
        self.calls.get(&id).is_some_and(|call| call.half_closed)
    }

    /// Removes a call that the Volt has ended or that has failed, after queueing a final `frame`,
    /// if any.
    pub fn finish(&mut self, id: u64, frame: Option<Vec<u8>>) {
        if let Some(frame) = frame {
            self.transmit(frame);
        }
        if let Some(call) = self.calls.get_mut(&id) {
            call.stop_sending(&mut self.wakes);
            self.remove(id);
        }
    }

    /// Called when the receiving half is dropped before the end of the call. Returns the work that
    /// cancels the call, if that is possible now.
    pub fn abandon(&mut self, now: Instant, id: u64) -> Option<Work> {
        let call = self.calls.get_mut(&id)?;
        call.abandoned = true;
        // The sending half may live on in another task.
        call.stop_sending(&mut self.wakes);
        self.inboxes.abandon(id, &mut call.inbox, &mut self.wakes);
        match (&call.phase, &call.exchange) {
            (Phase::Closed, _) | (_, KeyExchange::Failed) => self.remove(id),
            (_, KeyExchange::Done(key)) if key.legacy_iv().is_none() || call.invoked => {
                let key = Arc::clone(key);
                // Not `Closing`, or the worker would cancel it as well.
                call.phase = Phase::Closed;
                self.unblock();
                return Some(Work(Job::Cancel(id, key)));
            }
            // Nothing has been sent to the Volt for this call.
            (_, KeyExchange::Done(_)) => self.remove(id),
            // Cancelling needs the key, which may still arrive.
            (_, KeyExchange::Awaiting(_)) => {
                call.phase = Phase::Closing;
                self.await_key(now, id);
            }
            (_, KeyExchange::Replied(..) | KeyExchange::Deriving) => {
                call.phase = Phase::Closing;
                self.schedule(id);
            }
        }
        self.unblock();
        self.wake_drainer();
        None
    }
}

fn closed() -> Error {
    Error::connection("the connection is closed")
}
