//! Resolves relative names by protobuf's rules, and removes options that do not matter here.
//!
//! protox looks up the first part of a name among the packages of all files. protoc considers the file
//! itself, its imports and their public imports only. A file that protoc accepts may thus be refused,
//! if an unrelated file has a package with a similar name. Names that this module makes absolute need
//! no lookup. A mistake in an option that the generator does not need is ignored.

use std::collections::{BTreeMap, HashMap, HashSet};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    UninterpretedOption,
};

/// The files by name.
pub(crate) type Files = BTreeMap<String, FileDescriptorProto>;

/// Makes all type names that protoc would find absolute, and removes options that do not matter.
/// Other names remain as they are.
pub(crate) fn resolve(files: Files) -> Files {
    let defined: HashMap<String, Names> =
        files.iter().map(|(name, file)| (name.clone(), Names::new(file))).collect();
    let resolved = files.into_iter().map(|(name, mut file)| {
        let visible = visible(&name, &file.dependency, &defined);
        Scope { visible }.file(&mut file);
        (name, file)
    });
    resolved.collect()
}

/// The names that the file itself, its imports and their public imports define.
fn visible<'a>(
    name: &str,
    imports: &[String],
    defined: &'a HashMap<String, Names>,
) -> Vec<&'a Names> {
    let mut seen = HashSet::from([name]);
    let mut visible: Vec<&Names> = defined.get(name).into_iter().collect();
    let mut open: Vec<&str> = imports.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        if let Some((name, names)) = defined.get_key_value(name)
            && !seen.contains(name.as_str())
        {
            seen.insert(name);
            visible.push(names);
            open.extend(names.public.iter().map(String::as_str));
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
}

/// The names that a file defines.
struct Names {
    /// The kinds by full name.
    kinds: HashMap<String, Kind>,
    /// The public imports.
    public: Vec<String>,
}

impl Names {
    fn new(file: &FileDescriptorProto) -> Self {
        let package = file.package();
        let public = file.public_dependency.iter();
        let public = public.filter_map(|index| file.dependency.get(usize::try_from(*index).ok()?));
        let mut names = Self { kinds: HashMap::new(), public: public.cloned().collect() };
        let prefixes = package.match_indices('.').map(|(end, _)| &package[..end]);
        for prefix in prefixes.chain([package]).filter(|prefix| !prefix.is_empty()) {
            names.kinds.insert(prefix.to_owned(), Kind::Parent);
        }
        for service in &file.service {
            names.kinds.insert(join(package, service.name()), Kind::Parent);
        }
        names.add(package, &file.message_type, &file.enum_type);
        names
    }

    fn add(&mut self, prefix: &str, messages: &[DescriptorProto], enums: &[EnumDescriptorProto]) {
        for item in enums {
            self.kinds.insert(join(prefix, item.name()), Kind::Type);
        }
        for message in messages {
            let full = join(prefix, message.name());
            self.add(&full, &message.nested_type, &message.enum_type);
            self.kinds.insert(full, Kind::Type);
        }
    }
}

/// The names that one file can refer to.
struct Scope<'a> {
    visible: Vec<&'a Names>,
}

impl Scope<'_> {
    fn kind(&self, full: &str) -> Option<Kind> {
        self.visible.iter().find_map(|names| names.kinds.get(full).copied())
    }

    /// Makes a name absolute that an element in `scope` refers to.
    fn name(&self, name: &mut String, scope: &str) {
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
                (Some(Kind::Type), None) => candidate,
                // The first part decides where the others are.
                (Some(Kind::Parent | Kind::Type), Some(rest)) => {
                    let full = format!("{candidate}.{rest}");
                    if self.kind(&full) != Some(Kind::Type) {
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
            enumeration(item);
        }
        self.fields(&package, &mut file.extension);
        if let Some(options) = &mut file.options {
            strip(&mut options.uninterpreted_option);
        }
        for service in &mut file.service {
            let full = join(&package, service.name());
            if let Some(options) = &mut service.options {
                strip(&mut options.uninterpreted_option);
            }
            for method in &mut service.method {
                for name in [&mut method.input_type, &mut method.output_type].into_iter().flatten()
                {
                    self.name(name, &full);
                }
                if let Some(options) = &mut method.options {
                    strip(&mut options.uninterpreted_option);
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
            enumeration(item);
        }
        if let Some(options) = &mut message.options {
            strip(&mut options.uninterpreted_option);
        }
        for oneof in &mut message.oneof_decl {
            if let Some(options) = &mut oneof.options {
                strip(&mut options.uninterpreted_option);
            }
        }
        for range in &mut message.extension_range {
            if let Some(options) = &mut range.options {
                strip(&mut options.uninterpreted_option);
            }
        }
    }

    fn fields(&self, scope: &str, fields: &mut [FieldDescriptorProto]) {
        for field in fields {
            for name in [&mut field.type_name, &mut field.extendee].into_iter().flatten() {
                self.name(name, scope);
            }
            if let Some(options) = &mut field.options {
                strip(&mut options.uninterpreted_option);
            }
        }
    }
}

fn enumeration(item: &mut EnumDescriptorProto) {
    if let Some(options) = &mut item.options {
        strip(&mut options.uninterpreted_option);
    }
    for value in &mut item.value {
        if let Some(options) = &mut value.options {
            strip(&mut options.uninterpreted_option);
        }
    }
}

/// The options that matter here.
const KEPT: [&str; 6] =
    ["allow_alias", "deprecated", "idempotency_level", "jstype", "map_entry", "packed"];

/// Returns whether an option matters here.
pub(crate) fn is_kept(option: &UninterpretedOption) -> bool {
    match option.name.as_slice() {
        [part] => !part.is_extension && KEPT.contains(&part.name_part.as_str()),
        _ => false,
    }
}

/// Removes all other options: those that extensions declare, and those of newer versions of protobuf.
fn strip(options: &mut Vec<UninterpretedOption>) {
    options.retain(is_kept);
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// Removes imports, and renumbers those that are public. No import is weak afterwards.
pub(crate) fn retain_imports(file: &mut FileDescriptorProto, is_kept: impl Fn(&str) -> bool) {
    let mut imports = Vec::new();
    let mut public = Vec::new();
    for (import, index) in std::mem::take(&mut file.dependency).into_iter().zip(0..) {
        if !is_kept(&import) {
            continue;
        }
        if file.public_dependency.contains(&index) {
            public.extend(i32::try_from(imports.len()));
        }
        imports.push(import);
    }
    file.dependency = imports;
    file.public_dependency = public;
    file.weak_dependency.clear();
}
