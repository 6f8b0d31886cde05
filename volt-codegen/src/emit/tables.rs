//! Generates the tables of messages and enums: one line for each field and value. The runtime's
//! macros expand them to all code except the struct.

use std::fmt::Write as _;

use super::{
    code::{RT, TABLES_DEPTH},
    paths::Paths,
    redacted,
};
use crate::{
    model::{Enum, Field, FieldKind, Label, Message, Scalar},
    names,
};

/// The tables of a message and of all its nested types.
pub(super) fn message(out: &mut String, message: &Message, paths: &Paths<'_>) {
    for message in message.with_nested() {
        table(out, message, paths);
        redacted::tables(out, message, paths);
    }
    for nested in message.nested_enums() {
        enumeration(out, nested, paths);
    }
}

/// The names of an enum's values.
pub(super) fn enumeration(out: &mut String, item: &Enum, paths: &Paths<'_>) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "{RT}::enumeration! {{ {} {{", paths.of(&item.ty, TABLES_DEPTH));
    for value in item.values.iter().filter(|value| !value.alias) {
        let _ = write!(out, "    {:?}", value.name);
        for alias in item.values.iter().filter(|alias| alias.alias && alias.number == value.number)
        {
            let _ = write!(out, " | {:?}", alias.name);
        }
        let _ = writeln!(out, " {};", value.ident);
    }
    let _ = writeln!(out, "}} }}\n");
}

fn table(out: &mut String, message: &Message, paths: &Paths<'_>) {
    let ty = paths.of(&message.ty, TABLES_DEPTH);
    let refuses = message.status_field.and_then(|index| message.fields.get(index));
    let refuses = refuses.map(|field| match &field.label {
        Label::Oneof { index, variant } => {
            let oneof = &message.oneofs[*index];
            format!(
                " refuses [{} as {}::{variant}]",
                oneof.ident,
                paths.of(&oneof.ty, TABLES_DEPTH)
            )
        }
        _ => format!(" refuses [{}]", field.ident),
    });
    let refuses = refuses.unwrap_or_default();
    let _ = writeln!(out, "{RT}::message! {{ {ty} = {:?}{refuses};", message.name);
    for (index, field) in message.fields.iter().enumerate() {
        let deprecated = if field.deprecated { "#[deprecated] " } else { "" };
        let (written, other) = json_names(message, field);
        let other = other.map(|name| format!(" | {name:?}")).unwrap_or_default();
        let (kind, target) = (kind(message, field, paths), target(message, field));
        let _ = writeln!(
            out,
            "    {deprecated}{index} {written:?}{other} [{kind}] {target} {};",
            field.setter
        );
    }
    let _ = writeln!(out, "}}\n");
    for field in message.fields.iter().filter(|field| needs_accessors(field)) {
        if let FieldKind::Map(key, held) = &field.kind
            && let FieldKind::Enum(held) = &**held
        {
            let _ = writeln!(
                out,
                "{RT}::enum_map! {{ {ty} {{ {} get_{name} insert_{name} {}, {} }} }}\n",
                field.ident,
                scalar(*key),
                paths.of(held, TABLES_DEPTH),
                name = names::bare(&field.ident),
            );
        }
    }
    if message.is_status {
        let _ = writeln!(out, "{RT}::status! {{ {ty} }}\n");
    }
}

/// The name of a field in JSON, and an alternative name that is read too. The name in the `.proto` is
/// not used if it is the JSON name of another field.
fn json_names<'a>(message: &'a Message, field: &'a Field) -> (&'a str, Option<&'a str>) {
    let (own, json) = (field.name.as_str(), field.json_name.as_str());
    if own == json || json.is_empty() {
        return (own, None);
    }
    let is_taken = message.fields.iter().any(|other| other.json_name == own);
    if is_taken { (json, None) } else { (own, Some(json)) }
}

/// Returns whether a map of enums has a Rust keyword as its name. prost's derive then fails, so the
/// struct declares a map of numbers, and the accessors are ours.
pub(super) fn needs_accessors(field: &Field) -> bool {
    let of_enums =
        matches!(&field.kind, FieldKind::Map(_, held) if matches!(**held, FieldKind::Enum(_)));
    of_enums && field.ident.starts_with("r#")
}

/// The name of the struct's field.
fn target<'a>(message: &'a Message, field: &'a Field) -> &'a str {
    match &field.label {
        Label::Oneof { index, .. } => &message.oneofs[*index].ident,
        _ => &field.ident,
    }
}

/// The kind of a field, in the macro's syntax.
fn kind(message: &Message, field: &Field, paths: &Paths<'_>) -> String {
    if let FieldKind::Map(key, held) = &field.kind {
        return format!("map {}, {}", scalar(*key), value(held, paths));
    }
    let held = value(&field.kind, paths);
    let boxed = if field.boxed { "boxed " } else { "" };
    let is_message = matches!(field.kind, FieldKind::Message(_) | FieldKind::WellKnown(_));
    match &field.label {
        Label::Oneof { index, variant } => {
            let oneof = paths.of(&message.oneofs[*index].ty, TABLES_DEPTH);
            format!("oneof {oneof}::{variant}, {boxed}{held}")
        }
        Label::Repeated => format!("repeated {held}"),
        Label::Required => format!("required {boxed}{held}"),
        _ if field.boxed => format!("boxed {held}"),
        Label::Optional => format!("optional {held}"),
        Label::Singular if is_message => format!("optional {held}"),
        Label::Singular => held,
    }
}

fn value(kind: &FieldKind, paths: &Paths<'_>) -> String {
    match kind {
        FieldKind::Scalar(kind) => scalar(*kind).to_owned(),
        FieldKind::WellKnown(ty) if ty.is_any() => match paths.any_types(TABLES_DEPTH) {
            Some(types) => format!("any {types}"),
            None => format!("message {}", paths.of(ty, TABLES_DEPTH)),
        },
        FieldKind::Message(ty) | FieldKind::WellKnown(ty) => {
            format!("message {}", paths.of(ty, TABLES_DEPTH))
        }
        FieldKind::Enum(ty) if ty.name == "google.protobuf.NullValue" => "null".to_owned(),
        FieldKind::Enum(ty) => format!("named {}", paths.of(ty, TABLES_DEPTH)),
        // Maps cannot be nested.
        FieldKind::Map(..) => String::new(),
    }
}

fn scalar(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Double => "f64",
        Scalar::Float => "f32",
        Scalar::Int32 => "i32",
        Scalar::Int64 => "i64",
        Scalar::Uint32 => "u32",
        Scalar::Uint64 => "u64",
        Scalar::Bool => "bool",
        Scalar::String => "string",
        Scalar::Bytes => "bytes",
    }
}
