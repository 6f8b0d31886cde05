//! Limits the memory of open documents, in total and per identity.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use volt_api::Status;

use crate::error::exhausted;

/// The memory for all open documents, as estimated, in bytes.
const ALL: u64 = 1 << 30;
/// The memory for the open documents of one identity.
const OF_ONE: u64 = 512 << 20;

/// The memory that open documents need.
#[derive(Debug, Default)]
pub(super) struct Budget(Mutex<HashMap<String, u64>>);

/// The memory that one document needs. It is returned when this is dropped.
#[derive(Debug)]
pub(super) struct Account {
    budget: Arc<Budget>,
    identity: String,
    spent: u64,
}

impl Budget {
    /// Opens an account for a document of an identity.
    pub(super) fn account(self: &Arc<Self>, identity: &str) -> Account {
        Account { budget: Arc::clone(self), identity: identity.to_owned(), spent: 0 }
    }
}

impl Account {
    /// Sets the memory that the document needs. If that is too much, nothing changes.
    pub(super) fn set(&mut self, bytes: u64) -> Result<(), Status> {
        let mut budget = self.budget.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = budget.values().sum::<u64>() - self.spent + bytes;
        let theirs = budget.get(&self.identity).copied().unwrap_or(0) - self.spent + bytes;
        if bytes > self.spent && (all > ALL || theirs > OF_ONE) {
            return Err(exhausted("the open documents need too much memory: close some first"));
        }
        self.spent = bytes;
        if theirs == 0 {
            budget.remove(&self.identity);
        } else {
            budget.insert(self.identity.clone(), theirs);
        }
        Ok(())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // Returning memory does not fail.
        let _ = self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_identity_cannot_take_the_memory_of_others() {
        let budget = Arc::<Budget>::default();
        let mut greedy = budget.account("greedy");
        greedy.set(OF_ONE).unwrap();
        assert!(budget.account("greedy").set(1).is_err());
        let mut other = budget.account("other");
        other.set(ALL - OF_ONE).unwrap();
        assert!(budget.account("third").set(1).is_err());
        drop(greedy);
        budget.account("greedy").set(OF_ONE).unwrap();
        drop(other);
        assert!(budget.0.lock().unwrap().is_empty());
    }
}
