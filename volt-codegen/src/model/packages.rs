//! Locates packages and their types: in generated modules, or elsewhere.

use prost_types::FileDescriptorProto;

use crate::{Options, bundled, names, options::VOLT_API_TYPES};

/// A Rust module, as its path from the root of the generated code.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Module(pub(crate) Vec<String>);

impl Module {
    /// The module `name` inside this one.
    #[must_use]
    pub(crate) fn child(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([name.to_owned()]).collect())
    }
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
    // Newer versions of the files have further types, which prost lacks.
    const NESTED: &[&str] = &[
        "CodeGeneratorResponse.Feature",
        "CodeGeneratorResponse.File",
        "DescriptorProto.ExtensionRange",
        "DescriptorProto.ReservedRange",
        "EnumDescriptorProto.EnumReservedRange",
        "Field.Cardinality",
        "Field.Kind",
        "FieldDescriptorProto.Label",
        "FieldDescriptorProto.Type",
        "FieldOptions.CType",
        "FieldOptions.JSType",
        "FileOptions.OptimizeMode",
        "GeneratedCodeInfo.Annotation",
        "MethodOptions.IdempotencyLevel",
        "SourceCodeInfo.Location",
        "UninterpretedOption.NamePart",
    ];
    const COMPILER: &[&str] = &["CodeGeneratorRequest", "CodeGeneratorResponse", "Version"];
    let Some(name) = name.strip_prefix("google.protobuf.") else { return false };
    let (name, types) = match name.strip_prefix("compiler.") {
        Some(name) => (name, COMPILER),
        None => (name, TYPES),
    };
    types.contains(&name) || NESTED.contains(&name)
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
pub(super) fn extern_path(name: &str, options: &Options) -> Option<String> {
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
