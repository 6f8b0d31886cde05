//! Shared parts of the fuzz targets: keys, messages and a service.

pub mod client;
pub mod documents;
pub mod invoke;
pub mod provider;
pub mod router;
pub mod server;
pub mod sql;

/// A frame with any content.
pub fn frame(kind: u8, call: u64, body: &[u8]) -> Vec<u8> {
    [&[1, kind][..], &call.to_be_bytes(), body].concat()
}
