//! Limits how deep messages nest, to what their binary form allows.
//!
//! Reading recurses, so a peer could otherwise exhaust the stack. `serde_json` limits the nesting of JSON,
//! but not every message that it accepts could be sent on in the binary form.
//!
//! The depth is a thread-local counter: serde's visitors have no place for it, and reading never awaits.

use std::cell::Cell;

use serde::de::Error;

/// The limit of prost for messages in messages.
const LIMIT: u32 = 100;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// A message that is being read. Dropping it leaves the message.
pub(super) struct Depth(());

/// Enters a message, or an entry of a map, which is one in the binary form.
pub(super) fn enter<E: Error>() -> Result<Depth, E> {
    let depth = DEPTH.get();
    if depth >= LIMIT {
        return Err(E::custom("messages are nested too deeply"));
    }
    DEPTH.set(depth + 1);
    Ok(Depth(()))
}

impl Drop for Depth {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}
