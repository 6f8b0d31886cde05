//! The state that the task of a document shares with the handle and the observers.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{Notify, watch};

use super::exchange::Exchange;

/// Returns the time on the clock of the task's timers.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Locks data that is consistent between any two statements, so that a poisoned lock does not matter.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The requested end of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    /// After the Volt has accepted everything.
    Drained,
    Now,
}

/// The state of one attached document.
#[derive(Debug)]
pub(super) struct Shared {
    exchange: Mutex<Exchange>,
    /// Wakes the task after a change of the exchange from outside.
    changed: Notify,
    acknowledged: watch::Sender<Option<u64>>,
    /// The number of edits that `flush` waits for.
    wanted: watch::Sender<u64>,
    stop: watch::Sender<Stop>,
}

impl Shared {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self {
            exchange: Mutex::new(exchange),
            changed: Notify::new(),
            acknowledged: watch::Sender::new(None),
            wanted: watch::Sender::new(0),
            stop: watch::Sender::new(Stop::No),
        }
    }

    /// Uses the exchange. This lock never waits: the document is locked before it, not after it.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Exchange) -> T) -> T {
        work(&mut lock(&self.exchange))
    }

    /// Uses the exchange, and wakes the task.
    pub(super) fn change(&self, work: impl FnOnce(&mut Exchange)) {
        self.with(work);
        self.changed.notify_one();
    }

    /// Waits for a change from outside.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Asks the task to confirm this many edits.
    pub(super) fn want(&self, edits: u64) {
        self.wanted.send_modify(|wanted| *wanted = edits.max(*wanted));
        self.changed.notify_one();
    }

    /// Returns whether `flush` waits for edits that are not acknowledged.
    pub(super) fn is_wanted(&self) -> bool {
        let wanted = *self.wanted.borrow();
        self.with(|exchange| !exchange.is_read_only() && exchange.acknowledged() < Some(wanted))
    }

    /// Reports the number of acknowledged edits to `flush`.
    pub(super) fn publish(&self) {
        let now = self.with(|exchange| exchange.acknowledged());
        self.acknowledged.send_if_modified(|known| std::mem::replace(known, now) != now);
    }

    pub(super) fn watch_acknowledged(&self) -> watch::Receiver<Option<u64>> {
        self.acknowledged.subscribe()
    }

    pub(super) fn stop(&self, stop: Stop) {
        self.stop.send_replace(stop);
    }

    pub(super) fn stopping(&self) -> Stop {
        *self.stop.borrow()
    }

    /// Waits for a request to end other than the known one.
    pub(super) async fn stop_requested(&self, known: Stop) {
        // `self` holds the sender, so this cannot fail.
        let _ = self.stop.subscribe().wait_for(|stop| *stop != known).await;
    }
}
