//! Properties that hold for every input, tested with random ones.

#![allow(clippy::unwrap_used)]

mod client;
mod config;
mod server;
mod support;
mod token;
