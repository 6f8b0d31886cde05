//! Tracks whether any thread writes JSON in an unusual way: within a `google.protobuf.Any`, or with
//! names in camelCase.
//!
//! Writers check this before their thread-locals, whose access costs more.

use std::sync::atomic::{AtomicUsize, Ordering};

static UNUSUAL: AtomicUsize = AtomicUsize::new(0);

/// Returns whether all JSON is written in the usual way. A thread sees at least its own changes.
#[inline]
pub(super) fn is_usual() -> bool {
    UNUSUAL.load(Ordering::Relaxed) == 0
}

/// Something that is written in an unusual way. Dropping it ends that.
pub(super) struct Unusual(());

impl Unusual {
    pub(super) fn new() -> Self {
        UNUSUAL.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Unusual {
    fn drop(&mut self) {
        UNUSUAL.fetch_sub(1, Ordering::Relaxed);
    }
}
