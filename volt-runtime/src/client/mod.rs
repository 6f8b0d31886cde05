//! The websocket client: a connection, and the calls on it.

mod call;
mod connect;
mod connection;
mod dial;
mod reach;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;

pub use self::connect::{ConnectOptions, connect};
