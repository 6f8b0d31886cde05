//! Tests the embedded Volt as its clients see it, over a websocket and gRPC.

#![allow(clippy::unwrap_used)]

mod attacks;
mod authenticate;
mod blobs;
mod compatibility;
mod connect;
mod connections;
mod csv;
mod discovery;
mod documents;
mod ends;
mod files;
mod grpc;
mod hosting;
mod invoke;
mod legacy;
mod lifecycle;
mod memory;
mod presence;
mod relays;
mod restarts;
mod rows;
mod sessions;
mod sql;
mod strangers;
mod support;
mod synapses;
mod tls;
mod wires;

/// Generated clients and servers of a service that is not one of the Volt's.
#[path = "../../../volt-codegen/tests/golden/mod.rs"]
#[rustfmt::skip]
mod shop;
