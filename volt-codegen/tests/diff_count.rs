//! Compares the report of the real versions with an independent count from the descriptors.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::api;
use protox::prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, MessageDescriptor};
use volt_codegen::{
    Options,
    diff::{Report, diff},
};

/// The properties of each element by its full name: one text for each property that a diff must
/// see.
type Facts = BTreeMap<String, BTreeMap<&'static str, String>>;

/// Walks the descriptor pool, which resolves names, maps and oneofs itself.
fn facts(pool: &DescriptorPool) -> Facts {
    let mut facts = Facts::new();
    let mut say = |name: &str, kind: &'static str, of: Vec<(&'static str, String)>| {
        let of = of.into_iter().chain([("kind", kind.to_owned())]).collect();
        assert!(facts.insert(name.to_owned(), of).is_none(), "{name} occurs twice");
    };
    let is_own = |name: &str| !name.starts_with("google.protobuf.");
    for service in pool.services() {
        let file = service.parent_file().name().to_owned();
        say(service.full_name(), "services", vec![("file", file)]);
        for method in service.methods() {
            let of = vec![
                (
                    "streams",
                    format!("{} {}", method.is_client_streaming(), method.is_server_streaming()),
                ),
                ("request", method.input().full_name().to_owned()),
                ("response", method.output().full_name().to_owned()),
            ];
            say(method.full_name(), "methods", of);
        }
    }
    let own = |message: &MessageDescriptor| is_own(message.full_name()) && !message.is_map_entry();
    for message in pool.all_messages().filter(own) {
        let file = message.parent_file().name().to_owned();
        say(message.full_name(), "messages", vec![("file", file)]);
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            say(oneof.full_name(), "oneofs", vec![]);
        }
        for field in message.fields() {
            say(field.full_name(), "fields", field_facts(&field));
        }
    }
    let own = |item: &EnumDescriptor| is_own(item.full_name());
    for item in pool.all_enums().filter(own) {
        say(item.full_name(), "enums", vec![("file", item.parent_file().name().to_owned())]);
        for value in item.values() {
            let name = format!("{}.{}", item.full_name(), value.name());
            say(&name, "values", vec![("number", value.number().to_string())]);
        }
    }
    facts
}

fn field_facts(field: &FieldDescriptor) -> Vec<(&'static str, String)> {
    let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
    let (kind, label) = if field.is_map() {
        let kind = field.kind();
        let entry = kind.as_message().unwrap();
        let of = |number| format!("{:?}", entry.get_field(number).unwrap().kind());
        (format!("{} {}", of(1), of(2)), "map")
    } else {
        (format!("{:?}", field.kind()), if field.is_list() { "list" } else { "one" })
    };
    vec![
        ("number", field.number().to_string()),
        ("type", kind),
        ("label", label.to_owned()),
        ("oneof", oneof.map(|oneof| oneof.name().to_owned()).unwrap_or_default()),
        ("presence", (field.supports_presence() && label == "one").to_string()),
        ("json", field.json_name().to_owned()),
    ]
}

struct Versions {
    old: Facts,
    new: Facts,
    report: Report,
}

fn versions() -> Versions {
    let [old, new] = ["0.15.1", "0.20.34"].map(|version| api(version).compile().unwrap());
    let report = diff(&old, &new, &Options::default()).unwrap();
    let [old, new] =
        [old, new].map(|set| facts(&DescriptorPool::from_file_descriptor_set(set).unwrap()));
    Versions { old, new, report }
}

impl Versions {
    /// The elements that exist in one version only.
    fn only(facts: &Facts, other: &Facts) -> BTreeSet<String> {
        facts.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
    }

    fn what(&self, element: &str) -> Vec<&str> {
        let of = self.report.changes.iter().filter(|change| change.element == element);
        of.map(|change| change.what.as_str()).collect()
    }

    /// The new names of moved elements, and of renamed fields and values, as the report has them.
    fn heirs(&self) -> BTreeMap<String, String> {
        let mut heirs = BTreeMap::new();
        for change in &self.report.changes {
            if let Some(now) = change.what.strip_prefix("moved to ") {
                heirs.insert(change.element.clone(), now.to_owned());
            }
        }
        for change in &self.report.changes {
            let Some(now) = change.what.split("renamed to ").nth(1) else { continue };
            let (holder, _) = change.element.rsplit_once('.').unwrap();
            let holder = heirs.get(holder).cloned().unwrap_or_else(|| holder.to_owned());
            heirs.insert(change.element.clone(), format!("{holder}.{now}"));
        }
        heirs
    }
}

