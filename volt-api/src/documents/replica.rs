//! The document of an exchange. Applies the Volt's updates, and detects local ones.
//!
//! An update is local unless the exchange made it. A transaction of the exchange can contain local changes
//! too: blocks that had arrived from elsewhere and waited for this update, formatting that the document
//! cleans up, edits by the program's own callbacks. Comparing the transaction's changes with the received
//! ones finds them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use volt_runtime::{Error, Result};
use yrs::{
    Doc, IdSet, Origin, ReadTxn, StateVector, TransactionMut, Update,
    encoding::write::Write as _,
    updates::{
        decoder::Decode as _,
        encoder::{Encode as _, Encoder as _, EncoderV2},
    },
};

/// A document that is observed.
#[derive(Debug)]
pub struct Replica {
    doc: Doc,
    /// The origin of the transactions that apply updates of the Volt, and the key of the observers.
    origin: Origin,
    received: Arc<Mutex<Received>>,
}

/// The changes that an update of the Volt makes.
#[derive(Debug, Default)]
struct Received {
    insertions: IdSet,
    /// Includes the deletions that follow from the insertions. Known after the update is applied.
    deletions: IdSet,
}

impl Replica {
    /// Observes a document. `changed` is called with every local update while the document is locked.
    ///
    /// `transaction` must be one of `doc`.
    pub fn observe(
        doc: &Doc,
        transaction: &mut TransactionMut<'_>,
        changed: impl Fn(Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        let origin = Origin::from(uuid::Uuid::new_v4().as_u128());
        let received = Arc::new(Mutex::new(Received::default()));
        let (own, seen) = (origin.clone(), Arc::clone(&received));
        transaction.observe_before_observer_calls(origin.clone(), move |transaction| {
            if transaction.origin() == Some(&own) {
                lock(&seen).deletions = transaction.delete_set().clone();
            }
        });
        let (own, seen) = (origin.clone(), Arc::clone(&received));
        transaction.observe_update_v2(origin.clone(), move |transaction, event| {
            if transaction.origin() != Some(&own) {
                return changed(event.update.clone());
            }
            let seen = lock(&seen);
            if !transaction.insert_set().diff(&seen.insertions).is_empty() {
                return changed(event.update.clone());
            }
            let deletions = transaction.delete_set().diff(&seen.deletions);
            if !deletions.is_empty() {
                changed(deletions_alone(&deletions));
            }
        });
        Self { doc: doc.clone(), origin, received }
    }

    pub fn doc(&self) -> &Doc {
        &self.doc
    }

    /// Returns the origin that transactions for [`apply`](Self::apply) need.
    pub fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// Ends the observation.
    pub fn release(&self, transaction: &TransactionMut<'_>) {
        transaction.unobserve_before_observer_calls(self.origin.clone());
        transaction.unobserve_update_v2(self.origin.clone());
    }

    /// Applies an update of the Volt, in a transaction with [`origin`](Self::origin).
    ///
    /// # Errors
    ///
    /// When the update cannot be applied, or only in part.
    pub fn apply(&self, mut transaction: TransactionMut<'_>, update: Update) -> Result<()> {
        *lock(&self.received) =
            Received { insertions: update.insertions(true), deletions: IdSet::default() };
        // Updates come from others. A panic within the transaction must not end the program: the
        // transaction is committed outside of the unwinding, because its commit may panic as well.
        let applied = caught(|| transaction.apply_update(update));
        let committed = caught(move || drop(transaction));
        match (applied, committed) {
            (Some(Ok(())), Some(())) => Ok(()),
            (Some(Err(error)), _) => Err(invalid("update").with_source(error)),
            _ => Err(invalid("update")),
        }
    }
}

/// Reads an update.
///
/// # Errors
///
/// When it does not decode.
pub fn decode(update: &[u8]) -> Result<Update> {
    match caught(|| Update::decode_v2(update)) {
        Some(Ok(update)) => Ok(update),
        Some(Err(error)) => Err(invalid("update").with_source(error)),
        None => Err(invalid("update")),
    }
}

/// Returns what a document has beyond a state vector.
///
/// # Errors
///
/// When the state vector does not decode.
pub fn beyond(transaction: &impl ReadTxn, vector: &[u8]) -> Result<Vec<u8>> {
    let vector = if vector.is_empty() {
        StateVector::default()
    } else {
        match caught(|| StateVector::decode_v1(vector)) {
            Some(Ok(vector)) => vector,
            Some(Err(error)) => return Err(invalid("state vector").with_source(error)),
            None => return Err(invalid("state vector")),
        }
    };
    caught(|| transaction.encode_state_as_update_v2(&vector)).ok_or_else(|| invalid("state vector"))
}

/// Returns the state vector of a document, encoded.
pub fn vector(transaction: &impl ReadTxn) -> Vec<u8> {
    transaction.state_vector().encode_v1()
}

fn invalid(what: &str) -> Error {
    Error::protocol(format!("the Volt sent an invalid {what} of the document"))
}

/// Runs code of the document's library on data of others. Returns `None` if that made it panic.
pub fn caught<T>(code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code)).ok()
}

/// Returns an update that only deletes.
fn deletions_alone(deletions: &IdSet) -> Vec<u8> {
    let mut encoder = EncoderV2::new();
    encoder.write_var(0_u32);
    deletions.encode(&mut encoder);
    encoder.to_vec()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
