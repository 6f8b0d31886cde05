//! Updates in their second encoding, as the client and the embedded Volt read and write them.
//!
//! The Yjs library neither bounds what it allocates for an update nor how deep it recurses, and what it
//! writes about gaps cannot be read. So every update that others sent is checked before the library reads
//! it, and every update is written here.

mod check;
mod columns;
mod gapped;
mod nesting;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use self::{
    check::{Summary, Unfit, check, check_state_vector},
    columns::{Bytes, Malformed},
    gapped::Gapped,
    nesting::{MAX_NESTING, Nesting},
    writer::{deletions_alone, encode, merge, missing, of_transaction},
};

/// Runs code of the Yjs library on data of others. Returns `None` if that made it panic.
pub fn caught<T>(code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code)).ok()
}
