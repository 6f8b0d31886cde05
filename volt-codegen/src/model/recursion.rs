//! Finds messages that may contain themselves: their fields are boxed. prost-build overlooks groups, so the
//! generator passes all of these fields to it.

use std::collections::HashMap;

use prost_types::{
    DescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

use super::packages::join;

/// The groups of messages that contain each other, other than through a list or map.
pub(super) struct Recursion(HashMap<String, usize>);

impl Recursion {
    pub(super) fn new(set: &FileDescriptorSet) -> Self {
        let mut edges = HashMap::new();
        for file in &set.file {
            for message in &file.message_type {
                add(&mut edges, file.package(), message);
            }
        }
        let mut search = Search {
            edges: &edges,
            found: HashMap::new(),
            stack: Vec::new(),
            groups: HashMap::new(),
        };
        for name in edges.keys() {
            search.visit(name);
        }
        let groups = search.groups.into_iter();
        Self(groups.map(|(name, group)| (name.to_owned(), group)).collect())
    }

    /// Returns whether a field of type `inner` in the message `outer` must be boxed. The field is neither
    /// a list nor a map.
    pub(super) fn boxed(&self, outer: &str, inner: &str) -> bool {
        self.0.get(outer).is_some_and(|group| self.0.get(inner) == Some(group))
    }
}

type Edges = HashMap<String, Vec<String>>;

/// Tarjan's search for strongly connected components, without recursion.
struct Search<'a> {
    edges: &'a Edges,
    /// The order in which messages were found, and the lowest order that they reach.
    found: HashMap<&'a str, (usize, usize)>,
    stack: Vec<&'a str>,
    groups: HashMap<&'a str, usize>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, root: &'a str) {
        if self.found.contains_key(root) {
            return;
        }
        let mut open = vec![(root, self.enter(root))];
        while let Some((name, rest)) = open.last_mut() {
            let name = *name;
            match rest.next() {
                Some(inner) if !self.found.contains_key(inner) => {
                    let edges = self.enter(inner);
                    open.push((inner, edges));
                }
                Some(inner) if !self.groups.contains_key(inner) => self.lower(name, inner),
                Some(_) => {}
                None => {
                    open.pop();
                    if let Some((outer, _)) = open.last() {
                        self.lower(outer, name);
                    }
                    self.leave(name);
                }
            }
        }
    }

    fn enter(&mut self, name: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        let order = self.found.len();
        self.found.insert(name, (order, order));
        self.stack.push(name);
        self.edges.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Notes that `outer` reaches everything that `inner` reaches.
    fn lower(&mut self, outer: &'a str, inner: &'a str) {
        let Some(reached) = self.found.get(inner).map(|(_, lowest)| *lowest) else { return };
        if let Some((_, lowest)) = self.found.get_mut(outer) {
            *lowest = reached.min(*lowest);
        }
    }

    /// Closes the group that begins with a message.
    fn leave(&mut self, name: &'a str) {
        let Some((order, lowest)) = self.found.get(name) else { return };
        if order != lowest {
            return;
        }
        let group = *order;
        while let Some(member) = self.stack.pop() {
            self.groups.insert(member, group);
            if member == name {
                break;
            }
        }
    }
}

fn add(edges: &mut Edges, prefix: &str, message: &DescriptorProto) {
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

#[cfg(test)]
mod tests {
    use prost_types::{FieldDescriptorProto, FileDescriptorProto};

    use super::*;

    #[test]
    fn fields_within_a_cycle_are_boxed() {
        // A contains B, which contains C, which contains B and D. E contains itself.
        let edges = [("A", "B"), ("B", "C"), ("C", "BD"), ("D", ""), ("E", "E")];
        let messages = edges.map(|(name, held)| DescriptorProto {
            name: Some(name.to_owned()),
            field: held
                .chars()
                .map(|held| FieldDescriptorProto {
                    r#type: Some(Type::Message.into()),
                    type_name: Some(format!(".{held}")),
                    ..FieldDescriptorProto::default()
                })
                .collect(),
            ..DescriptorProto::default()
        });
        let file =
            FileDescriptorProto { message_type: messages.into(), ..FileDescriptorProto::default() };
        let recursion = Recursion::new(&FileDescriptorSet { file: vec![file] });
        let boxed = |outer, inner| recursion.boxed(outer, inner);
        assert!(boxed("B", "C") && boxed("C", "B") && boxed("E", "E"));
        assert!(!boxed("A", "B") && !boxed("C", "D") && !boxed("A", "X") && !boxed("X", "X"));
    }
}
