//! Timers and deadlines.
//!
//! All timers use tokio's clock, which tests can pause. The sans-IO core has no timer: it receives
//! the time as an argument.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::Error;

/// A timer that is allocated on first use. Most calls end without needing it.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready once `at` has passed. Polling with another moment moves the timer.
    pub(crate) fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }
}

/// The deadline of a call. Each half polls its own copy along with its work, because the halves may be in
/// different tasks.
pub(crate) struct Deadline {
    at: Option<Instant>,
    timer: Timer,
}

impl Deadline {
    /// Creates a deadline; `None` never passes.
    pub(crate) fn new(at: Option<Instant>) -> Self {
        Self { at, timer: Timer::default() }
    }

    /// Returns when the deadline passes.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Ready with an error once the deadline has passed.
    pub(crate) fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        match self.at {
            Some(at) => self.timer.poll(at, cx).map(|()| Self::error()),
            None => Poll::Pending,
        }
    }

    /// Returns whether the deadline has passed, without waiting for the timer.
    pub(crate) fn has_passed(&self) -> bool {
        self.at.is_some_and(|at| at <= Instant::now())
    }

    /// The error of a call that ran out of time. The Volt may have executed it, unless the caller knows
    /// better.
    pub(crate) fn error() -> Error {
        Error::deadline(
            "the call took longer than its timeout: set a longer one, or find out what the Volt waits for",
        )
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deadline").field(&self.at).finish()
    }
}
