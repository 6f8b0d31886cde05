//! Tracks documents that have changes of a client but lack earlier ones.
//!
//! The library cuts the part that a document has out of a block. If the block begins before that part,
//! the remaining piece points to memory that is freed. No honest client sends such a block: what follows
//! a gap was inserted apart from the changes in it.

use std::collections::{BTreeSet, HashMap};

use yrs::{ClientID, ReadTxn, StateVector, TransactionMut, Update, updates::decoder::Decode as _};

use super::{
    check::{Block, Unfit, blocks},
    writer::{beyond, encode, gaps},
};

/// The clients with gaps in a document's changes, including some whose gaps were filled later.
#[derive(Debug, Default)]
pub struct Gapped(BTreeSet<ClientID>);

impl Gapped {
    /// Returns the clients with gaps in a document.
    pub fn of(document: &impl ReadTxn) -> Self {
        let last = |(client, clock): (&ClientID, &u32)| Some((*client, clock.checked_sub(1)?));
        Self(gaps(document, &document.state_vector().iter().filter_map(last).collect()))
    }

    /// Notes the gaps that a transaction leaves.
    pub fn note(&mut self, transaction: &TransactionMut<'_>) {
        if transaction.insert_set().is_empty() {
            return;
        }
        let state = transaction.state_vector();
        for (client, ranges) in transaction.insert_set().iter() {
            if ranges.iter().any(|range| range.end > state.get(client)) {
                self.0.insert(*client);
            }
        }
    }

    /// Returns whether an update must be [admitted](Self::admit).
    pub fn matters(&self, document: &impl ReadTxn) -> bool {
        !self.0.is_empty() || document.store().pending_update().is_some()
    }

    /// Checks an update that is to be applied.
    ///
    /// # Errors
    ///
    /// Fails if the library cannot apply the update safely.
    pub fn admit(&mut self, document: &impl ReadTxn, update: &[u8]) -> Result<(), Unfit> {
        if !self.matters(document) {
            return Ok(());
        }
        let update = blocks(update)?;
        self.check_known(document, &update)?;
        check_waiting(document, &update)
    }

    /// Fails if the document has the end of an item, but not its beginning.
    fn check_known(
        &mut self,
        document: &impl ReadTxn,
        update: &HashMap<u64, Vec<Block>>,
    ) -> Result<(), Unfit> {
        let touched = |client: &ClientID| update.contains_key(&client.get());
        let touched: BTreeSet<_> = self.0.iter().copied().filter(touched).collect();
        if touched.is_empty() {
            return Ok(());
        }
        let state = document.state_vector();
        // Encode everything after the gaps, and the last change before each.
        let lower = |(client, clock): (&ClientID, &u32)| {
            let clock = if touched.contains(client) { clock.checked_sub(1)? } else { *clock };
            Some((*client, clock))
        };
        let known: StateVector = state.iter().filter_map(lower).collect();
        let known = Update::decode_v2(&beyond(document, &known)).map_err(|_| Unfit::Malformed)?;
        let known = known.insertions(true);
        let mut known: HashMap<_, _> = known.iter().collect();
        for client in touched {
            let ranges = known.remove(&client).into_iter().flatten();
            let starts = ranges.map(|range| range.start);
            let starts: Vec<_> = starts.filter(|start| *start > state.get(&client)).collect();
            if starts.is_empty() {
                self.0.remove(&client);
            }
            for item in update[&client.get()].iter().filter(|block| block.is_item) {
                let after = starts.partition_point(|start| *start <= item.clock);
                if starts.get(after).is_some_and(|start| *start < item.end()) {
                    return Err(Unfit::Malformed);
                }
            }
        }
        Ok(())
    }
}

/// Fails if the update would give the document the end of an item that waits, but not its beginning.
fn check_waiting(document: &impl ReadTxn, update: &HashMap<u64, Vec<Block>>) -> Result<(), Unfit> {
    let Some(waiting) = document.store().pending_update() else { return Ok(()) };
    let waiting = blocks(&encode(&waiting.update))?;
    for (client, blocks) in update {
        let Some(items) = waiting.get(client) else { continue };
        // A block that was inserted after the one before it waits as well.
        for block in blocks.iter().filter(|block| !block.follows) {
            let after = items.partition_point(|item| item.clock < block.clock);
            let item = after.checked_sub(1).and_then(|before| items.get(before));
            if item.is_some_and(|item| item.is_item && block.clock < item.end()) {
                return Err(Unfit::Malformed);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use yrs::{Doc, Transact as _};

    use super::*;

    /// Returns an update of client 1 with `count` elements of an array. The first is inserted after the
    /// change of another client, if that is given.
    fn elements(clock: u8, count: u8, after: Option<u8>) -> Vec<u8> {
        let columns: [&[u8]; 9] = match &after {
            None => [&[], &[1], &[], &[], &[0x08], &[1, b'r', 1], &[1], &[], &[count]],
            Some(other) => [&[], &[1, *other], &[0], &[], &[0x88], &[0], &[], &[], &[count]],
        };
        let sized = |column: &&[u8]| [&[u8::try_from(column.len()).unwrap()], *column].concat();
        let mut update = vec![0];
        update.extend(columns.iter().flat_map(sized));
        update.extend([1, 1, clock]);
        update.extend(vec![127; count.into()]);
        update.push(0);
        update
    }

    fn admit(doc: &Doc, update: &[u8]) -> Result<(), Unfit> {
        let mut gapped = Gapped::of(&doc.transact());
        gapped.admit(&doc.transact(), update)
    }

    fn apply(doc: &Doc, update: &[u8]) {
        doc.transact_mut().apply_update(Update::decode_v2(update).unwrap()).unwrap();
    }

    #[test]
    fn an_item_across_the_end_of_a_gap_is_refused() {
        let doc = Doc::new();
        apply(&doc, &elements(5, 3, None));
        for (clock, count) in [(0, 6), (0, 8), (4, 2), (3, 10)] {
            assert_eq!(admit(&doc, &elements(clock, count, None)), Err(Unfit::Malformed));
        }
        // An update that omits a part of the known changes, or includes a whole known block.
        for (clock, count) in [(0, 5), (2, 3), (5, 3), (6, 5), (8, 1)] {
            assert_eq!(admit(&doc, &elements(clock, count, None)), Ok(()));
        }
        apply(&doc, &elements(0, 5, None));
        assert_eq!(admit(&doc, &elements(0, 8, None)), Ok(()), "the gap is filled");
    }

    #[test]
    fn the_end_of_an_item_that_waits_is_refused() {
        let doc = Doc::new();
        apply(&doc, &elements(0, 8, Some(2)));
        assert!(doc.transact().has_missing_updates());
        for (clock, count) in [(1, 1), (5, 3), (7, 4)] {
            assert_eq!(admit(&doc, &elements(clock, count, None)), Err(Unfit::Malformed));
        }
        for (clock, count) in [(0, 8), (0, 2), (8, 1)] {
            assert_eq!(admit(&doc, &elements(clock, count, None)), Ok(()));
        }
    }

    #[test]
    fn the_gaps_of_a_transaction_are_noted() {
        let doc = Doc::new();
        let mut gapped = Gapped::default();
        for (clock, gaps) in [(0, 0), (2, 1)] {
            let mut transaction = doc.transact_mut();
            let update = Update::decode_v2(&elements(clock, 1, None)).unwrap();
            transaction.apply_update(update).unwrap();
            gapped.note(&transaction);
            assert_eq!(gapped.0.len(), gaps);
        }
        assert_eq!(gapped.0, Gapped::of(&doc.transact()).0);
    }
}
