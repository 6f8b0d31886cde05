//! Finds the messages that each service needs.

use std::collections::{BTreeSet, HashMap};

use prost_types::{DescriptorProto, FileDescriptorSet};

use super::{Gate, packages::join, resolve::Types};
use crate::Options;

/// The services that need each top-level message and enum.
pub(super) struct Needs(HashMap<String, BTreeSet<String>>);

impl Needs {
    /// `roots` are the requests and responses of each service.
    pub(super) fn new(
        set: &FileDescriptorSet,
        types: &Types,
        roots: impl Iterator<Item = (String, Vec<String>)>,
    ) -> Self {
        let mut edges = HashMap::new();
        for file in &set.file {
            for message in &file.message_type {
                let mut held = BTreeSet::new();
                collect(message, types, &mut held);
                edges.insert(join(file.package(), message.name()), held);
            }
        }
        let mut needs = Self(HashMap::new());
        for (service, used) in roots {
            needs.spread(used, &edges, types, |gate| gate.insert(service.clone()));
        }
        // Types that no service needs are always compiled, with all types in them.
        let unreached: Vec<String> =
            edges.keys().filter(|name| !needs.0.contains_key(*name)).cloned().collect();
        let mut always = Self(HashMap::new());
        always.spread(unreached, &edges, types, |gate| gate.insert(String::new()));
        needs.0.retain(|name, _| !always.0.contains_key(name));
        needs
    }

    /// Marks types and all types in them. `mark` returns whether the mark is new.
    fn spread(
        &mut self,
        mut open: Vec<String>,
        edges: &HashMap<String, BTreeSet<String>>,
        types: &Types,
        mark: impl Fn(&mut BTreeSet<String>) -> bool,
    ) {
        while let Some(name) = open.pop() {
            let Some(found) = types.get(&name) else { continue };
            if mark(self.0.entry(found.outermost.clone()).or_default()) {
                open.extend(edges.get(&found.outermost).into_iter().flatten().cloned());
            }
        }
    }

    /// The condition under which a top-level message or enum is compiled.
    pub(super) fn gate(&self, name: &str, options: &Options) -> Gate {
        let Some(services) = self.0.get(name).cloned() else { return Gate::default() };
        Gate { services, features: options.also.get(name).cloned().unwrap_or_default() }
    }
}

/// The outermost types of all fields, including those of nested messages.
fn collect(message: &DescriptorProto, types: &Types, held: &mut BTreeSet<String>) {
    for field in &message.field {
        let found = types.get(field.type_name().trim_start_matches('.'));
        held.extend(found.map(|found| found.outermost.clone()));
    }
    for nested in &message.nested_type {
        collect(nested, types, held);
    }
}
