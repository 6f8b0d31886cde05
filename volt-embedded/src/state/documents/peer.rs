//! A call that uses a document, as others see it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::sync::outbox::{Next, Outbox};

/// A call that uses a document, as others see it.
pub(super) struct Peer {
    call: u64,
    outbox: Mutex<Outbox>,
    wake: Notify,
}

impl Peer {
    pub(super) fn new(call: u64, outbox: Outbox) -> Self {
        Self { call, outbox: Mutex::new(outbox), wake: Notify::new() }
    }

    pub(super) fn call(&self) -> u64 {
        self.call
    }

    /// Changes the call's outgoing messages.
    pub(super) fn outbox(&self, work: impl FnOnce(&mut Outbox)) {
        work(&mut lock(&self.outbox));
        self.wake.notify_one();
    }

    /// Waits for the next step of the call.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub(super) async fn next(&self) -> Next {
        loop {
            let next = lock(&self.outbox).next();
            match next {
                Some(next) => return next,
                None => self.wake.notified().await,
            }
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is a single operation, or leaves the document unloaded, so a poisoned lock protects
    // consistent data.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
