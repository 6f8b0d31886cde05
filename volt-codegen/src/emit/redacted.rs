//! Generates `Debug` for messages with secrets: it shows whether a secret is set, but not its
//! value.

use std::fmt::Write as _;

use super::{
    code::{RT, TABLES_DEPTH},
    paths::Paths,
};
use crate::model::{Field, Label, Message};

/// Returns whether a field of the message itself is a secret, which prost's `Debug` would print.
pub(super) fn has_secret(message: &Message) -> bool {
    message.fields.iter().any(|field| field.secret && !is_in_oneof(field))
}

/// Returns whether a variant of a oneof is a secret.
pub(super) fn oneof_has_secret(message: &Message, index: usize) -> bool {
    message.fields.iter().any(|field| field.secret && is_variant_of(field, index))
}

/// The tables of `Debug` for a message and its oneofs, for which prost derives none.
pub(super) fn tables(out: &mut String, message: &Message, paths: &Paths<'_>) {
    // Writing to a `String` cannot fail.
    if has_secret(message) {
        let ty = paths.of(&message.ty, TABLES_DEPTH);
        let _ = writeln!(out, "{RT}::redacted! {{ struct {ty} = {:?} {{", message.ident);
        for field in message.fields.iter().filter(|field| !is_in_oneof(field)) {
            let _ = writeln!(out, "    {} {};", how(field), field.ident);
        }
        for oneof in &message.oneofs {
            let _ = writeln!(out, "    shown {};", oneof.ident);
        }
        let _ = writeln!(out, "}} }}\n");
    }
    for (index, oneof) in message.oneofs.iter().enumerate() {
        if !oneof_has_secret(message, index) {
            continue;
        }
        let _ = writeln!(out, "{RT}::redacted! {{ enum {} {{", paths.of(&oneof.ty, TABLES_DEPTH));
        for field in message.fields.iter().filter(|field| is_variant_of(field, index)) {
            if let Label::Oneof { variant, .. } = &field.label {
                let _ = writeln!(out, "    {} {variant};", how(field));
            }
        }
        let _ = writeln!(out, "}} }}\n");
    }
}

fn how(field: &Field) -> &'static str {
    if field.secret { "hidden" } else { "shown" }
}

fn is_in_oneof(field: &Field) -> bool {
    matches!(field.label, Label::Oneof { .. })
}

fn is_variant_of(field: &Field, index: usize) -> bool {
    matches!(field.label, Label::Oneof { index: of, .. } if of == index)
}
