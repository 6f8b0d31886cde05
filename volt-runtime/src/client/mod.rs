//! The websocket client: a connection, re-established when it is lost, and the calls on it.

mod call;
mod connect;
mod connection;
mod dial;
mod identity;
// Tests are built with TLS, and also check the errors of a build without it.
#[cfg(any(test, not(feature = "tls")))]
#[cfg_attr(feature = "tls", expect(dead_code, reason = "tests need a part of it"))]
mod no_tls;
mod options;
mod reach;
mod supervisor;
#[cfg(feature = "tls")]
mod tls;

#[cfg(not(feature = "tls"))]
use self::no_tls as tls;
pub use self::{connection::Connection, options::ConnectOptions, supervisor::connect};
