//! Tracks calls from their opening to their invocation. Calls that have not named their method are few at a
//! time, and not for long.
//!
//! Strangers can open calls, so these calls are counted apart from those that run. When there are too many,
//! the oldest makes room if it is silent: a client that pre-opens calls and never uses them can still make
//! others.
//!
//! Forwarded calls have fewer slots and less time, because each also occupies a second peer. They wait for
//! a slot in the order in which they were opened.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{call::Phase, connection::Connection, exchanges::Exchange};
use crate::{
    Code, Error, ErrorKind, Status,
    proto::{call::NOT_EXECUTED, flow::earliest},
};

/// The age at which a call that has not named its method ends in favour of a new one, when there are
/// as many as there may be. An ordinary call names its method one round trip after its key exchange.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The time within which a forwarded call must name its method: it occupies one of few places.
pub(super) const FORWARD_TIMEOUT: Duration = Duration::from_secs(15);

const TOO_MANY_CALLS: &str = "too many calls are open on this connection";

impl Connection {
    /// Makes sure that there is room for a call that is being opened.
    ///
    /// # Errors
    ///
    /// Returns the reason for rejecting the call.
    pub(super) fn begin_exchange(&mut self, now: Instant) -> Result<(), &'static str> {
        if self.running() >= self.limits.max_calls {
            return Err(TOO_MANY_CALLS);
        }
        if self.exchanges.unfinished < self.limits.max_key_exchanges {
            return Ok(());
        }
        self.exchanges.tidy(&self.calls);
        let oldest = self.exchanges.opened.front().copied();
        match oldest.filter(|oldest| now.saturating_duration_since(oldest.since) >= PATIENCE) {
            // An unread frame may be the invocation.
            Some(Exchange { id, .. }) if self.is_silent(id) => {
                self.exchanges.opened.pop_front();
                let message =
                    "the call named no method in time, and was ended to make room for another one";
                self.fail(id, Error::new(ErrorKind::ResourceExhausted, message));
                Ok(())
            }
            _ => Err("too many calls on this connection have not named their method yet"),
        }
    }

    /// Counts a call that was opened.
    pub(super) fn exchange_begun(&mut self, exchange: Exchange) {
        self.exchanges.unfinished += 1;
        self.exchanges.tidy(&self.calls);
        if self.exchanges.opened.is_empty() {
            // Wake the driver, so that it sees the new timeout.
            self.outbox.wake_consumer(&mut self.wakes);
        }
        self.exchanges.opened.push_back(exchange);
    }

    /// Counts a call that has named its method or was removed, and was in this phase before.
    pub(super) fn exchange_ended(&mut self, before: Phase) {
        if before.is_unfinished() {
            self.exchanges.unfinished -= 1;
        }
        if before == Phase::Forwarded {
            self.exchanges.forwarded -= 1;
        }
        self.exchanges.release(self.limits.max_relayed_exchanges, &mut self.wakes);
    }

    /// The number of calls that have named their method.
    fn running(&self) -> usize {
        self.calls.len() - self.exchanges.unfinished
    }

    /// Moves a call to a phase. A call that has named its method frees its place among those that have not.
    fn advance(&mut self, id: u64, phase: Phase) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let before = std::mem::replace(&mut call.phase, phase);
        if !phase.is_unfinished() {
            self.exchange_ended(before);
        }
    }

    /// Called when keys have been exchanged.
    pub fn keyed(&mut self, id: u64) {
        self.advance(id, Phase::Keyed);
    }

    /// Waits until a call may be forwarded at `now`. The forwarded call must name its method soon.
    ///
    /// # Errors
    ///
    /// Fails if the call has failed meanwhile.
    pub fn poll_forward(
        &mut self,
        now: Instant,
        id: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let failed = || Error::connection("the call has ended");
        let running = self.running();
        let Some(call) = self.calls.get_mut(&id) else { return Poll::Ready(Err(failed())) };
        if let Poll::Ready(()) = call.inbox.poll_closed(cx) {
            return Poll::Ready(Err(call.inbox.reason().cloned().unwrap_or_else(failed)));
        }
        // The phase changes as for a method that is invoked here.
        if self.over {
            return Poll::Ready(Err(Error::connection(NOT_EXECUTED)));
        }
        if running >= self.limits.max_calls {
            return Poll::Ready(Err(Error::new(ErrorKind::ResourceExhausted, TOO_MANY_CALLS)));
        }
        let number = call.number;
        let first = self.exchanges.waiting.keys().next().is_none_or(|first| number <= *first);
        if !first || self.exchanges.forwarded >= self.limits.max_relayed_exchanges {
            self.exchanges.waiting.insert(number, cx.waker().clone());
            return Poll::Pending;
        }
        call.phase = Phase::Forwarded;
        self.exchanges.waiting.remove(&number);
        self.exchanges.forwarded += 1;
        self.exchanges.release(self.limits.max_relayed_exchanges, &mut self.wakes);
        if self.exchanges.forwards.is_empty() {
            self.outbox.wake_consumer(&mut self.wakes);
        }
        self.exchanges.forwards.push_back(Exchange { since: now, id, number });
        Poll::Ready(Ok(()))
    }

    /// The number of forwarded calls that have not named their method.
    pub fn forwards(&self) -> usize {
        self.exchanges.forwarded
    }

    /// Called when the caller's first frame after its key exchange has been forwarded.
    pub fn forwarded(&mut self, id: u64) {
        if self.calls.get(&id).is_some_and(|call| call.phase == Phase::Forwarded) {
            self.advance(id, Phase::Open);
        }
    }

    /// Called when a call has named its method; `asked` is set if the request in it is the only one.
    ///
    /// # Errors
    ///
    /// Returns the status that ends the call, which must not run.
    pub fn invoke(&mut self, id: u64, asked: bool) -> Result<(), Status> {
        if self.over {
            return Err(Status::new(Code::Unavailable, NOT_EXECUTED));
        }
        if self.running() >= self.limits.max_calls {
            return Err(Status::new(Code::ResourceExhausted, TOO_MANY_CALLS));
        }
        self.advance(id, if asked { Phase::HalfClosed } else { Phase::Open });
        self.wakes.add(self.drainer.take());
        Ok(())
    }

    /// Called when the caller has half-closed.
    pub fn half_closed(&mut self, id: u64) {
        self.advance(id, Phase::HalfClosed);
    }

    /// Returns when the next call has taken too long to name its method.
    pub(super) fn next_overdue(&mut self) -> Option<Instant> {
        self.exchanges.tidy(&self.calls);
        // A timeout beyond the clock's range never expires.
        let due = |queue: &VecDeque<Exchange>, limit| queue.front()?.since.checked_add(limit);
        earliest([
            due(&self.exchanges.opened, self.limits.invoke_timeout),
            due(&self.exchanges.forwards, self.forward_timeout()),
        ])
    }

    fn forward_timeout(&self) -> Duration {
        self.limits.invoke_timeout.min(FORWARD_TIMEOUT)
    }

    /// Ends the calls that have taken too long to name their method.
    pub(super) fn end_overdue(&mut self, now: Instant) {
        self.exchanges.tidy(&self.calls);
        let overdue = |exchange: &Exchange, limit| {
            exchange.since.checked_add(limit).is_some_and(|deadline| deadline <= now)
        };
        let (limit, forwards) = (self.limits.invoke_timeout, self.forward_timeout());
        while let Some(one) = self.exchanges.opened.pop_front_if(|one| overdue(one, limit)) {
            self.overdue(one, limit);
        }
        while let Some(one) = self.exchanges.forwards.pop_front_if(|one| overdue(one, forwards)) {
            self.overdue(one, forwards);
        }
    }

    fn overdue(&mut self, Exchange { id, number, .. }: Exchange, limit: Duration) {
        if self.is_silent(id)
            && let Some(call) = self.calls.get_mut(&id).filter(|call| call.number == number)
        {
            let message = format!("the call named no method within {limit:?}");
            call.fail(Error::new(ErrorKind::Deadline, message), &mut self.wakes);
        }
    }

    /// Returns whether a call has not named its method and has no unread frame. The unread frame is
    /// the invocation, or ends the call in another way.
    fn is_silent(&self, id: u64) -> bool {
        let call = self.calls.get(&id);
        call.is_some_and(|call| call.phase.is_unfinished() && call.inbox.is_empty())
    }
}
