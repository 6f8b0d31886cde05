//! What a connection's driver and the tasks of its calls share: a state machine behind one lock, and
//! the timer that drives its timeouts.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;

use crate::{queue::Wakes, time::Timer};

/// One end of a connection, as its driver sees it.
pub(crate) trait Machine: Send {
    /// Waits until the next frame may be received.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// The next frame to write; `None` after the connection was closed.
    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;

    /// Waits until the connection is to be closed.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    fn next_timeout(&mut self) -> Option<Instant>;

    /// Does what is due at `now`.
    fn handle_timeout(&mut self, now: Instant);

    /// The tasks that the last changes concern.
    fn take_wakes(&mut self) -> Wakes;
}

/// Implements [`Machine`] by the methods of the same names.
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

/// A machine behind its lock. The lock is held for moments only: no cryptography is done under it, and
/// nobody is woken under it.
#[derive(Debug)]
pub(crate) struct Shared<M>(Mutex<M>);

impl<M: Machine> Shared<M> {
    pub(crate) fn new(machine: M) -> Arc<Self> {
        Arc::new(Self(Mutex::new(machine)))
    }

    /// Changes the machine, and wakes whoever waited for that after the lock has been released.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut M) -> T) -> T {
        let (result, wakes) = {
            // A panic in the machine would be a bug of ours. Its calls can then only be cancelled, for
            // which the state is good enough.
            let mut machine = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let result = change(&mut machine);
            (result, machine.take_wakes())
        };
        wakes.wake();
        result
    }
}

/// Drives the timeouts of a machine. Whoever polls it is woken when the next one is due.
#[derive(Debug, Default)]
pub(crate) struct Timeouts {
    timer: Timer,
    /// What the timer is set to, until it fires.
    set: Option<Instant>,
}

impl Timeouts {
    /// Handles the timeouts that are due.
    ///
    /// The timer is moved only towards an earlier timeout. One that has become obsolete fires and finds
    /// nothing to do, which is cheaper than moving the timer for every call.
    pub(crate) fn poll<M: Machine>(&mut self, cx: &mut Context<'_>, shared: &Shared<M>) {
        while let Some(next) = shared.with(Machine::next_timeout) {
            let at = self.set.map_or(next, |set| set.min(next));
            self.set = Some(at);
            if self.timer.poll(at.into(), cx).is_pending() {
                return;
            }
            self.set = None;
            shared.with(|machine| machine.handle_timeout(now()));
        }
    }
}

/// The time, by the clock that the timers go by: tests can stop it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
