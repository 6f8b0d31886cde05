//! Writes updates.
//!
//! A document has gaps when it has changes of a client but lacks earlier ones. The Yjs library
//! writes the length of a gap into a column, but reads it from the rest of the update, as Yjs does.

use std::collections::BTreeSet;

use yrs::{
    Any, ClientID, ID, IdSet, ReadTxn, StateVector, TransactionMut, Update,
    encoding::{read::Error, write::Write},
    updates::{
        decoder::Decode as _,
        encoder::{Encode, Encoder, EncoderV2},
    },
};

/// The kind of block that precedes the length of a gap.
const GAP: u8 = 10;

/// Returns what a document has beyond a state vector: its changes, those that wait for missing ones, and
/// all deletions.
///
/// # Errors
///
/// Fails if the library cannot read what it has written, because a damaged update was applied earlier.
pub fn missing(transaction: &impl ReadTxn, state: &StateVector) -> Result<Vec<u8>, Error> {
    let update = beyond(transaction, state);
    let store = transaction.store();
    let mut waiting = Vec::new();
    if let Some(pending) = store.pending_update() {
        waiting.push(encode(&pending.update));
    }
    if let Some(deletions) = store.pending_ds() {
        waiting.push(deletions_alone(deletions));
    }
    if waiting.is_empty() {
        return Ok(update);
    }
    waiting.insert(0, update);
    merge(&waiting)
}

/// Returns what a transaction has changed.
pub fn of_transaction(transaction: &TransactionMut<'_>) -> Vec<u8> {
    let (before, after) = (transaction.before_state(), transaction.state_vector());
    let behind_gap = |(client, _): (&ClientID, _)| after.get(client) <= before.get(client);
    // The library treats the changes before a gap as all of a client's changes.
    if transaction.insert_set().iter().any(behind_gap) {
        return beyond(transaction, before);
    }
    let mut writer = Writer::new();
    transaction.encode_update(&mut writer);
    writer.to_vec()
}

/// Merges updates into one.
///
/// # Errors
///
/// Fails if one of them does not decode.
pub fn merge<T: AsRef<[u8]>>(updates: &[T]) -> Result<Vec<u8>, Error> {
    let updates = updates.iter().map(|update| Update::decode_v2(update.as_ref()));
    let updates = updates.collect::<Result<Vec<_>, _>>()?;
    Ok(encode(&Update::merge_updates(updates)))
}

/// Writes a whole.
pub fn encode(whole: &impl Encode) -> Vec<u8> {
    let mut writer = Writer::new();
    whole.encode(&mut writer);
    writer.to_vec()
}

/// Returns an update that only deletes.
pub fn deletions_alone(deletions: &IdSet) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.write_var(0_u32);
    deletions.encode(&mut writer);
    writer.to_vec()
}

/// Returns what a document has beyond a state vector, without the changes that wait for missing
/// ones.
pub(super) fn beyond(transaction: &impl ReadTxn, state: &StateVector) -> Vec<u8> {
    let mut writer = Writer::new();
    transaction.encode_diff(&before_gaps(transaction, state), &mut writer);
    writer.to_vec()
}

/// Lowers a state vector so that it excludes the changes after gaps. The library treats the changes
/// before a gap as all of a client's changes, and omits the others.
fn before_gaps(transaction: &impl ReadTxn, state: &StateVector) -> StateVector {
    let known = transaction.state_vector();
    // Encode from the last change before a possible gap, for each client of which the library would
    // write no changes.
    let last = |client: &ClientID, clock: u32| {
        if state.get(client) >= clock { clock.checked_sub(1) } else { Some(clock) }
    };
    let ends = known.iter().filter_map(|(client, clock)| Some((*client, last(client, *clock)?)));
    let gaps = gaps(transaction, &ends.collect());
    let lower = |(client, clock): (&ClientID, &u32)| {
        let clock = if gaps.contains(client) { known.get(client).checked_sub(1)? } else { *clock };
        Some((*client, clock))
    };
    state.iter().filter_map(lower).collect()
}

/// Returns the clients with gaps in what a document has beyond a state vector.
pub(super) fn gaps(transaction: &impl ReadTxn, state: &StateVector) -> BTreeSet<ClientID> {
    let mut gaps = Gaps::default();
    transaction.encode_diff(state, &mut gaps);
    gaps.found
}

/// Writes the second encoding, with gaps as Yjs does.
struct Writer {
    inner: EncoderV2,
    /// The next length is that of a gap.
    gap: bool,
}

impl Writer {
    fn new() -> Self {
        Self { inner: EncoderV2::new(), gap: false }
    }
}

impl Write for Writer {
    fn write_all(&mut self, bytes: &[u8]) {
        self.inner.write_all(bytes);
    }

    fn write_u8(&mut self, byte: u8) {
        self.inner.write_u8(byte);
    }

    fn write_string(&mut self, text: &str) {
        self.inner.write_string(text);
    }
}

impl Encoder for Writer {
    fn to_vec(self) -> Vec<u8> {
        self.inner.to_vec()
    }

    fn reset_ds_cur_val(&mut self) {
        self.inner.reset_ds_cur_val();
    }

    fn write_ds_clock(&mut self, clock: u32) {
        self.inner.write_ds_clock(clock);
    }

    fn write_ds_len(&mut self, len: u32) {
        self.inner.write_ds_len(len);
    }

    fn write_left_id(&mut self, id: &ID) {
        self.inner.write_left_id(id);
    }

    fn write_right_id(&mut self, id: &ID) {
        self.inner.write_right_id(id);
    }

    fn write_client(&mut self, client: ClientID) {
        self.inner.write_client(client);
    }

    fn write_info(&mut self, info: u8) {
        self.gap = info == GAP;
        self.inner.write_info(info);
    }

    fn write_parent_info(&mut self, is_y_key: bool) {
        self.inner.write_parent_info(is_y_key);
    }

    fn write_type_ref(&mut self, info: u8) {
        self.inner.write_type_ref(info);
    }

    fn write_len(&mut self, len: u32) {
        if std::mem::take(&mut self.gap) {
            self.inner.write_var(len);
        } else {
            self.inner.write_len(len);
        }
    }

    fn write_any(&mut self, any: &Any) {
        self.inner.write_any(any);
    }

    fn write_json(&mut self, any: &Any) {
        self.inner.write_json(any);
    }

    fn write_key(&mut self, key: &str) {
        self.inner.write_key(key);
    }
}

/// Writes nothing, and notes whose changes have gaps.
#[derive(Default)]
struct Gaps {
    client: Option<ClientID>,
    found: BTreeSet<ClientID>,
}

impl Write for Gaps {
    fn write_all(&mut self, _: &[u8]) {}
}

impl Encoder for Gaps {
    fn to_vec(self) -> Vec<u8> {
        Vec::new()
    }

    fn reset_ds_cur_val(&mut self) {}

    fn write_ds_clock(&mut self, _: u32) {}

    fn write_ds_len(&mut self, _: u32) {}

    fn write_left_id(&mut self, _: &ID) {}

    fn write_right_id(&mut self, _: &ID) {}

    fn write_client(&mut self, client: ClientID) {
        self.client = Some(client);
    }

    fn write_info(&mut self, info: u8) {
        if info == GAP {
            self.found.extend(self.client);
        }
    }

    fn write_parent_info(&mut self, _: bool) {}

    fn write_type_ref(&mut self, _: u8) {}

    fn write_len(&mut self, _: u32) {}

    fn write_any(&mut self, _: &Any) {}

    fn write_json(&mut self, _: &Any) {}

    fn write_key(&mut self, _: &str) {}
}

#[cfg(test)]
mod tests;
