//! Limits the memory of all open queries of one identity together.
//!
//! A statement reserves its program, its parameters and the values that it may hold while a row is
//! evaluated. The values are flexible: if other queries leave less, they may only be shorter. Rows are
//! counted when they arrive, because most are small.

use std::{fmt, sync::Arc};

use volt_api::Status;

use crate::state::budget::{Account, Budget};

/// The memory that each statement may use in any case, so that many open queries do not refuse one
/// another.
const GUARANTEED: u64 = 4 << 20;
/// The copies of a row on its way to the caller: in this thread, in the queue, in the task that sends it,
/// and encoded.
const ROW_COPIES: u64 = 4;
/// The granularity in which rows are counted, in bytes.
const ROW_STEP: u64 = 64 << 10;

/// The memory that an identity's queries share.
#[derive(Clone)]
pub(crate) struct Memory {
    budget: Arc<Budget>,
    identity: String,
}

impl Memory {
    pub(crate) fn new(budget: &Arc<Budget>, identity: &str) -> Self {
        Self { budget: Arc::clone(budget), identity: identity.to_owned() }
    }

    /// Reserves memory for a statement.
    pub(super) fn reserve(&self, bytes: u64) -> Result<Reservation, Status> {
        let account = self.budget.account(&self.identity);
        let mut reservation = Reservation { account, used: 0, rows: 0 };
        reservation.add(bytes)?;
        Ok(reservation)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// The memory of one statement, returned when this is dropped.
pub(super) struct Reservation {
    account: Account,
    used: u64,
    /// The part for rows on their way to the caller.
    rows: u64,
}

impl Reservation {
    fn add(&mut self, bytes: u64) -> Result<(), Status> {
        let used = self.used.saturating_add(bytes);
        self.account.set(used.saturating_sub(GUARANTEED))?;
        self.used = used;
        Ok(())
    }

    /// Reserves up to `wanted` bytes, and returns how many. Half of the guaranteed memory is left for rows.
    pub(super) fn add_up_to(&mut self, wanted: u64) -> u64 {
        let guaranteed = (GUARANTEED / 2).saturating_sub(self.used).min(wanted);
        let added = guaranteed + self.account.add_up_to(wanted - guaranteed);
        self.used += added;
        added
    }

    /// Reserves the copies of a row, unless an earlier row was as large.
    pub(super) fn hold_row(&mut self, bytes: u64) -> Result<(), Status> {
        let rows = ROW_COPIES * bytes.next_multiple_of(ROW_STEP);
        if rows > self.rows {
            self.add(rows - self.rows)?;
            self.rows = rows;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_has_its_guaranteed_memory() {
        let memory = Memory::new(&Budget::new(1 << 30, 16 << 20, "finish some"), "one");
        let mut greedy: Vec<_> = (0..100).map(|_| memory.reserve(0).unwrap()).collect();
        let granted: Vec<_> = greedy.iter_mut().map(|one| one.add_up_to(128 << 20)).collect();
        assert_eq!(granted[..3], [10 << 20, 6 << 20, 4 << 20]);
        assert!(granted.iter().all(|one| *one >= GUARANTEED / 2));
        greedy[99].hold_row(512 << 10).unwrap();
        assert!(granted.iter().sum::<u64>() <= (16 << 20) + 100 * GUARANTEED);
        // Rows that are not larger than earlier ones need no more memory.
        let mut small = memory.reserve(0).unwrap();
        (0..1000).try_for_each(|_| small.hold_row(1 << 20)).unwrap();
        assert!(small.hold_row(2 << 20).is_err());
        assert!(memory.reserve(5 << 20).is_err());
        drop(greedy);
        small.hold_row(2 << 20).unwrap();
    }
}
