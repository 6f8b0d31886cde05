//! The calls of a connection that have not named their method yet.
//!
//! The calls in a queue share one timeout, so the order of opening is also that of the deadlines.
//! Entries of calls that have advanced are skipped when they reach the front, rather than searched for
//! and removed.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    task::Waker,
    time::Instant,
};

use super::call::{Call, Phase};
use crate::queue::Wakes;

/// A call that has not named its method.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    /// When it was opened or forwarded.
    pub(super) since: Instant,
    pub(super) id: u64,
    /// Distinguishes the call from a later one with the same id.
    pub(super) number: u64,
}

impl Exchange {
    /// Returns the call, unless it has ended.
    fn call<'a>(&self, calls: &'a HashMap<u64, Box<Call>>) -> Option<&'a Call> {
        calls.get(&self.id).filter(|call| call.number == self.number).map(|call| &**call)
    }
}

/// The calls of a connection that have not named their method.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    /// Their number.
    pub(super) unfinished: usize,
    /// The number of forwarded ones.
    pub(super) forwarded: usize,
    /// The calls by the time at which they were opened. Calls that have named their method are
    /// skipped lazily.
    pub(super) opened: VecDeque<Exchange>,
    /// The forwarded calls by the time at which they were forwarded.
    pub(super) forwards: VecDeque<Exchange>,
    /// The tasks that wait to forward a call, by the call's number.
    pub(super) waiting: BTreeMap<u64, Waker>,
}

impl Exchanges {
    /// Wakes the task that has waited longest to forward a call, if there is a place for it. It
    /// stays in line until it takes the place or its call is removed.
    pub(super) fn release(&self, places: usize, wakes: &mut Wakes) {
        // Cloned, not taken: the task may be woken spuriously, and must not lose its place in line.
        if self.forwarded < places {
            wakes.add(self.waiting.values().next().cloned());
        }
    }

    /// Drops the entries of calls that have named their method.
    pub(super) fn tidy(&mut self, calls: &HashMap<u64, Box<Call>>) {
        for (queue, unfinished) in [
            (&mut self.opened, Phase::is_unfinished as fn(Phase) -> bool),
            (&mut self.forwards, |phase| phase == Phase::Forwarded),
        ] {
            let waits = |exchange: &Exchange| {
                exchange.call(calls).is_some_and(|call| unfinished(call.phase))
            };
            while queue.front().is_some_and(|exchange| !waits(exchange)) {
                queue.pop_front();
            }
            if queue.len() > 64 + 2 * calls.len() {
                queue.retain(waits);
            }
        }
    }
}
