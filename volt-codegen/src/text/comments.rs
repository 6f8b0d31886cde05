//! The comments on the elements of an API, by their full names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

use crate::model::tag;

/// The comments before elements (services, methods, messages, fields, enums, their values, oneofs), by
/// full names such as `pkg.Message.field`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comments {
    texts: BTreeMap<String, String>,
    elements: BTreeSet<String>,
}

impl Comments {
    /// Collects the comments in the files of a set.
    pub fn of(set: &FileDescriptorSet) -> Self {
        let mut comments = Self::default();
        for file in &set.file {
            let located = Located::new(file);
            each_element(file, &mut |name, path| {
                let text = located.comment(path);
                if !text.is_empty() {
                    comments.texts.insert(name.to_owned(), text);
                }
                comments.elements.insert(name.to_owned());
            });
        }
        comments
    }

    /// Adds another set's comments on elements that have none here.
    pub fn or(mut self, other: Self) -> Self {
        for (name, text) in other.texts {
            self.texts.entry(name).or_insert(text);
        }
        self.elements.extend(other.elements);
        self
    }

    /// Copies the comments on moved and renamed elements, and on everything in them, to their new names.
    pub fn moved(mut self, moved: &BTreeMap<String, String>) -> Self {
        for (old, new) in moved {
            let now = |name: &str| {
                let rest = name.strip_prefix(old.as_str())?;
                (rest.is_empty() || rest.starts_with('.')).then(|| format!("{new}{rest}"))
            };
            let texts =
                self.texts.iter().filter_map(|(name, text)| Some((now(name)?, text.clone())));
            for (name, text) in texts.collect::<Vec<_>>() {
                self.texts.entry(name).or_insert(text);
            }
            let elements = self.elements.iter().filter_map(|name| now(name));
            self.elements.extend(elements.collect::<Vec<_>>());
        }
        self
    }

    /// Returns whether an element has a comment.
    pub fn has(&self, name: &str) -> bool {
        self.texts.contains_key(name)
    }

    /// The elements of the sets that have no comment, sorted.
    pub fn undocumented(&self) -> Vec<String> {
        self.elements.iter().filter(|name| !self.has(name)).cloned().collect()
    }

    /// The comment on an element, with lines separated by `\n`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// The elements of a set that are missing in the sets that these comments come from, sorted,
    /// without the parts of other missing elements.
    pub fn unknown(&self, set: &FileDescriptorSet) -> Vec<String> {
        let mut unknown = BTreeSet::new();
        for file in &set.file {
            each_element(file, &mut |name, _| {
                let parent = name.rsplit_once('.').map_or("", |(parent, _)| parent);
                if !self.elements.contains(name) && !unknown.contains(parent) {
                    unknown.insert(name.to_owned());
                }
            });
        }
        unknown.into_iter().collect()
    }
}

/// The source information of a file, by paths.
pub(super) struct Located<'a>(HashMap<&'a [i32], &'a prost_types::source_code_info::Location>);

impl<'a> Located<'a> {
    pub(super) fn new(file: &'a FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        Self(locations.map(|location| (location.path.as_slice(), location)).collect())
    }

    /// The line where an element begins; implicit elements, such as the entry of a map, sort last.
    pub(super) fn line(&self, path: &[i32]) -> i32 {
        self.0.get(path).and_then(|location| location.span.first()).copied().unwrap_or(i32::MAX)
    }

    fn comment(&self, path: &[i32]) -> String {
        let Some(location) = self.0.get(path) else { return String::new() };
        let texts = [location.leading_comments(), location.trailing_comments()];
        let texts: Vec<_> = texts.into_iter().filter(|text| !text.trim().is_empty()).collect();
        texts.join("\n").trim_end().to_owned()
    }
}

/// Calls `see` with the full name and the path of each element.
fn each_element(file: &FileDescriptorProto, see: &mut dyn FnMut(&str, &[i32])) {
    let package = file.package();
    for (message, index) in file.message_type.iter().zip(0..) {
        message_elements(package, message, &[tag::FILE_MESSAGE, index], see);
    }
    for (enumeration, index) in file.enum_type.iter().zip(0..) {
        enum_elements(package, enumeration, &[tag::FILE_ENUM, index], see);
    }
    for (service, index) in file.service.iter().zip(0..) {
        let name = full(package, service.name());
        see(&name, &[tag::FILE_SERVICE, index]);
        for (method, number) in service.method.iter().zip(0..) {
            let path = [tag::FILE_SERVICE, index, tag::SERVICE_METHOD, number];
            see(&format!("{name}.{}", method.name()), &path);
        }
    }
}

fn message_elements(
    scope: &str,
    message: &DescriptorProto,
    path: &[i32],
    see: &mut dyn FnMut(&str, &[i32]),
) {
    // The entry of a map is implicit.
    if message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry) {
        return;
    }
    let name = full(scope, message.name());
    see(&name, path);
    for (field, index) in message.field.iter().zip(0..) {
        let path = [path, &[tag::MESSAGE_FIELD, index]].concat();
        see(&format!("{name}.{}", field.name()), &path);
    }
    for (oneof, index) in message.oneof_decl.iter().zip(0..) {
        let path = [path, &[tag::MESSAGE_ONEOF, index]].concat();
        see(&format!("{name}.{}", oneof.name()), &path);
    }
    for (nested, index) in message.nested_type.iter().zip(0..) {
        message_elements(&name, nested, &[path, &[tag::MESSAGE_MESSAGE, index]].concat(), see);
    }
    for (nested, index) in message.enum_type.iter().zip(0..) {
        enum_elements(&name, nested, &[path, &[tag::MESSAGE_ENUM, index]].concat(), see);
    }
}

fn enum_elements(
    scope: &str,
    enumeration: &EnumDescriptorProto,
    path: &[i32],
    see: &mut dyn FnMut(&str, &[i32]),
) {
    let name = full(scope, enumeration.name());
    see(&name, path);
    for (value, index) in enumeration.value.iter().zip(0..) {
        let path = [path, &[tag::ENUM_VALUE, index]].concat();
        see(&format!("{name}.{}", value.name()), &path);
    }
}

/// The full name of an element in a scope; a file without a package has an empty one.
pub(super) fn full(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}
