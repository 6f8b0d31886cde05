//! `Scope`: cancels work on a blocking thread when its call ends or the Volt stops.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use volt_api::{Code, Status};

/// The scope of a call. Clones belong to the same call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    cancelled: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
}

/// Ends a scope when it is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct CancelOnDrop(Arc<AtomicBool>);

impl Scope {
    /// Creates a scope for one call within this one. Both end when the Volt stops.
    pub(crate) fn for_call(&self) -> Self {
        Self { cancelled: Arc::default(), stopping: Arc::clone(&self.stopping) }
    }

    /// Returns a guard that ends this scope when it is dropped.
    pub(crate) fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(Arc::clone(&self.cancelled))
    }

    /// Ends this scope and all others of the Volt.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Returns whether the work should stop.
    pub(crate) fn is_over(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.stopping.load(Ordering::Relaxed)
    }

    /// Fails if the work should stop.
    pub(crate) fn check(&self) -> Result<(), Status> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Status::new(Code::Unavailable, "the Volt is stopping"));
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Status::new(Code::Cancelled, "the caller has ended the call"));
        }
        Ok(())
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