#[test]
fn every_kind_of_element_is_counted() {
    let Versions { old, new, report } = versions();
    let of_kind = |facts: &Facts, kind: &str| -> BTreeSet<String> {
        facts.iter().filter(|(_, of)| of["kind"] == kind).map(|(name, _)| name.clone()).collect()
    };
    for kind in ["services", "methods", "messages", "fields", "enums", "values"] {
        let (old, new) = (of_kind(&old, kind), of_kind(&new, kind));
        let count = report.counts[kind];
        let expected =
            [old.len(), new.len(), old.difference(&new).count(), new.difference(&old).count()];
        assert_eq!([count.old, count.new, count.removed, count.added], expected, "{kind}");
    }
    assert_eq!(report.counts.len(), 6);
    // So that both ways of counting cannot share an error.
    let methods = report.counts["methods"];
    assert_eq!((methods.old, methods.new, methods.removed, methods.added), (56, 92, 12, 48));
}

/// Every element of one version only is in the report: by itself, or as part of another one.
#[test]
fn additions_and_removals_are_reported() {
    let versions = versions();
    let heirs = versions.heirs();
    let reported = |name: &str, kind: &str| {
        let mut holder = Some(name);
        while let Some(name) = holder {
            if versions.what(name).iter().any(|what| what.contains(kind)) {
                return true;
            }
            holder = name.rsplit_once('.').map(|(holder, _)| holder);
        }
        false
    };
    let gone = Versions::only(&versions.old, &versions.new);
    for name in &gone {
        let moved = name.rsplit_once('.').is_some_and(|(holder, _)| heirs.contains_key(holder));
        assert!(
            reported(name, "removed") || heirs.contains_key(name) || moved,
            "{name} was removed and not reported"
        );
    }
    let arrived: BTreeSet<_> = heirs.values().cloned().collect();
    for name in Versions::only(&versions.new, &versions.old) {
        let moved = name.rsplit_once('.').is_some_and(|(holder, _)| arrived.contains(holder));
        assert!(
            reported(&name, "added") || arrived.contains(&name) || moved,
            "{name} is new and not reported"
        );
    }
}

/// The report contains exactly the properties in which elements differ.
#[test]
fn each_difference_is_reported_once() {
    let versions = versions();
    let heirs = versions.heirs();
    let mut expected: BTreeMap<&str, usize> = BTreeMap::new();
    let renamed_oneof = |name: &str| heirs.contains_key(name);
    for (name, was) in &versions.old {
        let direct = versions.new.get(name);
        let holder = name.rsplit_once('.').map_or("", |(holder, _)| holder);
        let by_holder = heirs.get(holder).map(|now| format!("{now}{}", &name[holder.len()..]));
        let heir = heirs.get(name).or(by_holder.as_ref());
        let Some(is) = direct.or_else(|| versions.new.get(heir?)) else { continue };
        for (property, was) in was {
            let is = &is[property];
            let in_oneof = !versions.old[name].get("oneof").is_none_or(String::is_empty);
            let skipped = match *property {
                // This is reported for the element that was moved or renamed.
                "file" | "json" => heir.is_some() && direct.is_none(),
                "oneof" => renamed_oneof(&format!("{holder}.{was}")),
                // This is reported for the oneof.
                "presence" => {
                    in_oneof
                        || versions
                            .new
                            .get(heir.unwrap_or(name))
                            .is_some_and(|is| !is["oneof"].is_empty())
                }
                _ => false,
            };
            if was != is && !skipped {
                *expected.entry(property).or_default() += 1;
                let said: &[&str] = match *property {
                    "file" => &["moved from"],
                    "streams" => &["streaming", "unary", "bidirectional"],
                    "request" => &["request: was"],
                    "response" => &["response: was"],
                    "number" => &["number was"],
                    "type" => &["was "],
                    "label" => &["was single", "was repeated", "was a map", "keys were"],
                    "oneof" => &["oneof"],
                    "presence" => &["presence", "was single", "was repeated", "is single"],
                    "json" => &["JSON name was"],
                    property => panic!("{property} of {name}"),
                };
                let what = versions.what(name);
                assert!(
                    said.iter().any(|said| what.iter().any(|what| what.contains(said))),
                    "{property} of {name}: {was} → {is}, reported as {what:?}"
                );
            }
        }
    }
    // And the reverse: the numbers of reports and differences are equal.
    for (property, said) in
        [("number", "number was"), ("file", "moved from"), ("json", "JSON name")]
    {
        let reported =
            versions.report.changes.iter().filter(|change| change.what.starts_with(said)).count();
        assert_eq!(reported, expected.get(property).copied().unwrap_or_default(), "{property}");
    }
    assert!(expected["number"] > 0 && expected["type"] > 0 && expected["file"] > 0);
}
