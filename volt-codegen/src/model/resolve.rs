//! Finds the Rust path of every message and enum of a descriptor set.

use std::collections::{BTreeMap, HashMap};

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

use super::{Module, Renames, RustPath, TypeRef};
use crate::{Options, bundled, names, options::VOLT_API_TYPES, source::is_builtin};

/// All types by full name.
pub(super) struct Types(HashMap<String, Type>);

#[derive(Clone)]
pub(super) struct Type {
    pub(super) ty: TypeRef,
    /// The top-level message or enum which contains it, or which it is.
    pub(super) outermost: String,
}

impl Types {
    pub(super) fn new(set: &FileDescriptorSet, options: &Options, renames: &Renames) -> Self {
        let mut types = Self(HashMap::new());
        for file in &set.file {
            let scope = Scope {
                module: module(renames.of(file.package(), file.package()), options),
                prefix: file.package().to_owned(),
                outermost: None,
                options,
                renames,
                is_builtin: is_builtin(file.name()),
            };
            types.add(&scope, &file.message_type, &file.enum_type);
        }
        types
    }

    /// The paths of all types that are not generated, by full name.
    pub(super) fn externs(&self) -> BTreeMap<String, String> {
        let externs = self.0.iter().filter_map(|(name, found)| match &found.ty.path {
            RustPath::Extern(path) => Some((name.clone(), path.clone())),
            RustPath::Local(..) => None,
        });
        externs.collect()
    }

    /// All types, by full name.
    pub(super) fn all(&self) -> HashMap<String, TypeRef> {
        self.0.iter().map(|(name, found)| (name.clone(), found.ty.clone())).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Type> {
        self.0.get(name)
    }

    fn add(
        &mut self,
        scope: &Scope<'_>,
        messages: &[DescriptorProto],
        enums: &[EnumDescriptorProto],
    ) {
        for item in enums {
            self.insert(scope, item.name());
        }
        for message in messages {
            self.insert(scope, message.name());
            let full = join(&scope.prefix, message.name());
            let inside = Scope {
                module: scope.module.child(&names::snake(scope.renames.of(&full, message.name()))),
                outermost: Some(scope.outermost.clone().unwrap_or_else(|| full.clone())),
                prefix: full,
                ..*scope
            };
            self.add(&inside, &message.nested_type, &message.enum_type);
        }
    }

    fn insert(&mut self, scope: &Scope<'_>, name: &str) {
        let full = join(&scope.prefix, name);
        let path = match extern_path(&full, scope.options) {
            Some(path) => RustPath::Extern(path),
            None if is_well_known(&full) => RustPath::Extern(well_known(&full)),
            // prost has no type for it.
            None if scope.is_builtin => return,
            None => {
                let ident = names::upper_camel(scope.renames.of(&full, name));
                RustPath::Local(scope.module.clone(), ident)
            }
        };
        let outermost = scope.outermost.clone().unwrap_or_else(|| full.clone());
        let ty = TypeRef { name: full.clone(), path };
        self.0.insert(full, Type { ty, outermost });
    }
}

struct Scope<'a> {
    module: Module,
    prefix: String,
    outermost: Option<String>,
    options: &'a Options,
    renames: &'a Renames,
    /// Whether the file is one of protobuf's own.
    is_builtin: bool,
}

/// Returns whether the services of a file are generated, and not defined elsewhere.
pub(super) fn serves(file: &FileDescriptorProto, options: &Options) -> bool {
    let package = file.package();
    let mut prefixes = package.match_indices('.').map(|(end, _)| &package[..end]).chain([package]);
    let mapped = prefixes.find(|prefix| options.extern_paths.contains_key(*prefix));
    mapped.is_none_or(|prefix| is_ours(prefix, options) && !bundled::contains(file.name()))
}

/// Returns whether a package is mapped to the crate `volt-api`, which has only the types of its own
/// `.proto` files.
fn is_ours(package: &str, options: &Options) -> bool {
    options.extern_paths.get(package).is_some_and(|path| path == VOLT_API_TYPES)
}

/// Returns whether a type is not generated, but prost's own or mapped by the options.
pub(super) fn is_defined_elsewhere(name: &str, options: &Options) -> bool {
    is_well_known(name) || extern_path(name, options).is_some()
}

