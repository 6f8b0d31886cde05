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
// Tests have a build with TLS, and look at what one without would say.
#[cfg(any(test, not(feature = "tls")))]
#[cfg_attr(feature = "tls", expect(dead_code, reason = "tests need a part of it"))]
mod no_tls;
mod options;
mod passes;
mod reach;
mod supervisor;
#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "fuzzing")]
pub use self::end::ClientEnd;
#[cfg(not(feature = "tls"))]
use self::no_tls as tls;
pub use self::{connect::connect, options::ConnectOptions};
