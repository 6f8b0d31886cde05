//! What holds for every input, tried with many that are made by chance.

#![allow(clippy::unwrap_used)]

mod client;
mod config;
mod server;
mod support;
mod token;
