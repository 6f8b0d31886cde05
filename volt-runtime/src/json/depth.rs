//! Limits how deeply messages nest, as their binary form does.
//!
//! Reading recurses, so a peer could otherwise exhaust the stack. `serde_json` limits the nesting of JSON,
//! but not every message that it accepts could be sent on in the binary form.
//!
//! Writing recurses too. A message in memory was built or decoded within limits, but each
//! `google.protobuf.Any` is decoded again while it is written. Messages within one are therefore counted
//! when they are written.
//!
//! Everything that can be written can be read, and vice versa. The count of messages therefore restarts at
//! the outermost `google.protobuf.Any`, whose messages the binary form does not count either, and the
//! objects and lists of the whole text have one limit, that of `serde_json`.
//!
//! The depths are thread-local counters: serde's visitors have no place for them, and neither reading nor
//! writing awaits.

use std::cell::Cell;

use serde::{de, ser};

use super::usual::{self, Unusual};

/// The limit of prost for messages in messages.
const LIMIT: u32 = 100;
/// The number of `google.protobuf.Any` that may be inside each other: each level is read once more.
const ANY_LIMIT: u32 = 16;
/// The depth of nested objects and lists that `serde_json` reads.
pub(super) const JSON_LIMIT: u8 = 127;
pub(super) const TOO_DEEP: &str = "messages are nested too deeply";

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static ANY_DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// A message that is being read or written. Dropping it leaves the message.
pub(super) struct Depth(());

/// Enters a message that is read, or an entry of a map, which is one in the binary form.
pub(super) fn enter<E: de::Error>() -> Result<Depth, E> {
    count().ok_or_else(|| E::custom(TOO_DEEP))
}

/// Enters a message or a map that is written, if that is within a `google.protobuf.Any`.
pub(super) fn enter_within_any<E: ser::Error>() -> Result<Option<Depth>, E> {
    if usual::is_usual() || ANY_DEPTH.get() == 0 {
        return Ok(None);
    }
    count().map(Some).ok_or_else(|| E::custom(TOO_DEEP))
}

fn count() -> Option<Depth> {
    let depth = DEPTH.get();
    if depth >= LIMIT {
        return None;
    }
    DEPTH.set(depth + 1);
    Some(Depth(()))
}

impl Drop for Depth {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// A `google.protobuf.Any` that is being read or written. Dropping it leaves the value.
pub(super) struct AnyDepth {
    /// The number of messages around it.
    around: u32,
    _unusual: Unusual,
}

/// Enters a `google.protobuf.Any`.
pub(super) fn enter_any() -> Result<AnyDepth, String> {
    let depth = ANY_DEPTH.get();
    if depth >= ANY_LIMIT {
        return Err(format!("more than {ANY_LIMIT} `google.protobuf.Any` are nested"));
    }
    ANY_DEPTH.set(depth + 1);
    let around = DEPTH.get();
    if depth == 0 {
        DEPTH.set(0);
    }
    Ok(AnyDepth { around, _unusual: Unusual::new() })
}

impl Drop for AnyDepth {
    fn drop(&mut self) {
        ANY_DEPTH.set(ANY_DEPTH.get() - 1);
        DEPTH.set(self.around);
    }
}
