//! Counts elements.

use std::collections::{BTreeMap, BTreeSet};

use super::{inventory::Inventory, report::Count};

/// The kinds of elements, in the order in which they are printed.
pub(super) const KINDS: [&str; 6] =
    ["services", "methods", "messages", "fields", "enums", "values"];

pub(super) fn counts(old: &Inventory, new: &Inventory) -> BTreeMap<&'static str, Count> {
    let (mut old, mut new) = (names(old), names(new));
    let count = |kind| {
        let (old, new) =
            (old.remove(kind).unwrap_or_default(), new.remove(kind).unwrap_or_default());
        let count = Count {
            old: old.len(),
            new: new.len(),
            removed: old.difference(&new).count(),
            added: new.difference(&old).count(),
        };
        (kind, count)
    };
    KINDS.into_iter().map(count).collect()
}

/// The full names of all elements, by kind.
fn names(inventory: &Inventory) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut names: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    let mut add = |kind, holder: &str, parts: &mut dyn Iterator<Item = &String>| {
        names.entry(kind).or_default().extend(parts.map(|part| format!("{holder}.{part}")));
    };
    for (name, service) in &inventory.services {
        add("methods", name, &mut service.methods.keys());
    }
    for (name, message) in &inventory.messages {
        add("fields", name, &mut message.fields.keys());
    }
    for (name, enumeration) in &inventory.enums {
        add("values", name, &mut enumeration.values.keys());
    }
    names.insert("services", inventory.services.keys().cloned().collect());
    names.insert("messages", inventory.messages.keys().cloned().collect());
    names.insert("enums", inventory.enums.keys().cloned().collect());
    names
}
