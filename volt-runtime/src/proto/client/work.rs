//! The cryptography of a connection's calls, handed out as work and completed with its result.
//!
//! Work goes to whichever task needs its result: a half that waits for the call's key, or a reader that
//! finds the first request unsealed. Calls without such a task are in a queue for the connection's
//! worker. Each piece is handed out once; the state changes with that, so that no second task does it
//! too.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{
    call::{Call, Done, Job, KeyExchange, Outcome, Phase, Task, Work, protocol_error},
    connection::{Connection, awaits_key},
};
use crate::{
    error::{Executed, Result},
    proto::{ProtocolError, crypto::CallKey},
    queue::{Buffer, register},
};

impl Connection {
    /// Waits for work that neither half of a call is certain to do. Returns `None` after the
    /// connection was lost.
    pub fn poll_task(&mut self, cx: &mut Context<'_>) -> Poll<Option<Task>> {
        if self.lost {
            return Poll::Ready(None);
        }
        // Each entry once: those that wait for room go to the end of the queue.
        for _ in 0..self.work.len() {
            let Some(id) = self.work.pop_front() else { break };
            let Some(call) = self.calls.get_mut(&id) else { continue };
            if !call.needs_worker() {
                continue;
            }
            if let Some(work) = call.exchange.derive(id) {
                return Poll::Ready(Some(Task::Call(work)));
            }
            match next_work(id, call, &mut self.outbox, Some(cx)) {
                Some(work) => return Poll::Ready(Some(Task::Call(work))),
                // The call waits for room. Calls that wait for a key are rescheduled when it
                // arrives.
                None if call.exchange.key().is_some() => self.work.push_back(id),
                None => {}
            }
        }
        // The pool comes after the calls that callers are waiting for.
        let expired = |(id, key)| Work(Job::Cancel(id, key));
        if let Some(work) = self.pool.derive().or_else(|| self.pool.expired().map(expired)) {
            return Poll::Ready(Some(Task::Call(work)));
        }
        if self.closed.is_none() {
            let missing = self.pool.missing();
            if missing > 0 {
                return Poll::Ready(Some(Task::Preopen(missing)));
            }
        }
        register(&mut self.worker, cx);
        Poll::Pending
    }

    /// Accepts the result of some work.
    pub fn complete(&mut self, done: Done) {
        match done.0 {
            Outcome::Derived(id, key) => self.derived(id, key),
            Outcome::First(id, frames) => self.first_sealed(id, frames),
            Outcome::HalfClose(id, frame) => self.half_close_sealed(id, frame),
            Outcome::Cancel(id, frame) => self.cancelled(id, frame),
        }
    }

    /// Stores the key of a call, or of an entry of the pool, or fails the call.
    fn derived(&mut self, id: u64, key: Result<Arc<CallKey>, ProtocolError>) {
        let Some(call) = self.calls.get_mut(&id) else {
            // No caller would report it.
            if let Err(error) = &key {
                tracing::warn!(%error, "the key exchange of a pre-opened call failed");
            }
            return self.pool.derived(id, key.ok());
        };
        match key {
            Ok(key) => {
                call.exchange = KeyExchange::Done(key);
                if matches!(&call.phase, Phase::Keying(queued) if queued.is_empty()) {
                    call.phase = Phase::Open;
                }
            }
            Err(error) => {
                call.exchange = KeyExchange::Failed;
                call.phase = Phase::Closed;
                let error = protocol_error(error).with_executed(Executed::No);
                call.inbox.close(error, &mut self.wakes);
            }
        }
        call.wake_halves(&mut self.wakes);
        if matches!(call.phase, Phase::Closed) && call.abandoned {
            self.remove(id);
        } else if call.needs_worker() {
            self.schedule(id);
        }
    }

    /// Sends the sealed first request. The call may have been cancelled meanwhile: then nothing is
    /// sent, and the Volt never learns of the method.
    fn first_sealed(&mut self, id: u64, sealed: Result<Vec<Vec<u8>>>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Phase::Keying(queued) = &mut call.phase else { return };
        queued.sealing = false;
        match sealed {
            Ok(frames) => {
                // Before the frames leave: from here on the Volt may execute the call.
                call.invoked = true;
                let half_close = queued.half_close;
                if frames.len() > 1 {
                    call.phase = Phase::HalfClosed;
                } else if !half_close {
                    call.phase = Phase::Open;
                }
                self.wakes.add(call.writer.take());
                for frame in frames {
                    self.transmit(frame);
                }
                if half_close {
                    self.schedule(id);
                }
            }
            Err(error) => {
                call.inbox.close(error, &mut self.wakes);
                call.stop_sending(&mut self.wakes);
            }
        }
    }

    fn half_close_sealed(&mut self, id: u64, frame: Result<Vec<u8>, ProtocolError>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        // The call may have been cancelled meanwhile. The cancellation then takes the place of this frame.
        if matches!(call.phase, Phase::Keying(_)) {
            call.phase = Phase::HalfClosed;
            self.transmit_sealed(frame);
        }
    }

    /// Sends the cancellation of a call, which may belong to the pool.
    fn cancelled(&mut self, id: u64, frame: Result<Vec<u8>, ProtocolError>) {
        self.transmit_sealed(frame);
        if self.calls.get(&id).is_some_and(|call| call.abandoned) {
            self.remove(id);
        }
    }

    /// Schedules a call for the worker. Before the Volt's key there is nothing to do; its arrival
    /// reschedules the call.
    pub(super) fn schedule(&mut self, id: u64) {
        if awaits_key(&self.calls, id) {
            return;
        }
        self.work.push_back(id);
        self.wakes.add(self.worker.take());
    }
}

/// Returns the next sealing work for a call that has a key. A request needs room; if there is none,
/// `waits` is registered to be woken.
pub(super) fn next_work(
    id: u64,
    call: &mut Call,
    outbox: &mut Buffer<Bytes>,
    waits: Option<&mut Context<'_>>,
) -> Option<Work> {
    let key = Arc::clone(call.exchange.key()?);
    match &mut call.phase {
        Phase::Closing => {
            // Sealed once. The call stays until its owner has read the remaining frames.
            call.phase = Phase::Closed;
            Some(Work(Job::Cancel(id, key)))
        }
        Phase::Keying(queued) if queued.sealing => None,
        Phase::Keying(queued) if queued.first.is_some() => {
            let has_room = match waits {
                Some(cx) => outbox.poll_room(cx).is_ready(),
                None => outbox.has_room(),
            };
            let first = queued.first.take_if(|_| has_room)?;
            queued.sealing = true;
            Some(Work(Job::First(id, key, first)))
        }
        Phase::Keying(queued) if queued.half_close => {
            queued.sealing = true;
            Some(Work(Job::HalfClose(id, key)))
        }
        _ => None,
    }
}
