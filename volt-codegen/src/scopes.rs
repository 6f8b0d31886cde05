//! Resolves relative names by protobuf's rules.
//!
//! protox looks up the first part of a name among the packages of all files. protoc considers the file
//! itself, its imports and their public imports only. A file that protoc accepts may thus be refused,
//! if an unrelated file has a package with a similar name. Names that this module makes absolute need no
//! look-up.

use std::collections::{BTreeMap, HashMap, HashSet};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    UninterpretedOption,
};

/// The files by name.
pub(crate) type Files = BTreeMap<String, FileDescriptorProto>;

/// Makes all names absolute that protoc would find. Others remain as they are.
pub(crate) fn resolve(files: &Files) -> Files {
    let defined: HashMap<&str, Names> =
        files.iter().map(|(name, file)| (name.as_str(), Names::new(file))).collect();
    let resolved = files.iter().map(|(name, file)| {
        let visible = visible(file, files);
        let visible = visible.iter().filter_map(|name| defined.get(name)).collect();
        let mut file = file.clone();
        Scope { visible }.file(&mut file);
        (name.clone(), file)
    });
    resolved.collect()
}

/// The file itself, its imports and their public imports.
fn visible<'a>(file: &'a FileDescriptorProto, files: &'a Files) -> HashSet<&'a str> {
    let mut visible = HashSet::from([file.name()]);
    let mut open: Vec<&str> = file.dependency.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        if visible.insert(name)
            && let Some(file) = files.get(name)
        {
            let public = file.public_dependency.iter().filter_map(|index| {
                file.dependency.get(usize::try_from(*index).ok()?).map(String::as_str)
            });
            open.extend(public);
        }
    }
    visible
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A package, or a service: names may continue with their members.
    Parent,
    /// A message or an enum.
    Type,
    Extension,
}

/// What a file defines, by full name.
struct Names(HashMap<String, Kind>);

impl Names {
    fn new(file: &FileDescriptorProto) -> Self {
        let package = file.package();
        let mut names = Self(HashMap::new());
        let prefixes = package.match_indices('.').map(|(end, _)| &package[..end]);
        for prefix in prefixes.chain([package]).filter(|prefix| !prefix.is_empty()) {
            names.0.insert(prefix.to_owned(), Kind::Parent);
        }
        for service in &file.service {
            names.0.insert(join(package, service.name()), Kind::Parent);
        }
        names.add(package, &file.message_type, &file.enum_type, &file.extension);
        names
    }

    fn add(
        &mut self,
        prefix: &str,
        messages: &[DescriptorProto],
        enums: &[EnumDescriptorProto],
        extensions: &[FieldDescriptorProto],
    ) {
        for extension in extensions {
            self.0.insert(join(prefix, extension.name()), Kind::Extension);
        }
        for item in enums {
            self.0.insert(join(prefix, item.name()), Kind::Type);
        }
        for message in messages {
            let full = join(prefix, message.name());
            self.add(&full, &message.nested_type, &message.enum_type, &message.extension);
            self.0.insert(full, Kind::Type);
        }
    }
}

/// The names that one file can refer to.
struct Scope<'a> {
    visible: Vec<&'a Names>,
}

impl Scope<'_> {
    fn kind(&self, full: &str) -> Option<Kind> {
        self.visible.iter().find_map(|names| names.0.get(full).copied())
    }

    /// Makes a name absolute that an element in `scope` refers to.
    fn name(&self, name: &mut String, scope: &str, wanted: Kind) {
        if name.is_empty() || name.starts_with('.') {
            return;
        }
        let (first, rest) =
            name.split_once('.').map_or((name.as_str(), None), |(first, rest)| (first, Some(rest)));
        let scopes = scope.rmatch_indices('.').map(|(end, _)| &scope[..end]);
        let outer = (!scope.is_empty()).then_some("");
        for scope in [scope].into_iter().chain(scopes).chain(outer) {
            let candidate = join(scope, first);
            let full = match (self.kind(&candidate), rest) {
                (Some(kind), None) if kind == wanted => candidate,
                // The first part decides where the others are.
                (Some(Kind::Parent | Kind::Type), Some(rest)) => {
                    let full = format!("{candidate}.{rest}");
                    if self.kind(&full) != Some(wanted) {
                        return;
                    }
                    full
                }
                _ => continue,
            };
            *name = format!(".{full}");
            return;
        }
    }

    fn file(&self, file: &mut FileDescriptorProto) {
        let package = file.package().to_owned();
        for message in &mut file.message_type {
            self.message(&package, message);
        }
        for item in &mut file.enum_type {
            self.enumeration(&package, item);
        }
        self.fields(&package, &mut file.extension);
        if let Some(options) = &mut file.options {
            self.options(&package, &mut options.uninterpreted_option);
        }
        for service in &mut file.service {
            let full = join(&package, service.name());
            if let Some(options) = &mut service.options {
                self.options(&full, &mut options.uninterpreted_option);
            }
            for method in &mut service.method {
                for name in [&mut method.input_type, &mut method.output_type].into_iter().flatten()
                {
                    self.name(name, &full, Kind::Type);
                }
                if let Some(options) = &mut method.options {
                    self.options(&full, &mut options.uninterpreted_option);
                }
            }
        }
    }

    fn message(&self, prefix: &str, message: &mut DescriptorProto) {
        let full = join(prefix, message.name());
        self.fields(&full, &mut message.field);
        self.fields(&full, &mut message.extension);
        for nested in &mut message.nested_type {
            self.message(&full, nested);
        }
        for item in &mut message.enum_type {
            self.enumeration(&full, item);
        }
        if let Some(options) = &mut message.options {
            self.options(&full, &mut options.uninterpreted_option);
        }
        for oneof in &mut message.oneof_decl {
            if let Some(options) = &mut oneof.options {
                self.options(&full, &mut options.uninterpreted_option);
            }
        }
        for range in &mut message.extension_range {
            if let Some(options) = &mut range.options {
                self.options(&full, &mut options.uninterpreted_option);
            }
        }
    }

    fn fields(&self, scope: &str, fields: &mut [FieldDescriptorProto]) {
        for field in fields {
            for name in [&mut field.type_name, &mut field.extendee].into_iter().flatten() {
                self.name(name, scope, Kind::Type);
            }
            if let Some(options) = &mut field.options {
                self.options(scope, &mut options.uninterpreted_option);
            }
        }
    }

    fn enumeration(&self, prefix: &str, item: &mut EnumDescriptorProto) {
        let full = join(prefix, item.name());
        if let Some(options) = &mut item.options {
            self.options(&full, &mut options.uninterpreted_option);
        }
        for value in &mut item.value {
            if let Some(options) = &mut value.options {
                self.options(&full, &mut options.uninterpreted_option);
            }
        }
    }

    fn options(&self, scope: &str, options: &mut [UninterpretedOption]) {
        for part in options.iter_mut().flat_map(|option| &mut option.name) {
            if part.is_extension {
                self.name(&mut part.name_part, scope, Kind::Extension);
            }
        }
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}
