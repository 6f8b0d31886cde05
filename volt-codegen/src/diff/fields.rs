//! Compares messages.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::field_descriptor_proto::Type;

use super::{
    compare::{Comparison, Place},
    effects::{Effects, Trouble},
    inventory::{Field, Inventory, Message, Shape, Value},
    kind::Kind,
    types,
};
use crate::names;

/// The fate of an old field.
enum Fate<'a> {
    Kept(&'a Field),
    Renamed(&'a str, &'a Field),
    /// The number now belongs to another field.
    Replaced(&'a str, &'a Field),
    Gone,
}

impl Comparison<'_> {
    pub(super) fn oneofs(&mut self, place: Place<'_>, old: &Message, new: &Message) {
        let renamed = renamed_oneofs(old, new);
        for oneof in old.oneofs.difference(&new.oneofs) {
            let (kind, what, why) = match renamed.get(oneof.as_str()) {
                Some(now) => {
                    self.rename(place, oneof, now);
                    (Kind::OneofRenamed, format!("oneof renamed to {now}"), "another name")
                }
                None => (Kind::OneofRemoved, "oneof removed".to_owned(), "its type was removed"),
            };
            self.add_part(place, oneof, kind, what, Effects::source(Trouble::breaking(why)));
        }
        let renamed: BTreeSet<_> = renamed.into_values().collect();
        for oneof in new.oneofs.difference(&old.oneofs) {
            if !renamed.contains(oneof.as_str()) {
                let effects = Effects::source(one_more());
                self.add_part(place, oneof, Kind::OneofAdded, "oneof added", effects);
            }
        }
    }

    pub(super) fn fields(&mut self, place: Place<'_>, old: &Message, new: &Message) {
        let mut heirs = BTreeSet::new();
        for (name, field) in &old.fields {
            match self.fate(name, field, old, new) {
                Fate::Kept(is) => self.field(place, name, [(old, field), (new, is)]),
                Fate::Renamed(heir, is) => {
                    heirs.insert(heir);
                    let source = if names::snake(name) == names::snake(heir) {
                        Trouble::none()
                    } else {
                        Trouble::breaking("another name")
                    };
                    let json = Trouble::breaking("JSON depends on the name");
                    // Each side also reads the JSON name.
                    let json = match (is.json_name == *name, field.json_name == *heir) {
                        (true, true) => Trouble::none(),
                        (true, false) => json.in_new_data(),
                        (false, true) => json.in_old_data(),
                        (false, false) => json,
                    };
                    let effects = Effects { json, ..Effects::source(source) };
                    self.rename(place, name, heir);
                    let what = format!("renamed to {heir}");
                    self.add_part(place, name, Kind::FieldRenamed, what, effects);
                    self.field(place, name, [(old, field), (new, is)]);
                }
                Fate::Replaced(heir, is) => {
                    let number = field.number;
                    let outcome = if types::is_framed_alike(field, is) {
                        "it is read as that field"
                    } else {
                        "a message with it is refused"
                    };
                    let wire = format!("its number {number} now means {heir}: {outcome}");
                    let effects = Effects { wire: Trouble::breaking(wire), ..field_gone() };
                    let what = "field removed, its number reused";
                    self.add_part(place, name, Kind::FieldReplaced, what, effects);
                }
                Fate::Gone if new.reserved.has(field.number) => {
                    self.add_part(place, name, Kind::FieldRemoved, "field removed", field_gone());
                }
                Fate::Gone => {
                    let why = "it is skipped where it is still sent; its number is free for another \
                               meaning, because it is not reserved";
                    let effects = Effects { wire: Trouble::risky(why), ..field_gone() };
                    self.add_part(place, name, Kind::FieldRemoved, "field removed", effects);
                }
            }
        }
        for (name, field) in &new.fields {
            if !old.fields.contains_key(name) && !heirs.contains(name.as_str()) {
                // The enum of a oneof is non-exhaustive.
                let source = if field.oneof.is_some() { Trouble::none() } else { one_more() };
                let data = if place.used.requests && place.used.responses {
                    let why = "a client that changes a message and sends it back drops the field";
                    Trouble::risky(why).for_old_clients()
                } else {
                    Trouble::none()
                };
                let effects = Effects::alike(data, source);
                self.add_part(place, name, Kind::FieldAdded, "field added", effects);
            }
        }
    }

    fn fate<'n>(&self, name: &str, field: &Field, old: &Message, new: &'n Message) -> Fate<'n> {
        if let Some(is) = new.fields.get(name) {
            return Fate::Kept(is);
        }
        match new.fields.iter().find(|(_, is)| is.number == field.number) {
            Some((heir, is)) if !old.fields.contains_key(heir) && self.same_type(field, is) => {
                Fate::Renamed(heir, is)
            }
            Some((heir, is)) => Fate::Replaced(heir, is),
            None => Fate::Gone,
        }
    }

    fn same_type(&self, old: &Field, new: &Field) -> bool {
        old.shape == new.shape && self.same_value(&old.value, &new.value)
    }

    fn same_value(&self, old: &Value, new: &Value) -> bool {
        old.kind == new.kind && self.renamed(&old.of) == new.of
    }

    /// A field that exists in both versions, with its messages.
    fn field(&mut self, place: Place<'_>, name: &str, both: [(&Message, &Field); 2]) {
        let [(_, old), (_, new)] = both;
        self.deprecation(place, Some(name), old.deprecated, new.deprecated);
        if old.number != new.number {
            let wire = Trouble::breaking("each side reads it as another field");
            let what = format!("number was {}, is {}", old.number, new.number);
            let effects = Effects { wire, ..Effects::none() };
            self.add_part(place, name, Kind::FieldNumber, what, effects);
        }
        if old.shape == new.shape {
            self.value(place, name, &old.value, &new.value);
            if old.packed != new.packed {
                let what = if new.packed { "packed" } else { "no longer packed" };
                let read = Trouble::note("both forms are read");
                let effects = Effects { wire: read, ..Effects::none() };
                self.add_part(place, name, Kind::FieldPacking, what, effects);
            }
        } else {
            self.shape(place, name, old, new);
        }
        self.oneof(place, name, both);
        self.required(place, name, old, new);
        if old.default != new.default {
            let shown = |field: &Field| field.default.clone().unwrap_or_else(|| "none".to_owned());
            let what = format!("default was {}, is {}", shown(old), shown(new));
            let absent = Trouble::risky("an absent field is read as another value");
            let effects = Effects::alike(absent, Trouble::none());
            self.add_part(place, name, Kind::FieldDefault, what, effects);
        }
        // Otherwise, another change shows it.
        let is_alike = old.oneof == new.oneof && old.shape == new.shape;
        if is_alike && old.optional != new.optional && !old.required && !new.required {
            let what =
                if new.optional { "now tracks presence" } else { "no longer tracks presence" };
            let source = Trouble::breaking("becomes an Option, or stops being one");
            let effects = Effects::alike(presence(old, new), source);
            self.add_part(place, name, Kind::FieldPresence, what, effects);
        }
        if old.js != new.js {
            let (was, is) = (old.js.as_str_name(), new.js.as_str_name());
            let seen = Trouble::note("only JavaScript code sees it");
            let effects = Effects::alike(seen, Trouble::none());
            let what = format!("jstype was {was}, is {is}");
            self.add_part(place, name, Kind::FieldJsType, what, effects);
        }
        // A renamed field has another name in JSON as well.
        if old.json_name != new.json_name && both[1].0.fields.contains_key(name) {
            let why = "names are written as in the .proto by default, and both are read; peers that write \
                       the JSON name are affected";
            let json = Trouble::risky(why);
            // A JSON name that is also the field's own name is always read.
            let json = if new.json_name == name {
                json.in_old_data()
            } else if old.json_name == name {
                json.in_new_data()
            } else {
                json
            };
            let what = format!("JSON name was {}, is {}", old.json_name, new.json_name);
            let effects = Effects { json, ..Effects::none() };
            self.add_part(place, name, Kind::FieldJsonName, what, effects);
        }
    }

    fn required(&mut self, place: Place<'_>, name: &str, old: &Field, new: &Field) {
        if old.required == new.required {
            return;
        }
        let missing = Trouble::risky("a message without it is refused by readers that check it");
        let (what, missing) = if new.required {
            ("required now", missing.in_old_data())
        } else {
            ("no longer required", missing.in_new_data())
        };
        let source = Trouble::breaking("becomes an Option, or stops being one");
        let effects = Effects::alike(missing, source);
        self.add_part(place, name, Kind::FieldRequired, what, effects);
    }

    fn value(&mut self, place: Place<'_>, name: &str, old: &Value, new: &Value) {
        if old.kind != new.kind {
            let source = types::in_rust(old.kind, new.kind);
            let (wire, json) =
                (types::on_wire(old.kind, new.kind), types::in_json(old.kind, new.kind));
            let what = format!("was {}, is {}", types::name(old.kind), types::name(new.kind));
            let effects = Effects { wire, json, source };
            self.add_part(place, name, Kind::FieldType, what, effects);
        }
        let is_message = old.is_message() && new.is_message();
        if old.of != new.of && (old.kind == new.kind || is_message) {
            let effects = self.other_type(&old.of, &new.of);
            let what = format!("was {}, is {}", old.of, new.of);
            self.add_part(place, name, Kind::FieldTypeName, what, effects);
        }
    }

    fn shape(&mut self, place: Place<'_>, name: &str, old: &Field, new: &Field) {
        let other = Trouble::breaking("another type");
        if let (Shape::Map(was), Shape::Map(is)) = (old.shape, new.shape) {
            let (wire, json) = (types::on_wire(was, is), types::in_json_keys(was, is));
            let effects = Effects { wire, json, source: types::in_rust(was, is) };
            let what = format!("keys were {}, are {}", types::name(was), types::name(is));
            self.add_part(place, name, Kind::FieldKey, what, effects);
            return self.value(place, name, &old.value, &new.value);
        }
        let wire = match (old.shape, new.shape) {
            // A map's entry is a message in the binary form.
            (Shape::Map(key), Shape::Repeated)
                if is_pair(self.new, &new.value, key, |value| {
                    self.same_value(&old.value, value)
                }) =>
            {
                pairs().in_new_data()
            }
            (Shape::Repeated, Shape::Map(key))
                if is_pair(self.old, &old.value, key, |value| {
                    self.same_value(value, &new.value)
                }) =>
            {
                pairs().in_old_data()
            }
            (Shape::Single, Shape::Repeated) => several(&old.value, new).in_new_data(),
            (Shape::Repeated, Shape::Single) => several(&new.value, old).in_old_data(),
            _ => Trouble::breaking("its bytes mean something else"),
        };
        let json = Trouble::breaking("a value, a list and a map are not read as one another");
        let shown = |field: &Field| match field.shape {
            Shape::Single => "single",
            Shape::Repeated => "repeated",
            Shape::Map(_) => "a map",
        };
        let what = format!("was {}, is {}", shown(old), shown(new));
        let effects = Effects { wire, json, source: other };
        self.add_part(place, name, Kind::FieldShape, what, effects);
        if [old, new].iter().all(|field| !matches!(field.shape, Shape::Map(_))) {
            self.value(place, name, &old.value, &new.value);
        }
    }

    fn oneof(&mut self, place: Place<'_>, name: &str, both: [(&Message, &Field); 2]) {
        let [(old_message, old), (new_message, new)] = both;
        let renamed = renamed_oneofs(old_message, new_message);
        let now = old.oneof.as_deref().map(|oneof| renamed.get(oneof).copied().unwrap_or(oneof));
        if now == new.oneof.as_deref() {
            return;
        }
        // Fields that could be set together before now exclude one another, or the reverse.
        let (mut in_old, mut in_new) = (false, false);
        for (other, was) in old_message.fields.iter().filter(|(other, _)| *other != name) {
            let is = match self.fate(other, was, old_message, new_message) {
                Fate::Kept(is) | Fate::Renamed(_, is) => is,
                Fate::Replaced(..) | Fate::Gone => continue,
            };
            let apart =
                |one: &Field, other: &Field| one.oneof.is_none() || one.oneof != other.oneof;
            in_old |= apart(old, was) && !apart(new, is);
            in_new |= !apart(old, was) && apart(new, is);
        }
        let lost = || Trouble::breaking("of several that are set, all but one are lost");
        let refused = || Trouble::breaking("a message with several of them is refused");
        let limit = |trouble: Trouble| match (in_old, in_new) {
            (false, false) => presence(old, new),
            (true, false) => trouble.in_old_data(),
            (false, true) => trouble.in_new_data(),
            (true, true) => trouble,
        };
        let shown = |oneof: &Option<String>| match oneof {
            Some(oneof) => format!("in the oneof {oneof}"),
            None => "in no oneof".to_owned(),
        };
        let effects = Effects {
            wire: limit(lost()),
            json: limit(refused()),
            source: Trouble::breaking("it is set and read differently"),
        };
        let what = format!("was {}, is {}", shown(&old.oneof), shown(&new.oneof));
        self.add_part(place, name, Kind::FieldOneof, what, effects);
    }
}

