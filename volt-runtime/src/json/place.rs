//! Names the field that an error is about.
//!
//! The path grows as an error passes through nested messages: `field `a.b.c`: …`.

use std::fmt::Display;

use serde::{de, ser};

/// An error while a field was read, with its name.
// Marked cold: errors are rare, and this code stays out of the loops over fields.
#[cold]
pub(super) fn within<E: de::Error>(names: &[&str], index: usize, error: &E) -> E {
    E::custom(located(names.get(index).copied().unwrap_or_default(), error))
}

/// The error for a duplicate field.
#[cold]
#[inline(never)]
pub(super) fn twice<E: de::Error>(names: &[&str], index: usize) -> E {
    within(names, index, &E::custom("it occurs twice"))
}

/// An error while a field was written, with its name.
#[cold]
pub(super) fn writing<E: ser::Error>(name: &str, error: &E) -> E {
    E::custom(located(name, error))
}

/// `serde_json` parses the line and the column from the end of the text, and keeps them.
fn located(name: &str, error: &dyn Display) -> String {
    let error = error.to_string();
    match error.strip_prefix("field `") {
        // The field contains the one named so far.
        Some(rest) => format!("field `{name}.{rest}"),
        None => format!("field `{name}`: {error}"),
    }
}
