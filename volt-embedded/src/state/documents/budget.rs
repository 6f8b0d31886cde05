//! Limits the memory of open documents and of their calls, in total and per identity.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use volt_api::Status;

use crate::error::{exhausted, unavailable};

/// The memory that open documents, or their calls, need.
#[derive(Debug)]
pub(super) struct Budget {
    /// The maximum for all identities, in bytes.
    all: u64,
    /// The maximum for one identity, in bytes.
    of_one: u64,
    /// The advice to a caller who exceeds it.
    advice: &'static str,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    all: u64,
    by_identity: HashMap<String, u64>,
}

/// The memory that one document or call needs. It is returned when this is dropped.
#[derive(Debug)]
pub(super) struct Account {
    budget: Arc<Budget>,
    identity: String,
    spent: u64,
}

impl Budget {
    /// A budget for the memory of open documents, as estimated.
    pub(super) fn of_documents() -> Arc<Self> {
        let advice = "the open documents need too much memory: close some first";
        Self::new(1 << 30, 512 << 20, advice)
    }

    /// A budget for updates that calls have not sent or received completely.
    pub(super) fn of_calls() -> Arc<Self> {
        let advice = "calls have too many unread bytes: read their messages, or end some of them";
        Self::new(1 << 30, 256 << 20, advice)
    }

    pub(super) fn new(all: u64, of_one: u64, advice: &'static str) -> Arc<Self> {
        Arc::new(Self { all, of_one, advice, spent: Mutex::default() })
    }

    /// Opens an account of an identity.
    pub(super) fn account(self: &Arc<Self>, identity: &str) -> Account {
        Account { budget: Arc::clone(self), identity: identity.to_owned(), spent: 0 }
    }
}

impl Account {
    /// Sets the memory that is needed. If that is too much, nothing changes.
    pub(super) fn set(&mut self, bytes: u64) -> Result<(), Status> {
        self.change(bytes, true)
    }

    /// Sets the memory that is needed, even beyond the limit: others then have to wait.
    pub(super) fn force(&mut self, bytes: u64) {
        // Exceeded limits are the only errors.
        let _ = self.change(bytes, false);
    }

    fn change(&mut self, bytes: u64, limited: bool) -> Result<(), Status> {
        if bytes == self.spent {
            return Ok(());
        }
        let Budget { all: most, of_one, advice, spent } = &*self.budget;
        let mut spent = spent.lock().unwrap_or_else(PoisonError::into_inner);
        let all = spent.all - self.spent + bytes;
        let theirs = spent.by_identity.get(&self.identity).copied().unwrap_or(0);
        let theirs = theirs - self.spent + bytes;
        if limited && bytes > self.spent {
            if theirs > *of_one {
                return Err(exhausted(*advice));
            }
            if all > *most {
                return Err(unavailable(
                    "the Volt has no memory left for documents: try again later",
                ));
            }
        }
        (self.spent, spent.all) = (bytes, all);
        if theirs == 0 {
            spent.by_identity.remove(&self.identity);
        } else {
            spent.by_identity.insert(self.identity.clone(), theirs);
        }
        Ok(())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.force(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_identity_cannot_take_the_memory_of_others() {
        let budget = Budget::new(100, 60, "close some");
        let mut greedy = budget.account("greedy");
        greedy.set(60).unwrap();
        assert!(budget.account("greedy").set(1).is_err());
        let mut other = budget.account("other");
        other.set(40).unwrap();
        assert!(budget.account("third").set(1).is_err());
        // Forced memory counts against later requests.
        other.force(70);
        assert_eq!(budget.spent.lock().unwrap().all, 130);
        other.force(40);
        drop(greedy);
        budget.account("greedy").set(60).unwrap();
        drop(other);
        let spent = budget.spent.lock().unwrap();
        assert!(spent.all == 0 && spent.by_identity.is_empty());
    }
}
