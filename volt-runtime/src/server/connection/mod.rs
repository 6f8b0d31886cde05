//! The server's side of a connection, independent of the transport of its frames.

mod call;
mod host;
mod refs;
mod relay;
mod side;
mod tunnel;

pub use self::{
    host::{ServerOptions, ServiceHost},
    relay::{RelayHandler, RelayedCall},
    side::ServerSide,
    tunnel::Tunnel,
};
