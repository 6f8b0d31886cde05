//! The websocket client: a connection, which is made again when it is lost, and the calls on it.

mod ahead;
mod call;
mod connect;
mod connection;
mod dial;
#[cfg(feature = "fuzzing")]
mod end;
mod ends;
mod halves;
mod options;
mod passes;
mod reach;
mod supervisor;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;

#[cfg(feature = "fuzzing")]
pub use self::end::ClientEnd;
pub use self::{connect::connect, options::ConnectOptions};
