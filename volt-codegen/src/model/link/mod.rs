//! Checks that descriptors are complete and linked, as protoc and buf write them.
//!
//! Everything after this step, prost-build included, relies on it: each name is set, each type that a
//! generated message names exists, and the entries of maps have a key and a value.

mod defaults;
mod fields;

use std::collections::{HashMap, HashSet};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet, MessageOptions,
    ServiceDescriptorProto, field_descriptor_proto::Label,
};

use super::{
    packages::{is_defined_elsewhere, join, serves},
    source_map::{SourceMap, tag},
};
use crate::{
    Error, Options,
    error::{Place, Problems},
};

/// The maximum depth of nested messages. Compilers of `.proto` files allow fewer.
const DEPTH: usize = 64;

/// The remedy where descriptors are not what a compiler writes.
const RELINK: &str =
    "pass descriptors as protoc writes them with --include_imports, or as buf build writes them";

/// Reports everything in the descriptors that no compiler would have written, in the files that code is
/// generated for.
pub(super) fn check(set: &FileDescriptorSet, options: &Options) -> Result<(), Error> {
    let mut link = Link {
        options,
        index: HashMap::new(),
        required: HashMap::new(),
        problems: Problems::default(),
    };
    link.files(set);
    // No other check walks descriptors that are nested too deeply.
    link.problems = std::mem::take(&mut link.problems).into_result(Problems::default())?;
    for file in &set.file {
        link.collect(file.name(), file.package(), &file.message_type, &file.enum_type);
    }
    for file in &set.file {
        link.file(file);
    }
    link.problems.into_result(())
}

struct Link<'a> {
    options: &'a Options,
    /// All types by full name.
    index: HashMap<String, Definition<'a>>,
    /// The messages that each message always contains, by full name.
    required: HashMap<String, Vec<&'a str>>,
    problems: Problems,
}

/// A type, with the name of its file.
struct Definition<'a> {
    file: &'a str,
    kind: Kind<'a>,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    Message,
    MapEntry,
    Enum(&'a EnumDescriptorProto),
}

/// A message or a file, in which elements have their names.
struct Scope<'a, 'b> {
    source: &'b SourceMap<'a>,
    path: Vec<i32>,
    full: String,
    proto3: bool,
}

impl Scope<'_, '_> {
    fn at(&self, tag: i32, index: usize) -> Vec<i32> {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        self.path.iter().copied().chain([tag, index]).collect()
    }
}

impl<'a> Link<'a> {
    fn problem(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.add(place, message, RELINK);
    }

    /// The names of files, and how deep their messages nest.
    fn files(&mut self, set: &FileDescriptorSet) {
        let mut names = HashMap::new();
        for (index, file) in set.file.iter().enumerate() {
            let place = Place { file: file.name().to_owned(), position: None };
            if file.name().is_empty() {
                self.problem(&place, format!("the file {index} of the descriptors has no name"));
            } else if names.insert(file.name(), index).is_some() {
                self.problem(&place, "the descriptors contain this file twice");
            }
            if let Some(name) = too_deep(&file.message_type) {
                let message = format!("messages are nested more than {DEPTH} deep in `{name}`");
                self.problems.add(&place, message, "declare them beside each other");
            }
        }
    }

    fn collect(
        &mut self,
        file: &'a str,
        prefix: &str,
        messages: &'a [DescriptorProto],
        enums: &'a [EnumDescriptorProto],
    ) {
        for item in enums {
            self.define(file, join(prefix, item.name()), Kind::Enum(item));
        }
        for message in messages {
            let full = join(prefix, message.name());
            self.collect(file, &full, &message.nested_type, &message.enum_type);
            let required = message.field.iter().filter(|field| field.label() == Label::Required);
            let required = required.filter_map(|field| field.type_name().strip_prefix('.'));
            self.required.insert(full.clone(), required.collect());
            self.define(file, full, if is_map(message) { Kind::MapEntry } else { Kind::Message });
        }
    }

    fn define(&mut self, file: &'a str, full: String, kind: Kind<'a>) {
        let twice = self.index.get(&full).map(|first| {
            format!("`{full}` is defined twice; the first definition is in {}", first.file)
        });
        match twice {
            Some(message) => {
                self.problem(&Place { file: file.to_owned(), position: None }, message);
            }
            None => {
                self.index.insert(full, Definition { file, kind });
            }
        }
    }

    fn file(&mut self, file: &FileDescriptorProto) {
        let source = SourceMap::new(file);
        let package = file.package();
        let local = |name: &str| !is_defined_elsewhere(&join(package, name), self.options);
        let services = serves(file, self.options) && !file.service.is_empty();
        let types = file.message_type.iter().map(DescriptorProto::name);
        let mut types = types.chain(file.enum_type.iter().map(EnumDescriptorProto::name));
        if !services && !types.any(local) {
            return;
        }
        if !package.is_empty() && package.split('.').any(str::is_empty) {
            self.problem(
                &source.place(&[tag::PACKAGE]),
                format!("the package `{package}` has an empty part"),
            );
        }
        let scope = Scope {
            source: &source,
            path: Vec::new(),
            full: package.to_owned(),
            proto3: file.syntax() == "proto3",
        };
        for (index, message) in file.message_type.iter().enumerate() {
            if !is_defined_elsewhere(&join(package, message.name()), self.options) {
                self.message(&scope, scope.at(tag::FILE_MESSAGE, index), message);
            }
        }
        for (index, item) in file.enum_type.iter().enumerate() {
            if !is_defined_elsewhere(&join(package, item.name()), self.options) {
                self.enumeration(&scope, &scope.at(tag::FILE_ENUM, index), item);
            }
        }
        if services {
            for (index, service) in file.service.iter().enumerate() {
                self.service(&scope, &scope.at(tag::FILE_SERVICE, index), service);
            }
        }
    }

