//! What it means that a field has another type.

use prost_types::field_descriptor_proto::Type;

use super::Verdict;

/// How a type is shown.
pub(super) fn name(kind: Type) -> &'static str {
    match kind {
        Type::Double => "double",
        Type::Float => "float",
        Type::Int64 => "int64",
        Type::Uint64 => "uint64",
        Type::Int32 => "int32",
        Type::Fixed64 => "fixed64",
        Type::Fixed32 => "fixed32",
        Type::Bool => "bool",
        Type::String => "string",
        Type::Group => "group",
        Type::Message => "message",
        Type::Bytes => "bytes",
        Type::Uint32 => "uint32",
        Type::Enum => "enum",
        Type::Sfixed32 => "sfixed32",
        Type::Sfixed64 => "sfixed64",
        Type::Sint32 => "sint32",
        Type::Sint64 => "sint64",
    }
}

/// In binary protobuf: types whose bytes can be read as one another.
pub(super) fn on_wire(old: Type, new: Type) -> (Verdict, &'static str) {
    let class = |kind| match kind {
        Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Bool | Type::Enum => 1,
        Type::Sint32 | Type::Sint64 => 2,
        Type::Fixed32 | Type::Sfixed32 => 3,
        Type::Fixed64 | Type::Sfixed64 => 4,
        Type::String | Type::Bytes => 5,
        Type::Float => 6,
        Type::Double => 7,
        Type::Message | Type::Group => 8,
    };
    match (class(old), class(new)) {
        (5, 5) => (Verdict::Risky, "the same bytes, as long as they are UTF-8"),
        (old, new) if old == new => (Verdict::Risky, "read as the other; what does not fit is cut"),
        _ => (Verdict::Breaking, "its bytes mean something else"),
    }
}

/// In JSON: how a value is written.
pub(super) fn in_json(old: Type, new: Type) -> (Verdict, &'static str) {
    let class = |kind| match kind {
        Type::Int32 | Type::Uint32 | Type::Fixed32 | Type::Sfixed32 | Type::Sint32 => 1,
        Type::Int64 | Type::Uint64 | Type::Fixed64 | Type::Sfixed64 | Type::Sint64 => 2,
        Type::Float | Type::Double => 3,
        Type::Bool => 4,
        Type::String => 5,
        Type::Bytes => 6,
        Type::Enum => 7,
        Type::Message | Type::Group => 8,
    };
    match (class(old), class(new)) {
        (old, new) if old == new => (Verdict::Fine, ""),
        (1 | 2, 1 | 2) => {
            (Verdict::Risky, "64 bits are written as text; lenient readers take both")
        }
        (1..=3, 1..=3) => (Verdict::Risky, "a number still, which may not fit"),
        (1, 7) | (7, 1) => (Verdict::Risky, "a name instead of a number, or the reverse"),
        _ => (Verdict::Breaking, "written in another way"),
    }
}

/// The Rust type of a field's value.
pub(super) fn in_rust(kind: Type) -> &'static str {
    match kind {
        Type::Double => "f64",
        Type::Float => "f32",
        Type::Int32 | Type::Sint32 | Type::Sfixed32 => "i32",
        Type::Int64 | Type::Sint64 | Type::Sfixed64 => "i64",
        Type::Uint32 | Type::Fixed32 => "u32",
        Type::Uint64 | Type::Fixed64 => "u64",
        Type::Bool => "bool",
        Type::String => "String",
        Type::Bytes => "Vec<u8>",
        // A number in the struct, but with accessors by the enum's name.
        Type::Enum => "enum",
        Type::Message | Type::Group => "message",
    }
}
