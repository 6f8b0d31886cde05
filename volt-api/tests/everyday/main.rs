//! Tests the helpers for everyday work against the embedded Volt and in-process mocks.

#![allow(clippy::unwrap_used)]

#[cfg(feature = "by-name")]
mod by_name;
mod errors;
mod files;
mod follow;
mod local_files;
mod mocks;
mod renewal;
mod resources;
mod sql;
mod support;
mod transports;
mod versions;
mod wires;
