//! From two inventories to what changed.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Change, Count, Effect, Reader, Report, Verdict,
    inventory::{Enum, Field, Inventory, Message, Method, Service},
    types,
};
use Verdict::{Breaking, Fine, Risky};

pub(super) fn compare(old: &Inventory, new: &Inventory) -> Report {
    let mut comparison = Comparison { old, new, moved: moved(old, new), changes: Vec::new() };
    comparison.services();
    comparison.messages();
    comparison.enums();
    let mut changes = comparison.changes;
    changes.sort_by(|a, b| {
        let order = |change: &Change| std::cmp::Reverse((change.worst(), sum(change)));
        (order(a), &a.file, &a.element, &a.what).cmp(&(order(b), &b.file, &b.element, &b.what))
    });
    Report { changes, counts: counts(old, new) }
}

/// For how many readers a change breaks something.
fn sum(change: &Change) -> usize {
    change.effects.values().filter(|effect| effect.verdict == Breaking).count()
}

/// The messages and enums that are in the new version under another full name: the last part of the name
/// and everything in them are the same.
fn moved(old: &Inventory, new: &Inventory) -> BTreeMap<String, String> {
    let mut moved = BTreeMap::new();
    for (name, message) in &old.messages {
        if new.messages.contains_key(name) || message.map_entry {
            continue;
        }
        let same = |(other, candidate): &(&String, &Message)| {
            last(other) == last(name)
                && !old.messages.contains_key(*other)
                && numbers(candidate) == numbers(message)
        };
        if let Some((other, _)) = new.messages.iter().find(same) {
            moved.insert(name.clone(), other.clone());
        }
    }
    for (name, enumeration) in &old.enums {
        let same = |(other, candidate): &(&String, &Enum)| {
            last(other) == last(name)
                && !old.enums.contains_key(*other)
                && candidate.values == enumeration.values
        };
        if !new.enums.contains_key(name)
            && let Some((other, _)) = new.enums.iter().find(same)
        {
            moved.insert(name.clone(), other.clone());
        }
    }
    moved
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn numbers(message: &Message) -> Vec<(&String, i32)> {
    message.fields.iter().map(|(name, field)| (name, field.number)).collect()
}

struct Comparison<'a> {
    old: &'a Inventory,
    new: &'a Inventory,
    moved: BTreeMap<String, String>,
    changes: Vec<Change>,
}

type Effects<'a> = [(Verdict, &'a str); 3];

/// Nobody is troubled.
const ALL_FINE: Effects<'static> = [(Fine, ""), (Fine, ""), (Fine, "")];

