//! Updates in their second encoding, as the client and the embedded Volt read and write them.
//!
//! The Yjs library limits neither its allocations for an update nor its recursion, and updates that
//! it writes with gaps cannot be read. Therefore every received update is checked before the
//! library reads it, and every update is written here.

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

/// Runs code of the Yjs library on received data. Returns `None` if that made it panic.
pub fn caught<T>(code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code)).ok()
}
