//! The embedded Volt, as its clients see it: over a websocket.

#![allow(clippy::unwrap_used)]

mod connect;
mod csv;
mod discovery;
mod files;
mod lifecycle;
mod sessions;
mod sql;
mod support;
mod wires;
