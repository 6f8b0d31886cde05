//! Local updates that wait to be sent.

use std::time::{Duration, Instant};

use volt_runtime::{Error, ErrorKind, Result};

use crate::documents::updates;

/// The number of updates that are kept separately.
const COUNT: usize = 256;
/// The maximum size of the kept updates, in bytes.
const MOST: usize = 64 << 20;

/// The local updates that are not sent yet. They are merged when they become many, so that a slow peer
/// does not let them grow.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The first may be the result of a merge.
    updates: Vec<Vec<u8>>,
    bytes: usize,
    since: Option<Instant>,
    /// There were too many updates: the missing ones must be computed from the document.
    overflowed: bool,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.updates.is_empty() && !self.overflowed
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// Adds an update. An empty one stands for one that cannot be written.
    ///
    /// `size` is the number of bytes that are sent without delay.
    pub(super) fn push(&mut self, now: Instant, update: Vec<u8>, size: usize) {
        if self.overflowed {
            return;
        }
        self.since.get_or_insert(now);
        self.bytes += update.len();
        self.overflowed = update.is_empty();
        self.updates.push(update);
        let first = self.updates.first().map_or(0, Vec::len);
        // Wait for as many bytes as were merged before, so that merging costs little per update.
        if self.updates.len() >= COUNT || self.bytes - first > first.max(size) {
            let merged = self.merge();
            self.overflowed |= merged.is_err() || self.bytes > MOST;
        }
        if self.overflowed {
            *self = Self { overflowed: true, ..Self::default() };
        }
    }

    /// Returns when the updates are due, if there are any: after `delay`, or at once if they have
    /// `size` bytes.
    pub(super) fn due(&self, delay: Duration, size: usize) -> Option<Instant> {
        let since = self.since?;
        if self.bytes >= size { Some(since) } else { since.checked_add(delay) }
    }

    /// Takes all updates, merged into one.
    pub(super) fn take(&mut self) -> Result<Option<Vec<u8>>> {
        self.merge()?;
        let update = self.updates.pop();
        self.clear();
        Ok(update)
    }

    fn merge(&mut self) -> Result<()> {
        if self.updates.len() > 1 {
            let merged = updates::merge(&self.updates).map_err(|error| {
                let message = "the document's own updates cannot be merged";
                Error::new(ErrorKind::Connection, message).with_source(error)
            })?;
            self.bytes = merged.len();
            self.updates = vec![merged];
        }
        Ok(())
    }
}
