//! The effects of a changed type.

use prost_types::field_descriptor_proto::Type;

use super::{
    effects::Trouble,
    inventory::{Field, Shape},
};

/// The name of a type in reports.
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

/// Binary protobuf: types whose encodings are compatible.
pub(super) fn on_wire(old: Type, new: Type) -> Trouble {
    let class = |kind| match kind {
        Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Bool | Type::Enum => 1,
        Type::Sint32 | Type::Sint64 => 2,
        Type::Fixed32 | Type::Sfixed32 => 3,
        Type::Fixed64 | Type::Sfixed64 => 4,
        Type::String | Type::Bytes => 5,
        Type::Float => 6,
        Type::Double => 7,
        Type::Message => 8,
        Type::Group => 9,
    };
    let text = "bytes that are not UTF-8 are refused";
    match (old, new) {
        (Type::String, Type::Bytes) => Trouble::risky(text).in_new_data(),
        (Type::Bytes, Type::String) => Trouble::breaking(text).in_old_data(),
        _ if class(old) == class(new) => fitting(old, new, "values that do not fit are cut"),
        _ => Trouble::breaking("its bytes mean something else"),
    }
}

/// Binary protobuf: whether two types are framed alike, so that one is read as the other.
/// Otherwise, readers refuse the message.
pub(super) fn is_framed_alike(old: &Field, new: &Field) -> bool {
    let frame = |field: &Field| match field.value.kind {
        _ if field.packed || matches!(field.shape, Shape::Map(_)) => 2,
        Type::Fixed64 | Type::Sfixed64 | Type::Double => 1,
        Type::String | Type::Bytes | Type::Message => 2,
        Type::Group => 3,
        Type::Fixed32 | Type::Sfixed32 | Type::Float => 5,
        _ => 0,
    };
    frame(old) == frame(new)
}

/// JSON: the form of a value.
pub(super) fn in_json(old: Type, new: Type) -> Trouble {
    use Class::{Enum, Float, Integer, Long, Other, Text};

    let fraction = || Trouble::breaking("a fraction is not an integer");
    let name = || Trouble::breaking("a name where a number is expected");
    let any = || Trouble::breaking("any text where a name is expected");
    let size = "values that do not fit are refused";
    match (class(old), class(new)) {
        (Integer, Integer) | (Long, Long) | (Float, Float) => fitting(old, new, size),
        // Readers of protobuf's JSON accept numbers and text.
        (Integer, Long) | (Long, Integer) => {
            fitting(old, new, "values that do not fit are refused; 64 bits are written as text")
        }
        (Integer | Long, Float) => fraction().in_new_data(),
        (Float, Integer | Long) => fraction().in_old_data(),
        // An enum may be written as a number, but not as a quoted one.
        (Integer, Enum) => name().in_new_data(),
        (Enum, Integer) => name().in_old_data(),
        (Enum, Text) => any().in_new_data(),
        (Text, Enum) => any().in_old_data(),
        (Other(old), Other(new)) if old == new => Trouble::none(),
        _ => Trouble::breaking("written differently"),
    }
}

/// JSON: the keys of maps, which are all written as text.
pub(super) fn in_json_keys(old: Type, new: Type) -> Trouble {
    let text = || Trouble::breaking("any text where a number is expected");
    match (class(old), class(new)) {
        (Class::Integer | Class::Long, Class::Integer | Class::Long) => {
            fitting(old, new, "values that do not fit are refused")
        }
        (Class::Text, _) => text().in_old_data(),
        (_, Class::Text) => text().in_new_data(),
        _ => Trouble::breaking("written differently"),
    }
}

/// Rust: the types of fields.
pub(super) fn in_rust(old: Type, new: Type) -> Trouble {
    if rust(old) == rust(new) { Trouble::none() } else { Trouble::breaking("another type") }
}

/// The form of a value in JSON.
enum Class {
    Integer,
    /// A 64-bit integer, which is written as text.
    Long,
    Float,
    Enum,
    Text,
    Other(&'static str),
}

fn class(kind: Type) -> Class {
    match kind {
        Type::Int32 | Type::Uint32 | Type::Fixed32 | Type::Sfixed32 | Type::Sint32 => {
            Class::Integer
        }
        Type::Int64 | Type::Uint64 | Type::Fixed64 | Type::Sfixed64 | Type::Sint64 => Class::Long,
        Type::Float | Type::Double => Class::Float,
        Type::Enum => Class::Enum,
        Type::String => Class::Text,
        Type::Bool | Type::Bytes | Type::Message => Class::Other(name(kind)),
        Type::Group => Class::Other(name(Type::Message)),
    }
}

/// Numbers of the same kind, whose ranges may differ.
fn fitting(old: Type, new: Type, why: &'static str) -> Trouble {
    match (fits(old, new), fits(new, old)) {
        (true, true) => Trouble::none(),
        (true, false) => Trouble::risky(why).in_new_data(),
        (false, true) => Trouble::risky(why).in_old_data(),
        (false, false) => Trouble::risky(why),
    }
}

/// Returns whether every value of one type is a value of the other.
fn fits(kind: Type, other: Type) -> bool {
    let ((signed, bits), (other_signed, other_bits)) = (range(kind), range(other));
    match (signed, other_signed) {
        (true, false) => false,
        (false, true) => bits < other_bits,
        _ => bits <= other_bits,
    }
}

/// Returns whether a number is signed, and its number of bits including the sign.
fn range(kind: Type) -> (bool, u32) {
    match kind {
        Type::Bool => (false, 1),
        Type::Uint32 | Type::Fixed32 => (false, 32),
        Type::Uint64 | Type::Fixed64 => (false, 64),
        Type::Int32 | Type::Sint32 | Type::Sfixed32 | Type::Enum | Type::Float => (true, 32),
        _ => (true, 64),
    }
}

fn rust(kind: Type) -> &'static str {
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
        // A number in the struct, but its accessors use the enum's name.
        Type::Enum => "enum",
        Type::Message | Type::Group => "message",
    }
}