impl Comparison<'_> {
    fn add(&mut self, file: &str, element: &str, what: impl Into<String>, effects: Effects<'_>) {
        let effects = Reader::ALL
            .into_iter()
            .zip(effects)
            .map(|(reader, (verdict, why))| (reader, Effect { verdict, why: why.to_owned() }));
        self.changes.push(Change {
            element: element.to_owned(),
            file: file.to_owned(),
            what: what.into(),
            effects: effects.collect(),
        });
    }

    fn deprecation(&mut self, file: &str, element: &str, old: bool, new: bool) {
        match (old, new) {
            (false, true) => {
                let warns = [(Fine, ""), (Fine, ""), (Risky, "code that uses it gets a warning")];
                self.add(file, element, "deprecated", warns);
            }
            (true, false) => self.add(file, element, "not deprecated any more", ALL_FINE),
            _ => {}
        }
    }

    /// The name that an element has in the new version.
    fn renamed<'n>(&'n self, name: &'n str) -> &'n str {
        self.moved.get(name).map_or(name, String::as_str)
    }

    fn services(&mut self) {
        let (old, new) = (self.old, self.new);
        for (name, service) in &old.services {
            let Some(now) = new.services.get(name) else {
                let gone = "calls to it fail";
                let effects =
                    [(Breaking, gone), (Breaking, gone), (Breaking, "its client is gone")];
                self.add(&service.file, name, "service removed", effects);
                continue;
            };
            if now.file != service.file {
                self.add(&now.file, name, format!("moved from {}", service.file), ALL_FINE);
            }
            self.deprecation(&now.file, name, service.deprecated, now.deprecated);
            self.methods(name, service, now);
        }
        for (name, service) in &new.services {
            if !old.services.contains_key(name) {
                let methods = service.methods.len();
                let what = format!("service added, with {methods} methods");
                self.add(&service.file, name, what, ALL_FINE);
            }
        }
    }

    fn methods(&mut self, service: &str, old: &Service, new: &Service) {
        for (name, method) in &old.methods {
            let element = format!("{service}.{name}");
            let Some(now) = new.methods.get(name) else {
                let gone = "calls to it fail";
                let effects = [(Breaking, gone), (Breaking, gone), (Breaking, "it is not there")];
                self.add(&new.file, &element, "method removed", effects);
                continue;
            };
            self.method(&new.file, &element, method, now);
        }
        for name in new.methods.keys().filter(|name| !old.methods.contains_key(*name)) {
            self.add(&new.file, &format!("{service}.{name}"), "method added", ALL_FINE);
        }
    }

    fn method(&mut self, file: &str, element: &str, old: &Method, new: &Method) {
        self.deprecation(file, element, old.deprecated, new.deprecated);
        let kind = |method: &Method| match (method.client_streams, method.server_streams) {
            (false, false) => "unary",
            (false, true) => "server streaming",
            (true, false) => "client streaming",
            (true, true) => "bidirectional",
        };
        if kind(old) != kind(new) {
            let why = "the two sides disagree on how many messages come";
            let effects = [(Breaking, why), (Breaking, why), (Breaking, "another kind of call")];
            self.add(file, element, format!("was {}, is {}", kind(old), kind(new)), effects);
        }
        for (side, was, is) in
            [("request", &old.request, &new.request), ("response", &old.response, &new.response)]
        {
            if was == is {
                continue;
            }
            let what = format!("{side}: was {was}, is {is}");
            if self.renamed(was) == is {
                let effects = [(Fine, ""), (Fine, ""), (Breaking, "the type is elsewhere")];
                self.add(file, element, what, effects);
            } else {
                let why = "another message is expected";
                let effects = [(Breaking, why), (Breaking, why), (Breaking, "another type")];
                self.add(file, element, what, effects);
            }
        }
    }

    fn messages(&mut self) {
        let (old, new) = (self.old, self.new);
        let arrived: BTreeSet<_> = self.moved.values().cloned().collect();
        for (name, message) in old.messages.iter().filter(|(_, message)| !message.map_entry) {
            let now = self.renamed(name).to_owned();
            let Some(is) = new.messages.get(&now) else {
                let unused = "what used it has changed as well";
                let effects = [(Fine, unused), (Fine, unused), (Breaking, "the type is gone")];
                self.add(&message.file, name, "message removed", effects);
                continue;
            };
            if now != *name {
                let effects = [(Fine, ""), (Fine, ""), (Breaking, "the type is elsewhere")];
                self.add(&is.file, name, format!("moved to {now}"), effects);
            } else if is.file != message.file {
                self.add(&is.file, name, format!("moved from {}", message.file), ALL_FINE);
            }
            self.deprecation(&is.file, name, message.deprecated, is.deprecated);
            self.fields(name, message, is);
        }
        for (name, message) in new.messages.iter().filter(|(_, message)| !message.map_entry) {
            if !old.messages.contains_key(name) && !arrived.contains(name) {
                self.add(&message.file, name, "message added", ALL_FINE);
            }
        }
    }

    fn fields(&mut self, message: &str, old: &Message, new: &Message) {
        let gone: Vec<_> =
            old.fields.iter().filter(|(name, _)| !new.fields.contains_key(*name)).collect();
        let mut came: BTreeMap<_, _> =
            new.fields.iter().filter(|(name, _)| !old.fields.contains_key(*name)).collect();
        for (name, field) in gone {
            let element = format!("{message}.{name}");
            let heir = came.iter().find(|(_, is)| is.number == field.number);
            let heir = heir.map(|(heir, is)| ((*heir).clone(), *is));
            match heir {
                Some((heir, is)) if self.same_type(field, is) => {
                    came.remove(&heir);
                    let effects = [
                        (Fine, ""),
                        (Breaking, "the name counts in JSON"),
                        (Breaking, "another name"),
                    ];
                    self.add(&new.file, &element, format!("renamed to {heir}"), effects);
                    self.field(&new.file, &element, field, is);
                }
                Some((heir, _)) => {
                    let reused =
                        format!("its number {} now means {heir}: it is read as that", field.number);
                    let effects = [
                        (Breaking, &*reused),
                        (Risky, "it is skipped where it is still sent"),
                        (Breaking, "the field is gone"),
                    ];
                    self.add(&new.file, &element, "field removed, its number reused", effects);
                }
                None => {
                    let skipped = "it is skipped where it is still sent";
                    let effects =
                        [(Risky, skipped), (Risky, skipped), (Breaking, "the field is gone")];
                    self.add(&new.file, &element, "field removed", effects);
                }
            }
        }
        for name in came.keys() {
            self.add(&new.file, &format!("{message}.{name}"), "field added", ALL_FINE);
        }
        for (name, field) in &old.fields {
            if let Some(is) = new.fields.get(name) {
                self.field(&new.file, &format!("{message}.{name}"), field, is);
            }
        }
    }

    fn same_type(&self, old: &Field, new: &Field) -> bool {
        old.kind == new.kind && self.renamed(&old.of) == new.of && old.repeated == new.repeated
    }

    fn field(&mut self, file: &str, element: &str, old: &Field, new: &Field) {
        self.deprecation(file, element, old.deprecated, new.deprecated);
        if old.number != new.number {
            let effects =
                [(Breaking, "each side reads it as another field"), (Fine, ""), (Fine, "")];
            let what = format!("number was {}, is {}", old.number, new.number);
            self.add(file, element, what, effects);
        }
        if old.kind != new.kind {
            let (old_kind, new_kind) = (old.kind, new.kind);
            let rust = if types::in_rust(old_kind) == types::in_rust(new_kind) {
                (Fine, "")
            } else {
                (Breaking, "another type")
            };
            let effects =
                [types::on_wire(old_kind, new_kind), types::in_json(old_kind, new_kind), rust];
            let what = format!("was {}, is {}", types::name(old_kind), types::name(new_kind));
            self.add(file, element, what, effects);
        } else if old.of != new.of && !is_map_of(old, new) {
            let what = format!("was {}, is {}", old.of, new.of);
            let effects = if self.renamed(&old.of) == new.of {
                [(Fine, ""), (Fine, ""), (Breaking, "the type is elsewhere")]
            } else {
                let why = "another message or enum";
                [(Breaking, why), (Breaking, why), (Breaking, "another type")]
            };
            self.add(file, element, what, effects);
        }
        if old.repeated != new.repeated {
            let shown = |repeated| if repeated { "repeated" } else { "single" };
            let effects = [
                (Risky, "of several, the last one counts"),
                (Breaking, "a list instead of a value, or the reverse"),
                (Breaking, "another type"),
            ];
            let what = format!("was {}, is {}", shown(old.repeated), shown(new.repeated));
            self.add(file, element, what, effects);
        }
        if old.oneof != new.oneof {
            let shown = |oneof: &Option<String>| match oneof {
                Some(oneof) => format!("in the oneof {oneof}"),
                None => "in no oneof".to_owned(),
            };
            let effects = [
                (Risky, "setting one of a oneof clears the others"),
                (Risky, "setting one of a oneof clears the others"),
                (Breaking, "it is set and read in another way"),
            ];
            let what = format!("was {}, is {}", shown(&old.oneof), shown(&new.oneof));
            self.add(file, element, what, effects);
        }
        if old.optional != new.optional {
            let what = if new.optional {
                "its presence counts now"
            } else {
                "its presence does not count any more"
            };
            let effects = [(Fine, ""), (Fine, ""), (Breaking, "an Option, or none any more")];
            self.add(file, element, what, effects);
        }
    }

    fn enums(&mut self) {
        let (old, new) = (self.old, self.new);
        let arrived: BTreeSet<_> = self.moved.values().cloned().collect();
        for (name, enumeration) in &old.enums {
            let now = self.renamed(name).to_owned();
            let Some(is) = new.enums.get(&now) else {
                let unused = "what used it has changed as well";
                let effects = [(Fine, unused), (Fine, unused), (Breaking, "the type is gone")];
                self.add(&enumeration.file, name, "enum removed", effects);
                continue;
            };
            if now != *name {
                let effects = [(Fine, ""), (Fine, ""), (Breaking, "the type is elsewhere")];
                self.add(&is.file, name, format!("moved to {now}"), effects);
            } else if is.file != enumeration.file {
                self.add(&is.file, name, format!("moved from {}", enumeration.file), ALL_FINE);
            }
            self.deprecation(&is.file, name, enumeration.deprecated, is.deprecated);
            self.values(name, enumeration, is);
        }
        for (name, enumeration) in &new.enums {
            if !old.enums.contains_key(name) && !arrived.contains(name) {
                self.add(&enumeration.file, name, "enum added", ALL_FINE);
            }
        }
    }

    fn values(&mut self, name: &str, old: &Enum, new: &Enum) {
        let mut heirs = BTreeSet::new();
        for (value, number) in &old.values {
            let element = format!("{name}.{value}");
            if let Some(is) = new.values.get(value) {
                if is != number {
                    let effects =
                        [(Breaking, "each side reads it as another value"), (Fine, ""), (Fine, "")];
                    self.add(&new.file, &element, format!("number was {number}, is {is}"), effects);
                }
                continue;
            }
            let heir = new
                .values
                .iter()
                .find(|(heir, is)| *is == number && !old.values.contains_key(*heir));
            let unknown = (Breaking, "the name is not known to the other side");
            if let Some((heir, _)) = heir {
                heirs.insert(heir.clone());
                let effects = [(Fine, ""), unknown, (Breaking, "another name")];
                self.add(&new.file, &element, format!("renamed to {heir}"), effects);
            } else {
                let effects = [
                    (Risky, "the number is kept and means nothing"),
                    unknown,
                    (Breaking, "the value is gone"),
                ];
                self.add(&new.file, &element, "value removed", effects);
            }
        }
        for value in new.values.keys().filter(|value| !old.values.contains_key(*value)) {
            if !heirs.contains(value) {
                let effects =
                    [(Fine, ""), (Risky, "an old reader does not know the name"), (Fine, "")];
                self.add(&new.file, &format!("{name}.{value}"), "value added", effects);
            }
        }
    }
}

