//! Proposes renames: a removed and an added element that look alike. They are never applied, because only a person
//! knows; [`Options::former_name`](crate::Options::former_name) declares them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    inventory::{Enum, Inventory, Message, Method},
    kind::Kind,
    report::Change,
};
use crate::names;

/// Returns former and new full names. `renames` are those that are known.
pub(super) fn proposals(
    old: &Inventory,
    new: &Inventory,
    changes: &[Change],
    renames: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut search = Search { changes, renames, found: BTreeMap::new() };
    // A message that contains another one looks alike after that one is found.
    loop {
        let known = search.found.len();
        search.kind(Kind::MessageRemoved, Kind::MessageAdded, |search, was, is| {
            let (message, now) = (old.messages.get(was)?, new.messages.get(is)?);
            let is_telling = message.fields.len() > 1 || common(was, is) > 0;
            Some(is_telling && search.is_same_message(message, now))
        });
        search.kind(Kind::EnumRemoved, Kind::EnumAdded, |_, was, is| {
            let (item, now) = (old.enums.get(was)?, new.enums.get(is)?);
            let is_telling = item.values.len() > 1 || common(was, is) > 0;
            Some(is_telling && is_same_enum((was, item), (is, now)))
        });
        if search.found.len() == known {
            break;
        }
    }
    search.kind(Kind::MethodRemoved, Kind::MethodAdded, |search, was, is| {
        let is_same = search.is_same_method(method(old, was)?, method(new, is)?);
        Some(common(was, is) > 0 && is_same)
    });
    search.found
}

struct Search<'a> {
    changes: &'a [Change],
    renames: &'a BTreeMap<String, String>,
    found: BTreeMap<String, String>,
}

impl Search<'_> {
    /// Adds the pairs of one kind that are alike. Of several elements that are, those with the most words in common
    /// are paired; a tie is left open.
    fn kind(
        &mut self,
        removed: Kind,
        added: Kind,
        is_alike: impl Fn(&Self, &str, &str) -> Option<bool>,
    ) {
        let changes = self.changes;
        let of = |kind| {
            let changes = changes.iter().filter(move |change| change.kind == kind);
            changes.map(|change| change.element.as_str())
        };
        let taken: BTreeSet<&str> = self.found.values().map(String::as_str).collect();
        let mut pairs = Vec::new();
        for was in of(removed).filter(|was| !self.found.contains_key(*was)) {
            let is_candidate = |is: &&str| {
                scope(was) == scope(is)
                    && !taken.contains(is)
                    && is_alike(self, was, is) == Some(true)
            };
            for is in of(added).filter(is_candidate) {
                pairs.push((common(was, is), was, is));
            }
        }
        let is_best = |&(common, was, is): &(usize, &str, &str)| {
            let mut rivals = pairs.iter().filter(|pair| (pair.1 == was) != (pair.2 == is));
            rivals.all(|rival| rival.0 < common)
        };
        let best: Vec<_> = pairs.iter().copied().filter(is_best).collect();
        self.found.extend(best.into_iter().map(|(_, was, is)| (was.to_owned(), is.to_owned())));
    }

    fn renamed<'n>(&'n self, name: &'n str) -> &'n str {
        self.renames.get(name).or_else(|| self.found.get(name)).map_or(name, String::as_str)
    }

    fn is_same_message(&self, was: &Message, is: &Message) -> bool {
        let renamed = was.fields.iter().map(|(name, field)| {
            let mut field = field.clone();
            field.value.of = self.renamed(&field.value.of).to_owned();
            (name.clone(), field)
        });
        !was.fields.is_empty() && renamed.collect::<BTreeMap<_, _>>() == is.fields
    }

    fn is_same_method(&self, was: &Method, is: &Method) -> bool {
        self.renamed(&was.request) == is.request
            && self.renamed(&was.response) == is.response
            && (was.client_streams, was.server_streams) == (is.client_streams, is.server_streams)
    }
}

/// Values may have the name of the enum before their own.
fn is_same_enum((was_name, was): (&str, &Enum), (is_name, is): (&str, &Enum)) -> bool {
    let values = |name: &str, item: &Enum| -> BTreeSet<(i32, String)> {
        let prefix = format!("{}_", names::snake(own(name)));
        let values = item.values.iter().map(|(value, of)| {
            let value = value.to_lowercase();
            (of.number, value.strip_prefix(&prefix).unwrap_or(&value).to_owned())
        });
        values.collect()
    };
    values(was_name, was) == values(is_name, is)
}

fn method<'a>(inventory: &'a Inventory, name: &str) -> Option<&'a Method> {
    let (service, own) = name.rsplit_once('.')?;
    inventory.services.get(service)?.methods.get(own)
}

/// The number of words that the own names of two elements have in common.
fn common(was: &str, is: &str) -> usize {
    // Every request and response has these.
    let words = |name: &str| -> BTreeSet<String> {
        let name = names::snake(own(name));
        let words = names::bare(&name).split('_').map(str::to_owned);
        words.filter(|word| !["request", "response"].contains(&word.as_str())).collect()
    };
    words(was).intersection(&words(is)).count()
}

fn own(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn scope(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(scope, _)| scope)
}
