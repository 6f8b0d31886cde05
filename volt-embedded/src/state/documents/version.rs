//! A version of a document as JSON, and the memory of the callers that watch it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, Weak},
};

use serde_json::Value;
use volt_api::Status;

use super::peer::lock;
use crate::{
    state::budget::{Account, Budget},
    sync::path::estimate,
};

/// A version of a document.
pub(crate) struct Version {
    pub(crate) json: Value,
    /// Its memory, as estimated, in bytes. Set when the version is watched.
    bytes: OnceLock<u64>,
    /// The memory of each identity that watches the version. Its calls share it.
    accounts: Mutex<HashMap<String, Weak<Account>>>,
}

/// A version that a call watches. The version counts once for each identity.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) version: Arc<Version>,
    _account: Arc<Account>,
}

impl Version {
    pub(super) fn new(json: Value) -> Arc<Self> {
        Arc::new(Self { json, bytes: OnceLock::new(), accounts: Mutex::default() })
    }

    /// Counts the version for a call of this identity.
    ///
    /// # Errors
    ///
    /// When the identity's calls hold too much.
    pub(super) fn watch(
        self: &Arc<Self>,
        budget: &Arc<Budget>,
        identity: &str,
    ) -> Result<Watched, Status> {
        let mut accounts = lock(&self.accounts);
        let account = if let Some(account) = accounts.get(identity).and_then(Weak::upgrade) {
            account
        } else {
            let mut account = budget.account(identity);
            account.set(*self.bytes.get_or_init(|| estimate(&self.json) as u64))?;
            accounts.retain(|_, account| account.strong_count() > 0);
            let account = Arc::new(account);
            accounts.insert(identity.to_owned(), Arc::downgrade(&account));
            account
        };
        drop(accounts);
        Ok(Watched { version: Arc::clone(self), _account: account })
    }
}

#[cfg(test)]
mod tests {
    use volt_api::Code;

    use super::*;

    #[test]
    fn each_version_counts_once_for_each_identity() {
        let budget = Budget::new(30_000, 15_000, "watch less");
        let [old, new] = ["old", "new"].map(|text| Version::new(text.repeat(3000).into()));
        let watches: Vec<_> = (0..100).map(|_| old.watch(&budget, "one").unwrap()).collect();
        let refused = new.watch(&budget, "one").map(drop).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        drop(new.watch(&budget, "other").unwrap());
        drop(watches);
        assert!(new.watch(&budget, "one").is_ok(), "it is returned with the last call");
    }
}
