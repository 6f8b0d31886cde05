//! The end of a connection: refusing calls, draining, closing, and losing it.
//!
//! A graceful end has three steps, which the shell takes: [`drain`](Connection::drain) refuses new calls,
//! [`poll_drained`](Connection::poll_drained) waits for the answers that are due, and
//! [`close`](Connection::close) lets the driver write the queued frames and a close frame. A loss is
//! one step: every call fails with a reason that states whether the Volt can have executed it.

use std::task::{Context, Poll};

use super::{
    call::{KeyExchange, Phase},
    connection::Connection,
};
use crate::{
    error::{Error, Executed},
    queue::register,
};

impl Connection {
    /// Refuses further calls.
    pub fn drain(&mut self, reason: &Error) {
        self.closed.get_or_insert_with(|| reason.clone());
    }

    /// Waits until every call that only awaits its single response has ended.
    pub fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.lost || !self.calls.values().any(|call| call.awaits_answer()) {
            return Poll::Ready(());
        }
        register(&mut self.drainer, cx);
        Poll::Pending
    }

    pub(super) fn wake_drainer(&mut self) {
        self.wakes.add(self.drainer.take());
    }

    /// Closes the connection after everything queued has been written.
    pub fn close(&mut self) {
        self.outbox.close(None, &mut self.wakes);
    }

    /// Fails all calls because the connection is lost. Responses that have arrived can still be
    /// read.
    pub fn lose(&mut self, reason: &Error) {
        if self.lost {
            return;
        }
        self.lost = true;
        // An earlier reason is the better one: the connection was lost while it was closing.
        self.closed.get_or_insert_with(|| reason.clone());
        self.pool.clear();
        self.keying.clear();
        self.work.clear();
        self.inboxes.release(&mut self.wakes);
        self.outbox.close(Some(reason.clone()), &mut self.wakes);
        drop(self.outbox.abandon(&mut self.wakes));
        // Build each error once, so that all calls share one cause.
        let maybe = reason.clone().with_executed(Executed::Maybe);
        let never = reason.clone().with_executed(Executed::No);
        // Abandoned calls have no reader, and can no longer be cancelled on the wire.
        self.calls.retain(|_, call| !call.abandoned);
        self.ended = self.calls.values().filter(|call| call.ended).count();
        for call in self.calls.values_mut() {
            let reason = if call.invoked { &maybe } else { &never };
            call.inbox.close(reason.clone(), &mut self.wakes);
            call.phase = Phase::Closed;
            // A key that has arrived stays: frames that are in the inbox can still be opened with it.
            if matches!(call.exchange, KeyExchange::Awaiting(_)) {
                call.exchange = KeyExchange::Failed;
            }
            self.wakes.add(call.writer.take());
        }
        self.wakes.add(self.worker.take());
        self.wake_drainer();
    }
}
