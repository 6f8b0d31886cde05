//! The server's side of a connection, independent of the transport of its frames.

#[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only websockets are counted"))]
mod admission;
mod call;
mod host;
mod options;
mod refs;
mod relay;
mod side;
mod tunnel;

#[cfg(feature = "server")]
pub(in crate::server) use self::admission::{Admission, Newcomers};
#[cfg(all(feature = "server", feature = "grpc"))]
pub(in crate::server) use self::refs::next_number;
pub use self::{
    host::ServiceHost,
    options::{AllowedOrigins, ServerOptions},
    relay::{RelayHandler, RelayedCall},
    side::ServerSide,
    tunnel::Tunnel,
};
