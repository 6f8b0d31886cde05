//! Finds messages that may contain themselves: their fields are boxed. prost-build overlooks groups, so it
//! is told of all of them.

use std::collections::{HashMap, HashSet};

use prost_types::{
    DescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

use super::packages::join;

/// The messages that each message contains directly, not through a list or map.
pub(super) struct Recursion(HashMap<String, Vec<String>>);

impl Recursion {
    pub(super) fn new(set: &FileDescriptorSet) -> Self {
        let mut edges = HashMap::new();
        for file in &set.file {
            for message in &file.message_type {
                add(&mut edges, file.package(), message);
            }
        }
        Self(edges)
    }

    /// Returns whether a field of type `inner` in the message `outer` must be boxed.
    pub(super) fn boxed(&self, outer: &str, inner: &str) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![inner];
        while let Some(name) = open.pop() {
            if name == outer {
                return true;
            }
            if seen.insert(name) {
                open.extend(self.0.get(name).into_iter().flatten().map(String::as_str));
            }
        }
        false
    }
}

fn add(edges: &mut HashMap<String, Vec<String>>, prefix: &str, message: &DescriptorProto) {
    let name = join(prefix, message.name());
    let held = message
        .field
        .iter()
        .filter(|field| matches!(field.r#type(), Type::Message | Type::Group))
        .filter(|field| field.label() != Label::Repeated);
    let held = held.map(|field| field.type_name().trim_start_matches('.').to_owned()).collect();
    for nested in &message.nested_type {
        add(edges, &name, nested);
    }
    edges.insert(name, held);
}
