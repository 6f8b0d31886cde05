//! What changed between two versions of an API, and for whom.
//!
//! Elements are matched by their full names. A field or value that kept its number and type under
//! another name was renamed; a service, message or enum that kept its name and some of what is in it
//! in another package was moved.
//!
//! What a change means to the binary form is judged by what protobuf's guide says of updating a
//! message type (<https://protobuf.dev/programming-guides/proto3/#updating>), and to the JSON form by
//! its mapping (<https://protobuf.dev/programming-guides/json/>): a reader that keeps to that takes
//! numbers as text too, and names in either spelling, but refuses a number where it expects a list.

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

use std::collections::BTreeMap;

use prost_types::FileDescriptorSet;

pub use self::report::{Change, Clients, Count, Effect, Report, Surface, Verdict};

/// Compares two versions of an API. Files of `google/protobuf/` are left out.
pub fn diff(old: &FileDescriptorSet, new: &FileDescriptorSet) -> Report {
    compare::compare(&inventory::Inventory::new(old), &inventory::Inventory::new(new))
}

/// The services, messages and enums that were moved: their new full names by the old ones.
pub fn moved(old: &FileDescriptorSet, new: &FileDescriptorSet) -> BTreeMap<String, String> {
    moves::moved(&inventory::Inventory::new(old), &inventory::Inventory::new(new))
}
