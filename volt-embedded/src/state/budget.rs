//! Limits the memory of open documents, of their calls and of queries, in total and per identity.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use volt_api::Status;

use crate::error::{exhausted, unavailable};

/// The memory that open documents, their calls, or open queries need.
#[derive(Debug)]
pub(crate) struct Budget {
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

impl Spent {
    fn of(&self, identity: &str) -> u64 {
        self.by_identity.get(identity).copied().unwrap_or(0)
    }

    fn set(&mut self, identity: &str, all: u64, theirs: u64) {
        self.all = all;
        if theirs == 0 {
            self.by_identity.remove(identity);
        } else {
            self.by_identity.insert(identity.to_owned(), theirs);
        }
    }
}

/// The memory that one document, call or statement needs. It is returned when this is dropped.
#[derive(Debug)]
pub(crate) struct Account {
    budget: Arc<Budget>,
    identity: String,
    spent: u64,
}

impl Budget {
    /// A budget for the memory of open documents, as estimated.
    pub(crate) fn of_documents() -> Arc<Self> {
        let advice = "the open documents need too much memory: close some first";
        Self::new(1 << 30, 512 << 20, advice)
    }

    /// A budget for updates that calls have not sent or received completely.
    pub(crate) fn of_calls() -> Arc<Self> {
        let advice = "calls have too many unread bytes: read their messages, or end some of them";
        Self::new(1 << 30, 256 << 20, advice)
    }

    /// A budget for the versions of documents that calls compare, and for the differences.
    pub(crate) fn of_watches() -> Arc<Self> {
        let advice =
            "the watched documents need too much memory: watch fewer, or read their changes";
        Self::new(1 << 30, 512 << 20, advice)
    }

    /// A budget for the statements of open queries. The least that each of them may use does not count.
    pub(crate) fn of_queries() -> Arc<Self> {
        let advice = "the caller's open queries need too much memory: finish some of them first";
        Self::new(1 << 30, 256 << 20, advice)
    }

    pub(crate) fn new(all: u64, of_one: u64, advice: &'static str) -> Arc<Self> {
        Arc::new(Self { all, of_one, advice, spent: Mutex::default() })
    }

    /// Opens an account of an identity.
    pub(crate) fn account(self: &Arc<Self>, identity: &str) -> Account {
        Account { budget: Arc::clone(self), identity: identity.to_owned(), spent: 0 }
    }
}

impl Account {
    /// Sets the memory that is needed. If that is too much, nothing changes.
    pub(crate) fn set(&mut self, bytes: u64) -> Result<(), Status> {
        self.change(bytes, true)
    }

    /// Sets the memory that is needed, even beyond the limit: others then have to wait.
    pub(crate) fn force(&mut self, bytes: u64) {
        // Exceeded limits are the only errors.
        let _ = self.change(bytes, false);
    }

    /// Adds up to `wanted` bytes, but at most half of what is left. Returns the number of added bytes.
    pub(crate) fn add_up_to(&mut self, wanted: u64) -> u64 {
        let Budget { all, of_one, spent, .. } = &*self.budget;
        let mut spent = spent.lock().unwrap_or_else(PoisonError::into_inner);
        let (used, theirs) = (spent.all, spent.of(&self.identity));
        let left = all.saturating_sub(used).min(of_one.saturating_sub(theirs));
        let added = wanted.min(left / 2);
        spent.set(&self.identity, used + added, theirs + added);
        self.spent += added;
        added
    }

    fn change(&mut self, bytes: u64, limited: bool) -> Result<(), Status> {
        if bytes == self.spent {
            return Ok(());
        }
        let Budget { all: most, of_one, advice, spent } = &*self.budget;
        let mut spent = spent.lock().unwrap_or_else(PoisonError::into_inner);
        let all = spent.all - self.spent + bytes;
        let theirs = spent.of(&self.identity) - self.spent + bytes;
        if limited && bytes > self.spent {
            if theirs > *of_one {
                return Err(exhausted(*advice));
            }
            if all > *most {
                return Err(unavailable(
                    "the Volt has no memory left for this call: try again later",
                ));
            }
        }
        spent.set(&self.identity, all, theirs);
        self.spent = bytes;
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

    #[test]
    fn half_of_what_is_left_is_kept_for_others() {
        let budget = Budget::new(100, 60, "close some");
        let [mut first, mut second, mut other] =
            ["one", "one", "other"].map(|identity| budget.account(identity));
        assert_eq!([first.add_up_to(20), second.add_up_to(80), first.add_up_to(80)], [20, 20, 10]);
        assert!(second.set(31).is_err());
        second.set(30).unwrap();
        assert_eq!([first.add_up_to(1), other.add_up_to(80)], [0, 20], "the total is limited, too");
        drop((first, second));
        assert_eq!(budget.spent.lock().unwrap().all, 20);
    }
}
