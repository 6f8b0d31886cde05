//! Permits: limit the threads that all callers together, and each identity, may occupy at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use volt_api::Status;

use crate::error::exhausted;

/// The maximum number of concurrent operations of one identity; further ones wait.
const OPERATIONS_OF_ONE: usize = 4;
/// The maximum number of concurrent operations of all identities; further ones wait.
const OPERATIONS: usize = 64;
/// The maximum number of calls of one identity that use documents.
const DOCUMENTS_OF_ONE: usize = 2048;
/// The maximum number of such calls of all identities.
const DOCUMENTS: usize = 16_384;

/// The permits of a Volt.
pub(crate) struct Permits {
    all: Shares,
    /// The maximum number of open queries of one identity.
    queries_of_one: usize,
    identities: Mutex<HashMap<String, Weak<Shares>>>,
}

/// The permits of all callers, or of one identity.
struct Shares {
    /// Short operations, each on its own thread.
    operations: Arc<Semaphore>,
    /// Open queries, each of which occupies a thread, even while it waits for its caller.
    queries: Arc<Semaphore>,
    /// Calls that use documents, which occupy memory but no thread.
    documents: Arc<Semaphore>,
}

/// A permit, returned when it is dropped.
pub(crate) struct Permit {
    _of_one: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
    /// Keeps the identity's entry alive while it is used.
    _shares: Arc<Shares>,
}

impl Shares {
    fn new(operations: usize, queries: usize, documents: usize) -> Self {
        Self {
            operations: Arc::new(Semaphore::new(operations)),
            queries: Arc::new(Semaphore::new(queries)),
            documents: Arc::new(Semaphore::new(documents)),
        }
    }
}

impl Permits {
    pub(crate) fn new(queries: usize, queries_of_one: usize) -> Self {
        let all = Shares::new(OPERATIONS, queries, DOCUMENTS);
        Self { all, queries_of_one, identities: Mutex::default() }
    }

    fn of(&self, identity: &str) -> Arc<Shares> {
        let mut identities = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shares) = identities.get(identity).and_then(Weak::upgrade) {
            return shares;
        }
        identities.retain(|_, shares| shares.strong_count() > 0);
        let shares =
            Arc::new(Shares::new(OPERATIONS_OF_ONE, self.queries_of_one, DOCUMENTS_OF_ONE));
        identities.insert(identity.to_owned(), Arc::downgrade(&shares));
        shares
    }

    /// Waits for a permit to run an operation for this identity.
    pub(crate) async fn operation(&self, identity: &str) -> Result<Permit, Status> {
        let shares = self.of(identity);
        // Acquire the identity's own share first, so that waiting for it does not hold a shared
        // permit.
        let of_one = Arc::clone(&shares.operations).acquire_owned().await;
        let of_all = Arc::clone(&self.all.operations).acquire_owned().await;
        match (of_one, of_all) {
            (Ok(of_one), Ok(of_all)) => {
                Ok(Permit { _of_one: of_one, _of_all: of_all, _shares: shares })
            }
            // The semaphores are never closed.
            _ => Err(exhausted("no further operation can start")),
        }
    }

    /// Returns a permit to keep a query open, or fails if too many are open. Queries do not wait
    /// for each other, because a caller can keep one open indefinitely.
    pub(crate) fn query(&self, identity: &str) -> Result<Permit, Status> {
        self.now(identity, |shares| &shares.queries, "queries")
    }

    /// Returns a permit to use a document, or fails if too many calls do.
    pub(crate) fn document(&self, identity: &str) -> Result<Permit, Status> {
        self.now(identity, |shares| &shares.documents, "documents")
    }

    /// Returns a permit that does not wait.
    fn now(
        &self,
        identity: &str,
        semaphore: impl Fn(&Shares) -> &Arc<Semaphore>,
        what: &str,
    ) -> Result<Permit, Status> {
        let shares = self.of(identity);
        let full = |whose| {
            move |_| exhausted(format!("{whose} has too many open {what}: finish others first"))
        };
        let of_one = Arc::clone(semaphore(&shares)).try_acquire_owned();
        let of_one = of_one.map_err(full("the caller"))?;
        let of_all = Arc::clone(semaphore(&self.all)).try_acquire_owned();
        let of_all = of_all.map_err(full("the Volt"))?;
        Ok(Permit { _of_one: of_one, _of_all: of_all, _shares: shares })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_identity_cannot_take_the_permits_of_others() {
        let permits = Permits::new(4, 2);
        let mut held = Vec::new();
        for _ in 0..OPERATIONS_OF_ONE {
            held.push(permits.operation("greedy").await.unwrap());
        }
        assert!(permits.operation("greedy").now_or_never().is_none());
        assert!(permits.operation("other").now_or_never().is_some());
        held.clear();
        assert!(permits.operation("greedy").now_or_never().is_some());

        let queries = [permits.query("greedy").unwrap(), permits.query("greedy").unwrap()];
        assert!(permits.query("greedy").is_err());
        permits.query("other").unwrap();
        drop(queries);
        permits.query("greedy").unwrap();
    }

    #[tokio::test]
    async fn unused_identities_are_removed() {
        let permits = Permits::new(4, 2);
        drop(permits.query("left").unwrap());
        let _used = permits.query("used").unwrap();
        assert_eq!(permits.identities.lock().unwrap().len(), 1);
    }
}
