//! The `.proto` files of the Volt API, which are part of this crate.

/// The API files of this crate's version, by the names under which they are imported.
pub const VOLT_API: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// Returns whether this is the name of such a file.
pub(crate) fn contains(name: &str) -> bool {
    VOLT_API.iter().any(|(bundled, _)| *bundled == name)
}
