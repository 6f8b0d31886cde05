//! The calls of a connection that have not named their method yet.

use std::{
    collections::{HashMap, VecDeque},
    task::Waker,
    time::Instant,
};

use super::call::{Call, Phase};
use crate::queue::Wakes;

/// The calls of a connection that have not named their method.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    /// Their number.
    pub(super) unfinished: usize,
    /// The number of those that are forwarded.
    pub(super) forwarded: usize,
    /// The calls by the time at which they were opened. Calls that have named their method are
    /// skipped lazily.
    pub(super) opened: VecDeque<(Instant, u64)>,
    /// Likewise, by the time at which they were forwarded.
    pub(super) forwards: VecDeque<(Instant, u64)>,
    /// The tasks that wait to forward a call.
    pub(super) waiting: Vec<Waker>,
}

impl Exchanges {
    /// Wakes the tasks that wait to forward a call.
    pub(super) fn release(&mut self, wakes: &mut Wakes) {
        self.waiting.drain(..).for_each(|waker| wakes.add(Some(waker)));
    }

    /// Drops the entries of calls that have named their method.
    pub(super) fn tidy(&mut self, calls: &HashMap<u64, Box<Call>>) {
        for (queue, unfinished) in [
            (&mut self.opened, Phase::is_unfinished as fn(Phase) -> bool),
            (&mut self.forwards, |phase| phase == Phase::Forwarded),
        ] {
            let waits = |id: &u64| calls.get(id).is_some_and(|call| unfinished(call.phase));
            while queue.front().is_some_and(|(_, id)| !waits(id)) {
                queue.pop_front();
            }
            if queue.len() > 64 + 2 * calls.len() {
                queue.retain(|(_, id)| waits(id));
            }
        }
    }
}
