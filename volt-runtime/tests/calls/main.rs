//! Calls of all four kinds, over a websocket, over gRPC and in process: their guarantees with and without
//! failures.

#![allow(clippy::unwrap_used)]

mod ahead;
mod close_frames;
mod damaged;
mod dialing;
mod failures;
mod faults;
mod grpc;
mod hostile;
mod hostile_volt;
mod http;
mod intercept;
mod kinds;
mod legacy;
mod lifetime;
mod limits;
mod load;
mod own;
mod reconnecting;
mod renewal;
mod shutdown;
mod sizes;
mod support;
mod testing;
mod tls;
