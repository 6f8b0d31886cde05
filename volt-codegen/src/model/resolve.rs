//! Finds the Rust path of every message and enum of a descriptor set.

use std::collections::{BTreeMap, HashMap};

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

use super::{Module, RustPath, TypeRef};
use crate::{Options, names};

/// The package for whose messages prost has its own types.
const WELL_KNOWN: &str = "google.protobuf";

/// All types by full name.
pub(super) struct Types(HashMap<String, Type>);

#[derive(Clone)]
pub(super) struct Type {
    pub(super) ty: TypeRef,
    pub(super) is_enum: bool,
    /// The top-level message or enum which contains it, or which it is.
    pub(super) outermost: String,
}

impl Types {
    pub(super) fn new(set: &FileDescriptorSet, options: &Options) -> Self {
        let mut types = Self(HashMap::new());
        for file in &set.file {
            let scope = Scope {
                package: file.package(),
                module: module(file.package(), options),
                prefix: file.package().to_owned(),
                outermost: None,
                options,
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
            self.insert(scope, item.name(), true);
        }
        for message in messages {
            self.insert(scope, message.name(), false);
            let full = join(&scope.prefix, message.name());
            let inside = Scope {
                package: scope.package,
                module: scope.module.child(&names::snake(message.name())),
                outermost: Some(scope.outermost.clone().unwrap_or_else(|| full.clone())),
                prefix: full,
                options: scope.options,
            };
            self.add(&inside, &message.nested_type, &message.enum_type);
        }
    }

    fn insert(&mut self, scope: &Scope<'_>, name: &str, is_enum: bool) {
        let full = join(&scope.prefix, name);
        let path = match extern_path(&full, &scope.options.extern_paths) {
            Some(path) => RustPath::Extern(path),
            None if scope.package == WELL_KNOWN => RustPath::Extern(well_known(&full)),
            None => RustPath::Local(scope.module.clone(), names::upper_camel(name)),
        };
        let outermost = scope.outermost.clone().unwrap_or_else(|| full.clone());
        let ty = TypeRef { name: full.clone(), path };
        self.0.insert(full, Type { ty, is_enum, outermost });
    }
}

struct Scope<'a> {
    package: &'a str,
    module: Module,
    prefix: String,
    outermost: Option<String>,
    options: &'a Options,
}

/// Returns whether code is generated for a file, and not defined elsewhere.
pub(super) fn is_generated(file: &FileDescriptorProto, options: &Options) -> bool {
    let package = file.package();
    let mut prefixes = package.match_indices('.').map(|(end, _)| &package[..end]).chain([package]);
    package != WELL_KNOWN && !prefixes.any(|prefix| options.extern_paths.contains_key(prefix))
}

/// Returns whether a type is one of prost's own.
pub(super) fn is_well_known(name: &str) -> bool {
    name.strip_prefix(WELL_KNOWN).is_some_and(|rest| rest.starts_with('.'))
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
fn extern_path(name: &str, paths: &BTreeMap<String, String>) -> Option<String> {
    if let Some(path) = paths.get(name) {
        return Some(path.clone());
    }
    let mut ends = name.rmatch_indices('.').map(|(end, _)| end);
    let (path, rest) = ends.find_map(|end| Some((paths.get(&name[..end])?, &name[end + 1..])))?;
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
