//! The document of an exchange. Applies the Volt's updates, and detects local ones.
//!
//! An update is local unless the exchange made it. A transaction of the exchange can contain local changes
//! too: blocks that had arrived from elsewhere and waited for this update, formatting that the document
//! cleans up, edits by the program's own callbacks. Comparing the transaction's changes with the received
//! ones finds them.

use std::sync::{Arc, Mutex};

use volt_runtime::{Error, Result};
use yrs::{
    Doc, IdSet, Origin, ReadTxn, StateVector, TransactionMut, Update,
    updates::{decoder::Decode as _, encoder::Encode as _},
};

use super::{
    shared::lock,
    updates::{self, Gapped, Nesting, Summary, Unfit, caught},
};

/// The memory that a small update may need, as estimated, in bytes.
const SMALL: u64 = 64 << 20;
/// The memory that a larger update may need for each of its bytes.
const FOR_EACH: u64 = 1024;

/// A document that is observed.
#[derive(Debug)]
pub struct Replica {
    doc: Doc,
    /// The origin of the transactions that apply updates of the Volt, and the key of the observers.
    origin: Origin,
    received: Arc<Mutex<Received>>,
    nesting: Mutex<Nesting>,
    gapped: Arc<Mutex<Gapped>>,
}

/// An update of the Volt that passed the checks.
#[derive(Debug)]
pub struct Checked {
    update: Update,
    summary: Summary,
}

/// The changes that an update of the Volt makes.
#[derive(Debug, Default)]
struct Received {
    insertions: IdSet,
    /// Includes the deletions that follow from the insertions. This is known after the update is
    /// applied.
    deletions: IdSet,
}

impl Replica {
    /// Observes a document. `changed` is called with every local update while the document is locked, and
    /// with an empty one if it cannot be written.
    ///
    /// `transaction` must be one of `doc`.
    pub fn observe(
        doc: &Doc,
        transaction: &mut TransactionMut<'_>,
        changed: impl Fn(Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        let origin = Origin::from(uuid::Uuid::new_v4().as_u128());
        let received = Arc::new(Mutex::new(Received::default()));
        let gapped = caught(|| Gapped::of(transaction)).unwrap_or_default();
        let gapped = Arc::new(Mutex::new(gapped));
        let (own, seen) = (origin.clone(), Arc::clone(&received));
        transaction.observe_before_observer_calls(origin.clone(), move |transaction| {
            if transaction.origin() == Some(&own) {
                lock(&seen).deletions = transaction.delete_set().clone();
            }
        });
        let (own, seen) = (origin.clone(), Arc::clone(&received));
        // Damaged updates of others must not make the program's own transactions panic.
        let written = |transaction: &TransactionMut<'_>| {
            caught(|| updates::of_transaction(transaction)).unwrap_or_default()
        };
        let noted = Arc::clone(&gapped);
        // Do not use the library's update, which cannot be read if it has a gap.
        transaction.observe_transaction_cleanup(origin.clone(), move |transaction, _| {
            lock(&noted).note(transaction);
            let (insertions, deletions) = (transaction.insert_set(), transaction.delete_set());
            if insertions.is_empty() && deletions.is_empty() {
                return;
            }
            if transaction.origin() != Some(&own) {
                return changed(written(transaction));
            }
            let seen = lock(&seen);
            if !insertions.diff(&seen.insertions).is_empty() {
                return changed(written(transaction));
            }
            let deletions = deletions.diff(&seen.deletions);
            if !deletions.is_empty() {
                changed(updates::deletions_alone(&deletions));
            }
        });
        Self { doc: doc.clone(), origin, received, nesting: Mutex::default(), gapped }
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
        transaction.unobserve_transaction_cleanup(self.origin.clone());
    }

    /// Applies an update of the Volt, in a transaction with [`origin`](Self::origin).
    ///
    /// # Errors
    ///
    /// Fails if the update cannot be applied, or only in part.
    pub fn apply(&self, mut transaction: TransactionMut<'_>, update: Checked) -> Result<()> {
        let Checked { update, summary } = update;
        lock(&self.nesting).admit(&transaction, summary).map_err(unfit)?;
        if lock(&self.gapped).matters(&transaction) {
            let written = updates::encode(&update);
            let admitted = caught(|| lock(&self.gapped).admit(&transaction, &written));
            admitted.ok_or_else(|| invalid("update"))?.map_err(unfit)?;
        }
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
/// Fails if the update does not decode, or would need too much memory.
pub fn decode(update: &[u8]) -> Result<Checked> {
    // Check this before the library reads the update: its recursion is as deep as the nesting, and
    // a stack overflow cannot be caught.
    let max_cost = SMALL.saturating_add(FOR_EACH.saturating_mul(update.len() as u64));
    let summary = updates::check(update, max_cost).map_err(unfit)?;
    match caught(|| Update::decode_v2(update)) {
        Some(Ok(update)) => Ok(Checked { update, summary }),
        Some(Err(error)) => Err(invalid("update").with_source(error)),
        None => Err(invalid("update")),
    }
}

/// Returns what a document has beyond a state vector.
///
/// # Errors
///
/// Fails if the state vector does not decode.
pub fn beyond(transaction: &impl ReadTxn, vector: &[u8]) -> Result<Vec<u8>> {
    let vector = if vector.is_empty() {
        StateVector::default()
    } else {
        updates::check_state_vector(vector).map_err(|_| invalid("state vector"))?;
        match caught(|| StateVector::decode_v1(vector)) {
            Some(Ok(vector)) => vector,
            Some(Err(error)) => return Err(invalid("state vector").with_source(error)),
            None => return Err(invalid("state vector")),
        }
    };
    match caught(|| updates::missing(transaction, &vector)) {
        Some(Ok(update)) if updates::check(&update, u64::MAX) != Err(Unfit::Malformed) => {
            Ok(update)
        }
        Some(Err(error)) => Err(unwritable().with_source(error)),
        _ => Err(unwritable()),
    }
}

/// Returns the state vector of a document, encoded.
pub fn vector(transaction: &impl ReadTxn) -> Vec<u8> {
    transaction.state_vector().encode_v1()
}

fn invalid(what: &str) -> Error {
    Error::protocol(format!("the Volt sent an invalid {what} of the document"))
}

fn unfit(reason: Unfit) -> Error {
    match reason {
        Unfit::Malformed => invalid("update"),
        Unfit::TooLarge => Error::protocol(
            "the Volt sent an update of the document that needs too much memory for its size",
        ),
        Unfit::TooDeep => {
            Error::protocol("the Volt sent an update of the document that is nested too deeply")
        }
    }
}

fn unwritable() -> Error {
    Error::protocol("the document cannot be written, because a damaged update was applied to it")
}

#[cfg(test)]
mod tests;
