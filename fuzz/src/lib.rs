//! Shared parts of the fuzz targets: keys, messages and a service.

pub mod client;
pub mod documents;
pub mod invoke;
pub mod provider;
pub mod router;
pub mod server;
pub mod sql;

use std::{panic, sync::Once};

/// A frame with any content.
pub fn frame(kind: u8, call: u64, body: &[u8]) -> Vec<u8> {
    [&[1, kind][..], &call.to_be_bytes(), body].concat()
}

/// The library of documents panics on some updates. The code under test catches these panics, and
/// the fuzzer must not end because of them. Any other panic is a finding, and so is an uncaught
/// one.
fn permit_caught_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let abort = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !info.location().is_some_and(|at| at.file().contains("/yrs-")) {
                abort(info);
            }
        }));
    });
}