/// The entries of a map have a message of their own, whose name says nothing.
fn is_map_of(old: &Field, new: &Field) -> bool {
    old.repeated
        && new.repeated
        && last(&old.of).ends_with("Entry")
        && last(&old.of) == last(&new.of)
}

fn counts(old: &Inventory, new: &Inventory) -> BTreeMap<&'static str, Count> {
    let methods = |inventory: &Inventory| -> BTreeSet<String> {
        let of = |(name, service): (&String, &Service)| {
            service.methods.keys().map(|method| format!("{name}.{method}")).collect::<Vec<_>>()
        };
        inventory.services.iter().flat_map(of).collect()
    };
    let keys = |names: Vec<&String>| -> BTreeSet<String> { names.into_iter().cloned().collect() };
    let count = |old: BTreeSet<String>, new: BTreeSet<String>| Count {
        old: old.len(),
        new: new.len(),
        removed: old.difference(&new).count(),
        added: new.difference(&old).count(),
    };
    BTreeMap::from([
        (
            "services",
            count(keys(old.services.keys().collect()), keys(new.services.keys().collect())),
        ),
        ("methods", count(methods(old), methods(new))),
        (
            "messages",
            count(keys(old.messages.keys().collect()), keys(new.messages.keys().collect())),
        ),
        ("enums", count(keys(old.enums.keys().collect()), keys(new.enums.keys().collect()))),
    ])
}
