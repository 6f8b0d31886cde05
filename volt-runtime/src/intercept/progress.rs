//! The progress of a watched call.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use super::outcome::{Outcome, Side, Traffic};
#[cfg(feature = "metrics")]
use crate::metrics::Meters;
#[cfg(feature = "metrics")]
pub(super) use crate::metrics::is_enabled as is_measured;
use crate::{method::Method, status::Status};

/// The numbers of a call, shared with its halves.
pub(super) struct Progress {
    sent: Counter,
    received: Counter,
    attempts: AtomicU32,
    /// The status of a server's handler; `None` for success.
    handled: OnceLock<Option<Status>>,
    meters: Option<Meters>,
}

#[derive(Default)]
struct Counter {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    pub(super) fn new(side: Side, method: &'static Method, system: &'static str) -> Self {
        Self {
            sent: Counter::default(),
            received: Counter::default(),
            attempts: AtomicU32::new(0),
            handled: OnceLock::new(),
            meters: Meters::begin(side, method, system),
        }
    }

    /// Called when the call is opened.
    pub(super) fn attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// Called when a message was sent.
    pub(super) fn sent(&self, bytes: u64) {
        self.sent.add(bytes);
        if let Some(meters) = &self.meters {
            meters.sent(bytes);
        }
    }

    /// Called when a message was received.
    pub(super) fn received(&self, bytes: u64) {
        self.received.add(bytes);
        if let Some(meters) = &self.meters {
            meters.received(bytes);
        }
    }

    /// Called when the call has ended.
    pub(super) fn end(&self, outcome: &Outcome) {
        if let Some(meters) = &self.meters {
            meters.end(outcome);
        }
    }

    pub(super) fn total_sent(&self) -> Traffic {
        self.sent.total()
    }

    pub(super) fn total_received(&self) -> Traffic {
        self.received.total()
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Returns how a server's handler ended, if that was recorded.
    pub(super) fn handled(&self) -> Option<Option<Status>> {
        self.handled.get().cloned()
    }
}

impl Counter {
    // Nothing else is published with the numbers, so no ordering is needed.
    fn add(&self, bytes: u64) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn total(&self) -> Traffic {
        Traffic {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// Records how a server's handler ended.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Option<Arc<Progress>>);

impl Recorder {
    pub(super) fn new(progress: Option<Arc<Progress>>) -> Self {
        Self(progress)
    }

    /// Records the end; `None` for success. The first one counts.
    pub(crate) fn record(&self, failure: Option<&Status>) {
        if let Some(progress) = &self.0 {
            let _ = progress.handled.set(failure.cloned());
        }
    }
}

/// Returns whether calls are measured.
#[cfg(not(feature = "metrics"))]
pub(super) const fn is_measured() -> bool {
    false
}

/// Stands in for the metrics of a call.
#[cfg(not(feature = "metrics"))]
struct Meters;

#[cfg(not(feature = "metrics"))]
#[expect(clippy::unused_self, reason = "the metrics of a call have these methods")]
impl Meters {
    fn begin(_: Side, _: &'static Method, _: &'static str) -> Option<Self> {
        None
    }

    fn sent(&self, _: u64) {}

    fn received(&self, _: u64) {}

    fn end(&self, _: &Outcome) {}
}
