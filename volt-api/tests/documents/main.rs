//! Tests attached documents against a model of a Volt that can misbehave, in this process, and against the
//! embedded Volt.

#![allow(clippy::unwrap_used)]

mod awareness;
mod embedded;
#[path = "../everyday/support.rs"]
#[allow(dead_code, reason = "made for the tests of everyday work")]
mod everyday;
mod faults;
mod model;
mod support;
mod synapses;
mod together;
