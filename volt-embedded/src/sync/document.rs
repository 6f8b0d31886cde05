//! A document in memory: a Yjs document, and the checks of its changes.

use std::sync::Arc;

use serde_json::Value;
use volt_api::{
    Status,
    documents::updates::{self, Gapped, MAX_NESTING, Nesting, Summary, Unfit},
};
use yrs::{
    Doc, OffsetKind, Options, ReadTxn as _, StateVector, Transact as _, TransactionMut, Update,
    updates::{decoder::Decode as _, encoder::Encode as _},
};

use super::{MAX_STATE_VECTOR, value};
use crate::error::{internal, invalid, precondition};

/// The memory that an update or a document may need, as estimated, in bytes.
const MAX_COST: u64 = 256 << 20;

/// A document in memory.
pub(crate) struct Document {
    doc: Doc,
    /// The estimated memory, in bytes.
    cost: u64,
    nesting: Nesting,
    gapped: Gapped,
}

/// A change that a document has accepted.
#[derive(Debug)]
pub(crate) struct Change {
    /// The change as an update.
    pub(crate) update: Arc<[u8]>,
    /// The state of the document without it.
    pub(crate) before: Arc<StateVector>,
}

/// The reason why a document rejected a change.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// The document has not changed.
    Refused(Status),
    /// The document may be damaged: it must be loaded again.
    Broken(Status),
}

impl From<Status> for Rejected {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl Document {
    pub(crate) fn new() -> Self {
        let options = Options {
            // The unit of Yjs.
            offset_kind: OffsetKind::Utf16,
            // The Volt does not change documents on its own.
            cleanup_formatting: false,
            ..Options::default()
        };
        let (nesting, gapped) = (Nesting::empty(), Gapped::default());
        Self { doc: Doc::with_options(options), cost: 0, nesting, gapped }
    }

    /// Returns the estimated memory of the document, in bytes.
    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }

    /// Returns the state vector of the document.
    pub(crate) fn state(&self) -> StateVector {
        self.doc.transact().state_vector()
    }

    /// Returns the state vector in its encoding.
    pub(crate) fn encoded_state(&self) -> Vec<u8> {
        self.state().encode_v1()
    }

    /// Returns everything that a document with this state lacks, as one update.
    pub(crate) fn missing(&self, state: &StateVector) -> Result<Vec<u8>, Status> {
        let encode = || updates::missing(&self.doc.transact(), state).ok();
        guarded(encode).flatten().ok_or_else(|| internal("the document cannot be encoded"))
    }

    /// Returns the whole document as one update.
    pub(crate) fn whole(&self) -> Result<Vec<u8>, Status> {
        self.missing(&StateVector::default())
    }

    /// Returns the document as JSON.
    pub(crate) fn json(&self) -> Result<Value, Status> {
        guarded(|| value::to_json(&self.doc.transact()))
            .ok_or_else(|| internal("the document cannot be read"))
    }

    /// Returns the names of the roots.
    pub(crate) fn roots(&self) -> Vec<String> {
        self.doc.transact().root_refs().map(|(name, _)| name.to_owned()).collect()
    }

    /// Returns an identifier of the content, equal for all copies with the same changes.
    pub(crate) fn identity(&self) -> Vec<u8> {
        let snapshot = self.doc.transact().snapshot();
        let mut state: Vec<_> = snapshot.state_map.iter().collect();
        state.sort();
        let mut deleted = Vec::new();
        for (client, ranges) in snapshot.delete_set.iter() {
            deleted.extend(ranges.iter().map(|range| (client, range.start, range.end)));
        }
        deleted.sort_unstable();
        let mut bytes = Vec::new();
        for (client, clock) in state {
            bytes.extend_from_slice(&client.get().to_be_bytes());
            bytes.extend_from_slice(&clock.to_be_bytes());
        }
        // No client has this id.
        bytes.extend_from_slice(&u64::MAX.to_be_bytes());
        for (client, start, end) in deleted {
            bytes.extend_from_slice(&client.get().to_be_bytes());
            bytes.extend_from_slice(&start.to_be_bytes());
            bytes.extend_from_slice(&end.to_be_bytes());
        }
        bytes
    }

    /// Returns the whole document as one update, to be kept in place of all others. The update is
    /// read back first, because no other copy will remain.
    pub(crate) fn merged(&mut self) -> Result<Vec<u8>, Status> {
        let whole = self.whole()?;
        let mut copy = Self::new();
        match copy.apply(&whole) {
            Ok(_) if copy.identity() == self.identity() => {
                self.cost = copy.cost;
                Ok(whole)
            }
            Err(Rejected::Refused(status) | Rejected::Broken(status)) => Err(status),
            Ok(_) => Err(internal("a copy of the document differs from it")),
        }
    }

