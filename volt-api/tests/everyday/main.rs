//! Tests the helpers for everyday work against the embedded Volt and in-process mocks.

#![allow(clippy::unwrap_used)]

mod files;
mod follow;
mod mocks;
mod renewal;
mod resources;
mod sql;
mod support;
mod wires;