    fn message(&mut self, outer: &Scope<'_, '_>, path: Vec<i32>, message: &DescriptorProto) {
        let place = outer.source.place(&path);
        self.named(&place, "message", message.name(), &outer.full);
        let scope = Scope {
            source: outer.source,
            path,
            full: join(&outer.full, message.name()),
            proto3: outer.proto3,
        };
        if is_map(message) {
            self.problem(&place, format!("`{}` is the entry of a map outside of one", scope.full));
            return;
        }
        self.fields(&scope, message);
        for oneof in &message.oneof_decl {
            self.named(&place, "oneof", oneof.name(), &scope.full);
        }
        for (index, nested) in message.nested_type.iter().enumerate() {
            if is_map(nested) {
                self.entry(&scope, message, nested, &place);
            } else {
                self.message(&scope, scope.at(tag::MESSAGE_MESSAGE, index), nested);
            }
        }
        for (index, item) in message.enum_type.iter().enumerate() {
            self.enumeration(&scope, &scope.at(tag::MESSAGE_ENUM, index), item);
        }
    }

    fn enumeration(&mut self, outer: &Scope<'_, '_>, path: &[i32], item: &EnumDescriptorProto) {
        let place = outer.source.place(path);
        self.named(&place, "enum", item.name(), &outer.full);
        let full = join(&outer.full, item.name());
        let mut names = HashSet::new();
        for value in &item.value {
            self.named(&place, "value", value.name(), &full);
            if !names.insert(value.name()) {
                let message = format!("the value `{}` of `{full}` is defined twice", value.name());
                self.problem(&place, message);
            }
        }
        match item.value.first() {
            None => self.problem(&place, format!("the enum `{full}` has no value")),
            Some(first) if outer.proto3 && first.number() != 0 => self.problem(
                &place,
                format!("the first value of `{full}` is {}, not 0 as in proto3", first.number()),
            ),
            Some(_) => {}
        }
    }

    fn service(&mut self, outer: &Scope<'_, '_>, path: &[i32], service: &ServiceDescriptorProto) {
        self.named(&outer.source.place(path), "service", service.name(), &outer.full);
        let full = join(&outer.full, service.name());
        for (index, method) in service.method.iter().enumerate() {
            let index = i32::try_from(index).unwrap_or(i32::MAX);
            let path: Vec<i32> = path.iter().copied().chain([tag::SERVICE_METHOD, index]).collect();
            let place = outer.source.place(&path);
            self.named(&place, "method", method.name(), &full);
            for name in [method.input_type(), method.output_type()] {
                let element = format!("the method `{}` of `{full}`", method.name());
                if let Some(kind) = self.ty(&place, &element, name)
                    && !matches!(kind, Kind::Message)
                {
                    let message = format!("{element} has the type `{}`", name.trim_matches('.'));
                    self.problem(&place, format!("{message}, which is not a message"));
                }
            }
        }
    }

    /// Returns whether a value of the message `inner` always contains a value of the message
    /// `outer`.
    fn always_contains(&self, inner: &str, outer: &str) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![inner];
        while let Some(name) = open.pop() {
            if name == outer {
                return true;
            }
            if seen.insert(name) {
                open.extend(self.required.get(name).into_iter().flatten());
            }
        }
        false
    }

    fn named(&mut self, place: &Place, what: &str, name: &str, outer: &str) {
        if name.is_empty() {
            let outer = if outer.is_empty() { String::new() } else { format!(" of `{outer}`") };
            self.problem(place, format!("a {what}{outer} has no name"));
        }
    }

    /// Finds a type by its name in the descriptors, which begins with a dot.
    fn ty(&mut self, place: &Place, element: &str, name: &str) -> Option<Kind<'a>> {
        let Some(full) = name.strip_prefix('.') else {
            let message = match name {
                "" => format!("{element} has no type"),
                _ => format!("{element} has the type `{name}`, which is not a full name"),
            };
            self.problem(place, message);
            return None;
        };
        let found = self.index.get(full).map(|found| found.kind);
        if found.is_none() {
            self.problems.add(
                place,
                format!("{element} has the type `{full}`, which is not in the descriptors"),
                "pass the descriptors of all imported files too",
            );
        }
        found
    }
}

pub(super) fn is_map(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(MessageOptions::map_entry)
}

/// The outermost message of those that are nested too deeply.
fn too_deep(messages: &[DescriptorProto]) -> Option<&str> {
    let mut open: Vec<_> = messages.iter().map(|message| (message.name(), 1, message)).collect();
    while let Some((name, depth, message)) = open.pop() {
        if depth > DEPTH {
            return Some(name);
        }
        open.extend(message.nested_type.iter().map(|nested| (name, depth + 1, nested)));
    }
    None
}
