//! Compares two versions of an API and reports which peers each change affects.
//!
//! Elements are matched by their full names. A field or value that kept its number and type under
//! another name was renamed; a service, message or enum that kept its name and part of its contents
//! in another package was moved.
//!
//! The effects on the binary form follow protobuf's guide for updating a message type
//! (<https://protobuf.dev/programming-guides/proto3/#updating>), and those on the JSON form its
//! mapping (<https://protobuf.dev/programming-guides/json/>): a conforming reader also accepts
//! numbers as text, and names in either spelling, but rejects a number in place of a list.
//!
//! The effects on Rust code are those on the generated code: a message that no longer implements `Copy` breaks
//! code, an enum value whose variant keeps its name does not.

mod compare;
mod count;
mod effects;
mod enums;
mod fields;
mod generated;
mod inventory;
mod kind;
mod moves;
mod proposals;
mod render;
mod report;
mod rust;
mod types;
mod usage;

use prost_types::FileDescriptorSet;

use self::{compare::Compared, inventory::Inventory, rust::Rust};
pub use self::{
    kind::Kind,
    report::{Change, Clients, Count, Effect, Report, Surface, Verdict},
};
use crate::{Error, Options};

/// Compares two versions of an API, and the code that the options generate from them. Files of
/// `google/protobuf/` are excluded. An element with a declared [former name](Options::former_name) is the renamed one.
///
/// # Errors
///
/// Fails if code cannot be generated from one of the versions; see [`generate`](crate::generate).
pub fn diff(
    old: &FileDescriptorSet,
    new: &FileDescriptorSet,
    options: &Options,
) -> Result<Report, Error> {
    let code = [Rust::new(old, options)?, Rust::new(new, options)?];
    let (old, new) = (Inventory::new(old), Inventory::new(new));
    let Compared { mut changes, mut renames, methods } =
        compare::compare(&old, &new, &options.former);
    generated::complete(&mut changes, &renames, code.each_ref(), |item| {
        let now = renames.get(item).map_or(item, String::as_str);
        new.file(now).unwrap_or_default().to_owned()
    });
    let proposals = proposals::proposals(&old, &new, &changes, &renames);
    report::sort(&mut changes);
    // Not earlier: the generated code contains them under their former names, too.
    renames.extend(methods);
    Ok(Report { changes, counts: count::counts(&old, &new), renames, proposals })
}
