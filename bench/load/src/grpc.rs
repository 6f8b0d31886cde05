//! The gRPC service of the tonic peer.

// Generated code.
#![allow(clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/bench.Load.rs"));
