//! Compares two inventories: services, methods, and messages and enums as wholes.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    effects::{Effects, Trouble},
    inventory::{Home, Inventory, Method, Reserved, Service},
    kind::Kind,
    moves::moved,
    report::Change,
    usage::{Usage, Use},
};
use crate::names;

/// The result of a comparison of descriptors.
pub(super) struct Compared {
    pub(super) changes: Vec<Change>,
    /// The new full names of elements, by the former ones, without methods.
    pub(super) renames: BTreeMap<String, String>,
    /// The same for methods.
    pub(super) methods: BTreeMap<String, String>,
}

/// Compares two versions. `former` has declared former names of elements, without their scopes, by the new full names.
pub(super) fn compare(
    old: &Inventory,
    new: &Inventory,
    former: &BTreeMap<String, String>,
) -> Compared {
    let moved = moved(old, new, former);
    let arrived = moved.values().cloned().collect();
    let usage = Usage::of([old, new]);
    let compared =
        Compared { changes: Vec::new(), renames: moved.clone(), methods: BTreeMap::new() };
    let mut comparison = Comparison { old, new, former, moved, arrived, usage, compared };
    comparison.services();
    comparison.messages();
    comparison.enums();
    comparison.compared
}

pub(super) struct Comparison<'a> {
    pub(super) old: &'a Inventory,
    pub(super) new: &'a Inventory,
    former: &'a BTreeMap<String, String>,
    /// The new names of moved elements, by the old ones.
    moved: BTreeMap<String, String>,
    /// Only the new names.
    arrived: BTreeSet<String>,
    usage: Usage,
    /// The renames start as `moved`; the parts of messages and enums follow.
    compared: Compared,
}

/// The element whose parts are compared: its old name, its new file, and its uses.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) name: &'a str,
    pub(super) used: Use,
}