/// Returns whether a type is one of prost's own.
pub(super) fn is_well_known(name: &str) -> bool {
    const TYPES: &[&str] = &[
        "Any",
        "Api",
        "BoolValue",
        "BytesValue",
        "DescriptorProto",
        "DoubleValue",
        "Duration",
        "Empty",
        "Enum",
        "EnumDescriptorProto",
        "EnumOptions",
        "EnumValue",
        "EnumValueDescriptorProto",
        "EnumValueOptions",
        "ExtensionRangeOptions",
        "Field",
        "FieldDescriptorProto",
        "FieldMask",
        "FieldOptions",
        "FileDescriptorProto",
        "FileDescriptorSet",
        "FileOptions",
        "FloatValue",
        "GeneratedCodeInfo",
        "Int32Value",
        "Int64Value",
        "ListValue",
        "MessageOptions",
        "Method",
        "MethodDescriptorProto",
        "MethodOptions",
        "Mixin",
        "NullValue",
        "OneofDescriptorProto",
        "OneofOptions",
        "Option",
        "ServiceDescriptorProto",
        "ServiceOptions",
        "SourceCodeInfo",
        "SourceContext",
        "StringValue",
        "Struct",
        "Syntax",
        "Timestamp",
        "Type",
        "UInt32Value",
        "UInt64Value",
        "UninterpretedOption",
        "Value",
    ];
    const COMPILER: &[&str] = &["CodeGeneratorRequest", "CodeGeneratorResponse", "Version"];
    let Some(name) = name.strip_prefix("google.protobuf.") else { return false };
    let (name, types) = match name.strip_prefix("compiler.") {
        Some(name) => (name, COMPILER),
        None => (name, TYPES),
    };
    types.contains(&name.split('.').next().unwrap_or(name))
}

/// The module of a package.
pub(super) fn module(package: &str, options: &Options) -> Module {
    let below = package.strip_prefix(&options.root).filter(|rest| rest.starts_with('.'));
    Module(
        below
            .unwrap_or(package)
            .split('.')
            .filter(|part| !part.is_empty())
            .map(names::snake)
            .collect(),
    )
}

/// A full name.
pub(super) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// The path of a type that the options map elsewhere: the longest prefix wins.
fn extern_path(name: &str, options: &Options) -> Option<String> {
    let paths = &options.extern_paths;
    if let Some(path) = paths.get(name) {
        return Some(path.clone());
    }
    let mut ends = name.rmatch_indices('.').map(|(end, _)| end);
    let (prefix, path, rest) =
        ends.find_map(|end| Some((&name[..end], paths.get(&name[..end])?, &name[end + 1..])))?;
    if is_ours(prefix, options) && !bundled::has_type(name) {
        return None;
    }
    let (modules, ident) = rest.rsplit_once('.').unwrap_or(("", rest));
    let modules = modules.split('.').filter(|part| !part.is_empty()).map(names::snake);
    let parts: Vec<String> =
        [path.clone()].into_iter().chain(modules).chain([names::upper_camel(ident)]).collect();
    Some(parts.join("::"))
}

/// Prost's type for a type of `google.protobuf`.
fn well_known(name: &str) -> String {
    let short = name.strip_prefix("google.protobuf.").unwrap_or(name);
    let prost = crate::emit::code::PROST;
    match short {
        "BoolValue" => "bool".to_owned(),
        "BytesValue" => format!("{prost}::alloc::vec::Vec<u8>"),
        "DoubleValue" => "f64".to_owned(),
        "Empty" => "()".to_owned(),
        "FloatValue" => "f32".to_owned(),
        "Int32Value" => "i32".to_owned(),
        "Int64Value" => "i64".to_owned(),
        "StringValue" => format!("{prost}::alloc::string::String"),
        "UInt32Value" => "u32".to_owned(),
        "UInt64Value" => "u64".to_owned(),
        _ => {
            let (modules, ident) = short.rsplit_once('.').unwrap_or(("", short));
            let modules = modules.split('.').filter(|part| !part.is_empty()).map(names::snake);
            let parts: Vec<String> = [crate::emit::code::PROST_TYPES.to_owned()]
                .into_iter()
                .chain(modules)
                .chain([names::upper_camel(ident)])
                .collect();
            parts.join("::")
        }
    }
}
