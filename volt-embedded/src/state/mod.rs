//! The Volt's in-memory state: permits, one-time tokens, sessions with open calls, hosts, wires,
//! and the connections that keep services online. None of it survives a restart.

pub(crate) mod attempts;
pub(crate) mod budget;
pub(crate) mod documents;
mod frames;
pub(crate) mod hosts;
pub(crate) mod listing;
pub(crate) mod permits;
pub(crate) mod sessions;
pub(crate) mod tokens;
pub(crate) mod wires;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The number of connections that keep the services of each identity online.
#[derive(Default)]
pub(crate) struct OnlineCounts(Mutex<HashMap<String, usize>>);

impl OnlineCounts {
    /// Locks the counts. Hold the lock while the store changes, so that the store is updated in the
    /// order in which connections come and go.
    pub(crate) fn lock(&self) -> OnlineCountsGuard<'_> {
        // Each change is a single operation, so a poisoned map is still consistent.
        OnlineCountsGuard(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The locked counts.
pub(crate) struct OnlineCountsGuard<'a>(MutexGuard<'a, HashMap<String, usize>>);

impl OnlineCountsGuard<'_> {
    /// Adds a connection of this identity.
    pub(crate) fn join(&mut self, identity: &str) {
        *self.0.entry(identity.to_owned()).or_default() += 1;
    }

    /// Removes a connection of this identity. Returns whether it was the last.
    pub(crate) fn leave(&mut self, identity: &str) -> bool {
        let Entry::Occupied(mut entry) = self.0.entry(identity.to_owned()) else { return false };
        *entry.get_mut() -= 1;
        if *entry.get() > 0 {
            return false;
        }
        entry.remove();
        true
    }
}
