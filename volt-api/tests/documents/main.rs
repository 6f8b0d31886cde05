//! Tests attached documents against a model of a Volt that can misbehave, in this process, and against the
//! embedded Volt.

#![allow(clippy::unwrap_used)]

mod awareness;
mod embedded;
mod faults;
mod model;
mod stored;
mod support;
mod synapses;
mod together;