    /// Applies an update. Returns `None` if it contains nothing new.
    pub(crate) fn apply(&mut self, update: &[u8]) -> Result<Option<Change>, Rejected> {
        let summary = check(update)?;
        let unreadable = || invalid("an update cannot be decoded");
        let decoded = guarded(|| Update::decode_v2(update)).ok_or_else(unreadable)?;
        let decoded = decoded.map_err(|_| unreadable())?;
        let admitted = guarded(|| self.gapped.admit(&self.doc.transact(), update));
        admitted.ok_or_else(unreadable)?.map_err(unfit)?;
        self.make_room(summary)?;
        let before = self.state();
        let outcome = self.transact(|txn| {
            txn.apply_update(decoded).map_err(|_| invalid("an update cannot be applied"))?;
            // The library accepts some damaged updates that it cannot write. The document could not
            // be opened after such updates.
            check(&updates::of_transaction(txn)).map(drop)
        });
        let changed = match outcome {
            Some((Ok(()), changed)) => changed,
            Some((Err(status), _)) => return Err(Rejected::Broken(status)),
            None => return Err(Rejected::Broken(invalid("an update cannot be applied"))),
        };
        let waits = self.doc.transact().has_missing_updates();
        if !changed && !waits {
            return Ok(None);
        }
        // Changes that wait for earlier ones are written, too.
        if waits && self.missing(&self.state()).and_then(|update| check(&update)).is_err() {
            return Err(Rejected::Broken(invalid("an update cannot be applied")));
        }
        self.cost += summary.cost;
        Ok(Some(Change { update: update.into(), before: Arc::new(before) }))
    }

    /// Changes the document. If `work` fails, the document may have changed in part.
    pub(crate) fn change(
        &mut self,
        work: impl FnOnce(&mut TransactionMut<'_>) -> Result<(), Status>,
    ) -> Result<Option<Change>, Rejected> {
        let before = self.state();
        let mut update = Vec::new();
        let outcome = self.transact(|txn| {
            work(txn)?;
            update = updates::of_transaction(txn);
            Ok(())
        });
        let changed = match outcome {
            Some((Ok(()), changed)) => changed,
            Some((Err(status), _)) => return Err(Rejected::Broken(status)),
            None => return Err(Rejected::Broken(internal("the document could not be changed"))),
        };
        if !changed {
            return Ok(None);
        }
        let summary = check(&update).map_err(Rejected::Broken)?;
        self.make_room(summary).map_err(Rejected::Broken)?;
        self.cost += summary.cost;
        Ok(Some(Change { update: update.into(), before: Arc::new(before) }))
    }

    /// Runs work in a transaction. Returns its result and whether the document has changed, or `None` if
    /// it panicked.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut TransactionMut<'_>) -> T,
    ) -> Option<(T, bool)> {
        let mut txn = self.doc.transact_mut();
        let outcome = guarded(|| work(&mut txn));
        self.gapped.note(&txn);
        // The state vector does not change if there is a gap before the added changes.
        let changed = !txn.insert_set().is_empty() || !txn.delete_set().is_empty();
        // Dropping it commits it, which panics as well if the document is damaged. That must not happen
        // while another panic unwinds, because the process would end.
        let committed = guarded(move || drop(txn));
        Some((outcome?, committed.map(|()| changed)?))
    }

    /// Fails if the document has no room for an update.
    fn make_room(&mut self, summary: Summary) -> Result<(), Status> {
        if self.cost + summary.cost > MAX_COST {
            return Err(precondition("the document is full: it has reached the maximum size"));
        }
        self.nesting.admit(&self.doc.transact(), summary).map_err(unfit)
    }
}

/// Checks an update before the library reads it.
pub(super) fn check(update: &[u8]) -> Result<Summary, Status> {
    updates::check(update, MAX_COST).map_err(unfit)
}

fn unfit(reason: Unfit) -> Status {
    match reason {
        Unfit::Malformed => invalid("an update cannot be decoded"),
        Unfit::TooLarge => precondition("the update is too large for a document"),
        Unfit::TooDeep => {
            let message =
                format!("values are nested too deeply: {MAX_NESTING} levels are permitted");
            precondition(message)
        }
    }
}

/// Decodes a caller's state vector. An absent state vector means an empty document.
pub(crate) fn decode_state(state: &[u8]) -> Result<StateVector, Status> {
    let unreadable = || invalid("the state vector cannot be decoded");
    if state.is_empty() {
        return Ok(StateVector::default());
    }
    if state.len() > MAX_STATE_VECTOR {
        return Err(precondition(format!("a state vector has more than {MAX_STATE_VECTOR} bytes")));
    }
    updates::check_state_vector(state).map_err(|_| unreadable())?;
    let decoded = guarded(|| StateVector::decode_v1(state)).ok_or_else(unreadable)?;
    decoded.map_err(|_| unreadable())
}

/// Runs work of the Yjs library. Returns `None` if it panicked.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let outcome = updates::caught(work);
    if outcome.is_none() {
        tracing::error!("the Yjs library panicked; only its call ends");
    }
    outcome
}
