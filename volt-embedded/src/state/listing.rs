//! The Volts that are connected to this one as their relay.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use volt_api::config::VoltConfig;

/// The connected Volts, as `GET /relay` lists them. Clones share the same list.
#[derive(Clone, Default)]
pub(crate) struct Listing(Arc<Mutex<Entries>>);

/// Entries by number, in the order of arrival.
#[derive(Default)]
struct Entries {
    last: u64,
    by_number: BTreeMap<u64, VoltConfig>,
}

/// Keeps a Volt listed until it is dropped.
#[must_use]
pub(crate) struct Listed {
    listing: Listing,
    number: u64,
}

impl Listing {
    /// Lists a Volt until the returned guard is dropped.
    pub(crate) fn add(&self, volt: VoltConfig) -> Listed {
        let mut entries = self.entries();
        entries.last += 1;
        let number = entries.last;
        entries.by_number.insert(number, volt);
        Listed { listing: self.clone(), number }
    }

    /// Returns every connected Volt once. A Volt that reconnected before its old connection ended is
    /// listed with its newest entry.
    pub(crate) fn list(&self) -> Vec<VoltConfig> {
        let entries = self.entries();
        let by_id: BTreeMap<_, _> =
            entries.by_number.values().map(|volt| (volt.id.as_deref(), volt)).collect();
        by_id.into_values().cloned().collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Each change is a single operation, so a poisoned map is still consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.listing.entries().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volt(id: &str, name: &str) -> VoltConfig {
        let mut volt = VoltConfig::from(id);
        volt.display_name = Some(name.to_owned());
        volt
    }

    #[test]
    fn volt_is_listed_while_connected() {
        let listing = Listing::default();
        let (a, b) = (listing.add(volt("did:volt:a", "a")), listing.add(volt("did:volt:b", "b")));
        assert_eq!(listing.list(), [volt("did:volt:a", "a"), volt("did:volt:b", "b")]);
        drop(a);
        assert_eq!(listing.list(), [volt("did:volt:b", "b")]);
        drop(b);
        assert!(listing.list().is_empty());
    }

    #[test]
    fn reconnected_volt_is_listed_once() {
        let listing = Listing::default();
        let old = listing.add(volt("did:volt:a", "old"));
        let _new = listing.add(volt("did:volt:a", "new"));
        assert_eq!(listing.list(), [volt("did:volt:a", "new")]);
        drop(old);
        assert_eq!(listing.list(), [volt("did:volt:a", "new")]);
    }
}
