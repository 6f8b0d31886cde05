//! The moment at which a call is given up.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep};

use crate::{Error, ErrorKind};

/// A deadline that a half of a call polls along with its work.
pub(super) struct Deadline {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(super) fn new(at: Option<Instant>) -> Self {
        Self { at, timer: None }
    }

    /// Ready once the deadline has passed. The timer is made when something has to wait for it.
    pub(super) fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(at) = self.at else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        timer.as_mut().poll(cx).map(|()| Self::error())
    }

    /// Whether it has passed, by the clock.
    pub(super) fn has_passed(&self) -> bool {
        self.at.is_some_and(|at| at <= Instant::now())
    }

    pub(super) fn error() -> Error {
        Error::new(ErrorKind::Deadline, "the call took longer than it was given")
    }
}

impl Clone for Deadline {
    fn clone(&self) -> Self {
        Self::new(self.at)
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deadline").field(&self.at).finish()
    }
}