/// The new oneofs that contain all members of an old one, by the old names.
fn renamed_oneofs<'a>(old: &'a Message, new: &'a Message) -> BTreeMap<&'a str, &'a str> {
    let mut renamed = BTreeMap::new();
    for oneof in old.oneofs.difference(&new.oneofs) {
        let members = old.fields.iter().filter(|(_, field)| field.oneof.as_ref() == Some(oneof));
        let now: BTreeSet<_> = members
            .filter_map(|(name, _)| new.fields.get(name))
            .map(|field| field.oneof.as_deref())
            .collect();
        if let [Some(now)] = now.into_iter().collect::<Vec<_>>()[..]
            && !old.oneofs.contains(now)
        {
            renamed.insert(oneof.as_str(), now);
        }
    }
    renamed
}

/// The effect of a presence that begins or ceases to count: the side without it sends no defaults.
fn presence(old: &Field, new: &Field) -> Trouble {
    let absent = || Trouble::risky("a default is not sent, and is read as absent");
    match (old.has_presence(), new.has_presence()) {
        (false, true) => absent().in_old_data(),
        (true, false) => absent().in_new_data(),
        _ => Trouble::none(),
    }
}

/// Several values where a single one is expected.
fn several(one: &Value, many: &Field) -> Trouble {
    if many.packed {
        Trouble::breaking("a block of numbers is not read as one")
    } else if one.kind == Type::Message {
        Trouble::risky("several are merged into one")
    } else {
        Trouble::risky("of several, the last one counts")
    }
}

/// Returns whether a value is a message as that of an entry of a map.
fn is_pair(
    inventory: &Inventory,
    value: &Value,
    key: Type,
    is_value: impl Fn(&Value) -> bool,
) -> bool {
    let field = |number| {
        let message = inventory.messages.get(&value.of)?;
        let field = message.fields.values().find(|field| field.number == number)?;
        (field.shape == Shape::Single).then_some(&field.value)
    };
    value.kind == Type::Message
        && field(1).is_some_and(|value| value.kind == key)
        && field(2).is_some_and(is_value)
}

/// A list of pairs where a map is expected.
fn pairs() -> Trouble {
    Trouble::risky("a map is a list of pairs; its order is lost, and what has the same key")
}

fn field_gone() -> Effects {
    let skipped = Trouble::risky("it is skipped where it is still sent");
    Effects::alike(skipped, Trouble::breaking("the field was removed"))
}

/// The effects of a new field of a struct.
fn one_more() -> Trouble {
    Trouble::risky("struct literals that list every field no longer compile")
}
