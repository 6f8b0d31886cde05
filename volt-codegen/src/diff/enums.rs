//! Compares enums.

use std::collections::BTreeSet;

use super::{
    compare::{Comparison, Place},
    effects::{Effects, Trouble},
    inventory::{Enum, EnumValue},
    kind::Kind,
};

/// The fate of an old value whose name has changed or been removed.
enum Fate<'a> {
    Renamed(&'a str),
    /// The number still exists under another name.
    Alias,
    /// The number now belongs to another value.
    Replaced(&'a str),
    Gone,
}

impl Comparison<'_> {
    pub(super) fn values(&mut self, place: Place<'_>, old: &Enum, new: &Enum) {
        let mut heirs = BTreeSet::new();
        for (name, was) in &old.values {
            if let Some(is) = new.values.get(name) {
                self.deprecation(place, Some(name), was.deprecated, is.deprecated);
                if was.number != is.number {
                    let wire = Trouble::breaking("each side reads it as another value");
                    let what = format!("number was {}, is {}", was.number, is.number);
                    let effects = Effects { wire, ..Effects::none() };
                    self.add_part(place, name, Kind::ValueNumber, what, effects);
                }
                continue;
            }
            let gone = Effects {
                wire: Trouble::none(),
                json: Trouble::breaking("a new reader does not know the name").in_old_data(),
                source: Trouble::breaking("the value was removed"),
            };
            match fate(was.number, old, new) {
                Fate::Renamed(heir) => {
                    heirs.insert(heir);
                    let json = Trouble::breaking("the name is not known to the other side");
                    let effects =
                        Effects { json, ..Effects::source(Trouble::breaking("another name")) };
                    self.rename(place, name, heir);
                    let what = format!("renamed to {heir}");
                    self.add_part(place, name, Kind::ValueRenamed, what, effects);
                }
                Fate::Alias => {
                    self.add_part(place, name, Kind::ValueAliasRemoved, "alias removed", gone);
                }
                Fate::Replaced(heir) => {
                    let wire = format!("its number {} now means {heir}", was.number);
                    let effects = Effects { wire: Trouble::breaking(wire), ..gone };
                    let what = "value removed, its number reused";
                    self.add_part(place, name, Kind::ValueReplaced, what, effects);
                }
                Fate::Gone => {
                    let wire = Trouble::risky("the number is kept and means nothing").in_old_data();
                    let effects = Effects { wire, ..gone };
                    self.add_part(place, name, Kind::ValueRemoved, "value removed", effects);
                }
            }
        }
        for (name, is) in &new.values {
            if !old.values.contains_key(name) && !heirs.contains(name.as_str()) {
                let is_kept = |(known, was): (&String, &EnumValue)| {
                    was.number == is.number
                        && new.values.get(known).is_some_and(|now| now.number == is.number)
                };
                let is_known = old.values.iter().any(is_kept);
                let json = if is_known && is.is_written {
                    Trouble::breaking("a known number is written with a name that is not known")
                } else {
                    Trouble::risky("an old reader does not know the name")
                };
                let json = json.in_new_data();
                let effects = Effects { json, ..Effects::none() };
                self.add_part(place, name, Kind::ValueAdded, "value added", effects);
            }
        }
    }
}

fn fate<'a>(number: i32, old: &Enum, new: &'a Enum) -> Fate<'a> {
    let same = new.values.iter().filter(|(_, is)| is.number == number).map(|(name, _)| name);
    let (known, fresh): (Vec<_>, Vec<_>) = same.partition(|name| old.values.contains_key(*name));
    let is_alias = |name: &&&String| old.values.get(**name).is_some_and(|old| old.number == number);
    match (known.iter().find(is_alias), fresh.first(), known.first()) {
        (Some(_), ..) => Fate::Alias,
        (None, Some(heir), _) => Fate::Renamed(heir),
        (None, None, Some(heir)) => Fate::Replaced(heir),
        (None, None, None) => Fate::Gone,
    }
}
