//! Checks a request against its descriptor, before it is converted.
//!
//! The conversion reports the first mistake without its position. This walk finds unknown names,
//! reports their position, and suggests the nearest name.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value;

use super::suggest::did_you_mean;

/// Returns a description of the first unknown name.
pub(super) fn names(message: &MessageDescriptor, value: &Value) -> Result<(), String> {
    message_at("", message, value)
}

fn message_at(path: &str, message: &MessageDescriptor, value: &Value) -> Result<(), String> {
    // The JSON of these is not an object of their fields.
    if message.full_name().starts_with("google.protobuf.") {
        return Ok(());
    }
    let Value::Object(fields) = value else {
        return Err(format!("{} must be an object: a `{}`", shown(path), message.full_name()));
    };
    for (name, value) in fields {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let field =
            message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name));
        let Some(field) = field else {
            let known: Vec<_> = message.fields().collect();
            let names = known.iter().map(FieldDescriptor::name);
            return Err(format!(
                "`{path}` is not a field of `{}`{}",
                message.full_name(),
                did_you_mean(name, names)
            ));
        };
        field_at(&path, &field, value)?;
    }
    Ok(())
}

fn field_at(path: &str, field: &FieldDescriptor, value: &Value) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    if field.is_map() {
        let Value::Object(entries) = value else {
            return Err(format!("{} must be an object: a map", shown(path)));
        };
        let Kind::Message(entry) = field.kind() else { return Ok(()) };
        let of = entry.map_entry_value_field();
        return entries
            .iter()
            .try_for_each(|(key, value)| value_at(&format!("{path}.{key}"), &of.kind(), value));
    }
    if field.is_list() {
        let Value::Array(items) = value else {
            return Err(format!("{} must be a list", shown(path)));
        };
        let mut items = items.iter().enumerate();
        return items.try_for_each(|(index, value)| {
            value_at(&format!("{path}[{index}]"), &field.kind(), value)
        });
    }
    value_at(path, &field.kind(), value)
}

fn value_at(path: &str, kind: &Kind, value: &Value) -> Result<(), String> {
    match (kind, value) {
        (Kind::Message(message), _) => message_at(path, message, value),
        (Kind::Enum(enumeration), Value::String(name)) => enum_at(path, enumeration, name),
        _ => scalar_at(path, kind, value),
    }
}

/// The conversion checks that text is a number or base64. The value is not quoted: it may be a secret.
fn scalar_at(path: &str, kind: &Kind, value: &Value) -> Result<(), String> {
    let whole = |value: &Value| match value {
        Value::Number(_) => true,
        Value::String(text) => text.parse::<i128>().is_ok(),
        _ => false,
    };
    let (fits, expected) = match kind {
        Kind::Bool => (value.is_boolean(), "true or false"),
        Kind::String => (value.is_string(), "text"),
        Kind::Bytes => (value.is_string(), "bytes as base64"),
        Kind::Float | Kind::Double => (value.is_number() || value.is_string(), "a number"),
        Kind::Enum(_) => (value.is_number(), "the name or number of an enum's value"),
        Kind::Message(_) => (true, ""),
        _ => (whole(value), "a whole number"),
    };
    if fits { Ok(()) } else { Err(format!("{} must be {expected}", shown(path))) }
}

fn enum_at(path: &str, enumeration: &EnumDescriptor, name: &str) -> Result<(), String> {
    if enumeration.full_name() == "google.protobuf.NullValue"
        || enumeration.get_value_by_name(name).is_some()
    {
        return Ok(());
    }
    let values: Vec<_> = enumeration.values().collect();
    let names = values.iter().map(prost_reflect::EnumValueDescriptor::name);
    Err(format!(
        "`{name}` at `{path}` is not a value of `{}`{}",
        enumeration.full_name(),
        did_you_mean(name, names)
    ))
}

fn shown(path: &str) -> String {
    if path.is_empty() { "the request".to_owned() } else { format!("`{path}`") }
}
