//! The server's side of a connection, independent of the transport of its frames.
//!
//! It is the shell around `proto::server`: the machine keeps the state of the calls, this module runs them.
//! [`ServerSide`] accepts frames and spawns a task for each call that one opens (`call.rs`). The frames
//! come from a websocket's driver, from a [`Tunnel`], or from a test.
//!
//! [`ServiceHost`] is what all connections of a server share: identity, services, authenticator, limits.
//! `admission.rs` bounds what connections without a session hold, `relay.rs` hands calls for other hosts to
//! a [`RelayHandler`], `forwards.rs` shares the places of those hosts among clients without a session,
//! `shares.rs` bounds the calls within the streams of a gRPC connection, and `refs.rs` has
//! the references that keep the machine alive for the calls' tasks.

#[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only websockets are counted"))]
mod addresses;
#[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only websockets are counted"))]
mod admission;
mod call;
mod forwards;
mod host;
mod options;
mod refs;
mod relay;
#[cfg_attr(
    not(all(feature = "server", feature = "grpc")),
    expect(dead_code, reason = "only gRPC has such streams")
)]
mod shares;
mod side;
mod tunnel;

pub(in crate::server) use self::shares::StreamLimits;
#[cfg(feature = "server")]
pub(in crate::server) use self::{
    addresses::{Addresses, Place},
    admission::{Admission, Newcomers},
};
pub use self::{
    host::ServiceHost,
    options::{AllowedOrigins, ServerOptions},
    relay::{RelayHandler, RelayedCall},
    side::ServerSide,
    tunnel::Tunnel,
};
#[cfg(all(feature = "server", feature = "grpc"))]
pub(in crate::server) use self::{refs::next_number, shares::Shares};
