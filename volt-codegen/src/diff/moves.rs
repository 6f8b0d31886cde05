//! Finds the elements that have another full name in the new version.

use std::collections::{BTreeMap, BTreeSet};

use super::inventory::{Enum, Home, Inventory, Message, Service};

/// The new full names of moved elements, by the old ones. Services, messages and enums share one
/// namespace. `former` has declared former names, without their scopes, by the new full names.
pub(super) fn moved(
    old: &Inventory,
    new: &Inventory,
    former: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut moved = of_kind(&old.services, &new.services, &BTreeMap::new());
    moved.extend(of_kind(&old.messages, &new.messages, former));
    moved.extend(of_kind(&old.enums, &new.enums, former));
    moved
}

/// The properties that decide whether two elements are the same one.
trait Element {
    fn home(&self) -> &Home;
    fn parts(&self) -> BTreeSet<(&str, i32)>;
}

impl Element for Service {
    fn home(&self) -> &Home {
        &self.home
    }

    fn parts(&self) -> BTreeSet<(&str, i32)> {
        self.methods.keys().map(|name| (name.as_str(), 0)).collect()
    }
}

impl Element for Message {
    fn home(&self) -> &Home {
        &self.home
    }

    fn parts(&self) -> BTreeSet<(&str, i32)> {
        self.fields.iter().map(|(name, field)| (name.as_str(), field.number)).collect()
    }
}

impl Element for Enum {
    fn home(&self) -> &Home {
        &self.home
    }

    fn parts(&self) -> BTreeSet<(&str, i32)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.number)).collect()
    }
}

fn of_kind<E: Element>(
    old: &BTreeMap<String, E>,
    new: &BTreeMap<String, E>,
    former: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut came: BTreeMap<_, _> =
        new.iter().filter(|(name, _)| !old.contains_key(*name)).collect();
    let mut moved = BTreeMap::new();
    for (name, own) in former.iter().filter(|(name, _)| came.contains_key(*name)) {
        let was = name.rsplit_once('.').map(|(scope, _)| format!("{scope}.{own}"));
        let was = was.unwrap_or_else(|| own.clone());
        if old.contains_key(&was) && !new.contains_key(&was) {
            moved.insert(was, name.clone());
        }
    }
    came.retain(|name, _| !moved.values().any(|now| now == *name));
    let is_lost = |name: &String| !new.contains_key(name) && !moved.contains_key(name);
    let lost: Vec<_> = old.iter().filter(|(name, _)| is_lost(name)).collect();
    for (name, element) in lost {
        let parts = element.parts();
        // The confidence: all of the contents match, or some; under the same name in another
        // package, or elsewhere in the same one.
        let likeness = |other: &str, candidate: &E| {
            let same_name = within(other, candidate.home()) == within(name, element.home());
            let theirs = candidate.parts();
            if theirs == parts && (same_name || !parts.is_empty() && last(other) == last(name)) {
                2
            } else {
                usize::from(same_name && !theirs.is_disjoint(&parts))
            }
        };
        let best = came
            .iter()
            .map(|(other, candidate)| (likeness(other, candidate), *other))
            .filter(|(likeness, _)| *likeness > 0)
            .max_by_key(|(likeness, _)| *likeness);
        if let Some((_, other)) = best {
            moved.insert(name.clone(), other.clone());
            came.remove(other);
        }
    }
    moved
}

/// The name without the package.
fn within<'a>(name: &'a str, home: &Home) -> &'a str {
    name.strip_prefix(&home.package).unwrap_or(name).trim_start_matches('.')
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
