//! State shared by a connection's driver and the tasks of its calls: a state machine behind one
//! lock, and the timer that drives its timeouts.
//!
//! One lock for a whole connection is enough, because it is held only to move frames and flags. Locks
//! for each call would need an order among them, and the driver would take as many as frames arrive.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;

use crate::{queue::Wakes, time::Timer};

/// One end of a connection, as its driver sees it.
///
/// Every method may leave wakers behind, which [`Shared::with`] takes and wakes after it has released
/// the lock.
pub(crate) trait Machine: Send {
    /// Waits until the next frame may be received.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Returns the next frame to write, or `None` after the connection was closed.
    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;

    /// Waits until the connection should close.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Returns the time at which [`handle_timeout`](Self::handle_timeout) must be called next.
    fn next_timeout(&mut self) -> Option<Instant>;

    /// Handles the timeouts that have expired at `now`.
    fn handle_timeout(&mut self, now: Instant);

    /// Takes the wakers of the tasks to wake.
    fn take_wakes(&mut self) -> Wakes;
}

/// Implements [`Machine`] with the methods of the same names.
macro_rules! machine {
    ($connection:ty) => {
        impl crate::socket::Machine for $connection {
            fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
                self.poll_receive(cx)
            }

            fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
                self.poll_transmit(cx)
            }

            fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
                self.poll_closing(cx)
            }

            fn next_timeout(&mut self) -> Option<Instant> {
                self.next_timeout()
            }

            fn handle_timeout(&mut self, now: Instant) {
                self.handle_timeout(now);
            }

            fn take_wakes(&mut self) -> Wakes {
                self.take_wakes()
            }
        }
    };
}
pub(crate) use machine;

/// A machine behind its lock. The lock is held only briefly: never during cryptography, and never
/// while waking a task.
#[derive(Debug)]
pub(crate) struct Shared<M>(Mutex<M>);

impl<M: Machine> Shared<M> {
    pub(crate) fn new(machine: M) -> Arc<Self> {
        Arc::new(Self(Mutex::new(machine)))
    }

    /// Changes the machine, and wakes the waiting tasks after releasing the lock.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut M) -> T) -> T {
        let (result, wakes) = {
            // A panic in the machine would be our bug. Its calls can then only be cancelled, for
            // which the state suffices.
            let mut machine = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let result = change(&mut machine);
            (result, machine.take_wakes())
        };
        wakes.wake();
        result
    }
}

/// Drives the timeouts of a machine. The polling task is woken when the next one is due.
#[derive(Debug, Default)]
pub(crate) struct Timeouts {
    timer: Timer,
    /// The time that the timer is set to, until it fires.
    set: Option<Instant>,
}

impl Timeouts {
    /// Handles the timeouts that are due.
    ///
    /// The timer is only moved to an earlier timeout. An obsolete one fires with nothing to do,
    /// which is cheaper than moving the timer for every call.
    pub(crate) fn poll<M: Machine>(&mut self, cx: &mut Context<'_>, shared: &Shared<M>) {
        while let Some(next) = shared.with(Machine::next_timeout) {
            let at = self.set.map_or(next, |set| set.min(next));
            self.set = Some(at);
            if self.timer.poll(at.into(), cx).is_pending() {
                return;
            }
            self.set = None;
            // Read the clock again: the timer may have fired late.
            shared.with(|machine| machine.handle_timeout(now()));
        }
    }
}

/// Returns the current time on the timers' clock, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
