//! Tests attached documents against a model of a Volt that can misbehave, in this process.

#![allow(clippy::unwrap_used)]

mod awareness;
mod faults;
mod model;
mod support;
mod synapses;
mod together;
