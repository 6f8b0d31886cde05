//! Compares two versions of an API and reports whom each change affects.
//!
//! Elements are matched by their full names. A field or value that kept its number and type under
//! another name was renamed; a service, message or enum that kept its name and part of its contents
//! in another package was moved.
//!
//! The effects on the binary form follow protobuf's guide for updating a message type
//! (<https://protobuf.dev/programming-guides/proto3/#updating>), and those on the JSON form its
//! mapping (<https://protobuf.dev/programming-guides/json/>): a conforming reader also accepts
//! numbers as text, and names in either spelling, but rejects a number in place of a list.

mod compare;
mod count;
mod effects;
mod enums;
mod fields;
mod inventory;
mod moves;
mod render;
mod report;
mod types;
mod usage;

use prost_types::FileDescriptorSet;

pub use self::report::{Change, Clients, Count, Effect, Report, Surface, Verdict};

/// Compares two versions of an API. Files of `google/protobuf/` are excluded.
pub fn diff(old: &FileDescriptorSet, new: &FileDescriptorSet) -> Report {
    compare::compare(&inventory::Inventory::new(old), &inventory::Inventory::new(new))
}
