//! Finds the Rust path of every message and enum of a descriptor set.

use std::collections::{BTreeMap, HashMap};

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

use super::{
    RustPath, TypeRef,
    packages::{Module, extern_path, is_well_known, join, module},
    renames::Renames,
};
use crate::{Options, names, source::is_builtin};

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
    /// Set if the file is one of protobuf's own.
    is_builtin: bool,
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