impl Comparison<'_> {
    /// Records a change of an element.
    pub(super) fn add(
        &mut self,
        place: Place<'_>,
        kind: Kind,
        what: impl Into<String>,
        effects: Effects,
    ) {
        self.compared.changes.push(Change {
            element: place.name.to_owned(),
            file: place.file.to_owned(),
            kind,
            what: what.into(),
            effects: effects.resolve(place.used),
        });
    }

    /// Records a change of a part of an element.
    pub(super) fn add_part(
        &mut self,
        place: Place<'_>,
        part: &str,
        kind: Kind,
        what: impl Into<String>,
        effects: Effects,
    ) {
        let name = format!("{}.{part}", place.name);
        self.add(Place { name: &name, ..place }, kind, what, effects);
    }

    /// Records the new name of a part of an element.
    pub(super) fn rename(&mut self, place: Place<'_>, part: &str, heir: &str) {
        let now = format!("{}.{heir}", self.renamed(place.name));
        self.compared.renames.insert(format!("{}.{part}", place.name), now);
    }

    /// The name of an element in the new version, if it exists there.
    pub(super) fn renamed<'n>(&'n self, name: &'n str) -> &'n str {
        self.moved.get(name).map_or(name, String::as_str)
    }

    fn place<'n>(&self, home: &'n Home, name: &'n str) -> Place<'n> {
        let used = self.usage.get(name) | self.usage.get(self.renamed(name));
        Place { file: &home.file, name, used }
    }

    /// Returns whether an element is new rather than moved.
    fn is_new(&self, name: &str, in_old: bool) -> bool {
        !in_old && !self.arrived.contains(name)
    }

    pub(super) fn deprecation(
        &mut self,
        place: Place<'_>,
        part: Option<&str>,
        was: bool,
        is: bool,
    ) {
        let (kind, what, source) = match (was, is) {
            (false, true) => {
                let warned = Trouble::risky("code that uses it gets a warning");
                (Kind::Deprecated, "deprecated", warned)
            }
            (true, false) => (Kind::Undeprecated, "no longer deprecated", Trouble::none()),
            _ => return,
        };
        match part {
            Some(part) => self.add_part(place, part, kind, what, Effects::source(source)),
            None => self.add(place, kind, what, Effects::source(source)),
        }
    }

    /// Removed reservations.
    fn reservations(&mut self, place: Place<'_>, old: &Reserved, new: &Reserved) {
        let (numbers, names) = old.without(new);
        let again = || Trouble::risky("some peers still send it with its former meaning");
        for number in numbers {
            let effects = Effects { wire: again(), ..Effects::none() };
            self.add(place, Kind::NumberFreed, format!("no longer reserved: {number}"), effects);
        }
        for name in names {
            let effects = Effects { json: again(), ..Effects::none() };
            self.add(place, Kind::NameFreed, format!("no longer reserved: \"{name}\""), effects);
        }
    }

    /// A message or enum that exists in both versions, under these names.
    fn whereabouts(&mut self, place: Place<'_>, was: &Home, now: &str) {
        if now != place.name {
            let effects = Effects::source(Trouble::breaking("the type is elsewhere"));
            self.add(place, Kind::TypeMoved, format!("moved to {now}"), effects);
        } else if place.file != was.file {
            let what = format!("moved from {}", was.file);
            self.add(place, Kind::FileMoved, what, Effects::none());
        }
    }

    fn services(&mut self) {
        let (old, new) = (self.old, self.new);
        for (name, service) in &old.services {
            let now = self.renamed(name).to_owned();
            let Some(is) = new.services.get(&now) else {
                let effects = Effects::alike(
                    Trouble::breaking("calls to it fail").for_old_clients(),
                    Trouble::breaking("its client was removed"),
                );
                let place = self.place(&service.home, name);
                self.add(place, Kind::ServiceRemoved, "service removed", effects);
                continue;
            };
            let place = self.place(&is.home, name);
            if now != *name {
                let effects = Effects::alike(
                    Trouble::breaking("it is called by another name"),
                    Trouble::breaking("its client is elsewhere"),
                );
                self.add(place, Kind::ServiceMoved, format!("moved to {now}"), effects);
            } else if is.home.file != service.home.file {
                let what = format!("moved from {}", service.home.file);
                self.add(place, Kind::FileMoved, what, Effects::none());
            }
            self.deprecation(place, None, service.deprecated, is.deprecated);
            self.methods(place, service, is);
        }
        for (name, service) in &new.services {
            if self.is_new(name, old.services.contains_key(name)) {
                let what = match service.methods.len() {
                    1 => "service added, with 1 method".to_owned(),
                    methods => format!("service added, with {methods} methods"),
                };
                self.add(self.place(&service.home, name), Kind::ServiceAdded, what, missing());
            }
        }
    }

    fn methods(&mut self, place: Place<'_>, old: &Service, new: &Service) {
        let service = self.renamed(place.name).to_owned();
        let mut heirs = BTreeSet::new();
        for (name, method) in &old.methods {
            if let Some(is) = new.methods.get(name) {
                self.deprecation(place, Some(name), method.deprecated, is.deprecated);
                self.method(place, name, method, is);
                continue;
            }
            let is_heir = |heir: &&String| {
                let full = format!("{service}.{heir}");
                !old.methods.contains_key(*heir) && self.former.get(&full) == Some(name)
            };
            let Some((heir, is)) = new.methods.iter().find(|(heir, _)| is_heir(heir)) else {
                let effects = Effects::alike(
                    Trouble::breaking("calls to it fail").for_old_clients(),
                    Trouble::breaking("it does not exist there"),
                );
                self.add_part(place, name, Kind::MethodRemoved, "method removed", effects);
                continue;
            };
            let source = if names::snake(name) == names::snake(heir) {
                Trouble::none()
            } else {
                Trouble::breaking("another name")
            };
            let effects = Effects::alike(Trouble::breaking("it is called by another name"), source);
            let what = format!("method renamed to {heir}");
            self.add_part(place, name, Kind::MethodRenamed, what, effects);
            let full = format!("{service}.{heir}");
            self.compared.methods.insert(format!("{}.{name}", place.name), full);
            heirs.insert(heir);
            self.deprecation(place, Some(name), method.deprecated, is.deprecated);
            self.method(place, name, method, is);
        }
        let is_new = |name: &&String| !old.methods.contains_key(*name) && !heirs.contains(name);
        for name in new.methods.keys().filter(is_new) {
            self.add_part(place, name, Kind::MethodAdded, "method added", missing());
        }
    }

    fn method(&mut self, place: Place<'_>, name: &str, old: &Method, new: &Method) {
        let kind = |method: &Method| match (method.client_streams, method.server_streams) {
            (false, false) => "unary",
            (false, true) => "server streaming",
            (true, false) => "client streaming",
            (true, true) => "bidirectional",
        };
        if kind(old) != kind(new) {
            let data = Trouble::breaking("the two sides disagree on the number of messages");
            // One request is a stream, too.
            let data = match (old.server_streams == new.server_streams, new.client_streams) {
                (true, true) => data.for_new_clients(),
                (true, false) => data.for_old_clients(),
                (false, _) => data,
            };
            let effects = Effects::alike(data, Trouble::breaking("another kind of call"));
            let what = format!("was {}, is {}", kind(old), kind(new));
            self.add_part(place, name, Kind::MethodStreams, what, effects);
        }
        if old.idempotency != new.idempotency {
            let callers = Trouble::risky("it determines whether callers repeat a call");
            let (was, is) = (old.idempotency.as_str_name(), new.idempotency.as_str_name());
            let what = format!("idempotency level was {was}, is {is}");
            let effects = Effects::alike(callers, Trouble::none());
            self.add_part(place, name, Kind::MethodIdempotency, what, effects);
        }
        for (kind, side, was, is) in [
            (Kind::MethodRequest, "request", &old.request, &new.request),
            (Kind::MethodResponse, "response", &old.response, &new.response),
        ] {
            if was != is {
                let effects = self.other_type(was, is);
                self.add_part(place, name, kind, format!("{side}: was {was}, is {is}"), effects);
            }
        }
    }

    /// The effect of a type's new name.
    pub(super) fn other_type(&self, was: &str, is: &str) -> Effects {
        if self.renamed(was) == is {
            return Effects::source(Trouble::note("the type was moved"));
        }
        let source = Trouble::breaking("another type");
        if let (Some(old), Some(new)) = (self.old.messages.get(was), self.new.messages.get(is))
            && old.fields == new.fields
        {
            return Effects {
                wire: Trouble::note("the fields are the same"),
                ..Effects::source(source)
            };
        }
        if let (Some(old), Some(new)) = (self.old.enums.get(was), self.new.enums.get(is))
            && old.values.iter().all(|(name, value)| {
                new.values.get(name).is_some_and(|new| new.number == value.number)
            })
        {
            let json = if old.values.len() == new.values.len() {
                Trouble::none()
            } else {
                Trouble::risky("an old reader does not know all names").in_new_data()
            };
            return Effects { json, ..Effects::source(source) };
        }
        Effects::alike(Trouble::breaking("the peer expects another type"), source)
    }

    fn messages(&mut self) {
        let (old, new) = (self.old, self.new);
        for (name, message) in &old.messages {
            let now = self.renamed(name).to_owned();
            let Some(is) = new.messages.get(&now) else {
                let place = self.place(&message.home, name);
                self.add(place, Kind::MessageRemoved, "message removed", type_gone());
                continue;
            };
            let place = self.place(&is.home, name);
            self.whereabouts(place, &message.home, &now);
            self.deprecation(place, None, message.deprecated, is.deprecated);
            self.reservations(place, &message.reserved, &is.reserved);
            self.oneofs(place, message, is);
            self.fields(place, message, is);
        }
        for (name, message) in &new.messages {
            if self.is_new(name, old.messages.contains_key(name)) {
                let place = self.place(&message.home, name);
                self.add(place, Kind::MessageAdded, "message added", Effects::none());
            }
        }
    }

    fn enums(&mut self) {
        let (old, new) = (self.old, self.new);
        for (name, enumeration) in &old.enums {
            let now = self.renamed(name).to_owned();
            let Some(is) = new.enums.get(&now) else {
                let place = self.place(&enumeration.home, name);
                self.add(place, Kind::EnumRemoved, "enum removed", type_gone());
                continue;
            };
            let place = self.place(&is.home, name);
            self.whereabouts(place, &enumeration.home, &now);
            self.deprecation(place, None, enumeration.deprecated, is.deprecated);
            self.reservations(place, &enumeration.reserved, &is.reserved);
            self.values(place, enumeration, is);
        }
        for (name, enumeration) in &new.enums {
            if self.is_new(name, old.enums.contains_key(name)) {
                let place = self.place(&enumeration.home, name);
                self.add(place, Kind::EnumAdded, "enum added", Effects::none());
            }
        }
    }
}

/// The effects of a new service or method.
fn missing() -> Effects {
    let missing = Trouble::note("an old Volt answers that it is not implemented");
    Effects::alike(missing.for_new_clients(), Trouble::none())
}

/// The effects of a removed message or enum; its users are reported as changed themselves.
fn type_gone() -> Effects {
    Effects::source(Trouble::breaking("the type was removed"))
}
