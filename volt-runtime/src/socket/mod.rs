//! The websocket that client and server share, the task that owns it, and the state around it.
//!
//! A [`Driver`] owns the websocket whole. It moves frames between the socket and a [`Machine`] behind a
//! lock ([`Shared`]), to which the tasks of calls have access as well. A [`Side`] adds what differs
//! between the ends: a server starts a task for each call that is opened, a client notices that its
//! connection is lost.
//!
//! `stream.rs` is the byte stream below, and `keepalive.rs` watches it for signs of life.

mod driver;
mod keepalive;
mod shared;
mod stream;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub use self::keepalive::Keepalive;
pub(crate) use self::{
    driver::{Driver, Protocol},
    shared::{Machine, Shared, Timeouts, machine, now},
    stream::{Counted, Stream, Traffic},
};
use crate::{Error, Result, proto::frame::Frame};

/// One end of a connection: its machine, and its hooks beyond frames and timeouts.
pub(crate) trait Side: Send + Unpin {
    /// The state machine of the client's or the server's end.
    type Machine: Machine;

    /// Returns the machine behind its lock, which the tasks of the calls share.
    fn shared(&self) -> &Shared<Self::Machine>;

    /// Accepts a frame.
    fn receive(&mut self, now: Instant, frame: Frame);

    /// Called when a part of a message has been received, but not all of it.
    fn arriving(&mut self, now: Instant) {
        let _ = now;
    }

    /// Called when the connection is lost. Fails every call with this reason.
    fn lost(&mut self, reason: &Error);
}

/// The protocol announced in TLS (ALPN): a websocket begins with HTTP/1.1.
#[cfg(feature = "tls")]
pub(crate) const ALPN: &[u8] = b"http/1.1";

/// The options of a driver.
pub(crate) struct DriverOptions {
    /// The timeout for closing: writing queued frames, and the peer's close frame.
    pub(crate) close_timeout: Duration,
    /// Detection of a peer that has vanished without closing the connection, if enabled.
    pub(crate) keepalive: Option<Keepalive>,
}

/// The number of bytes read from a socket at once. The websocket zeroes the buffer before each
/// read, so a large buffer slows small frames more than it speeds up large ones.
const READ_BUFFER: usize = 32 << 10;

/// The limits of the underlying websocket.
pub(crate) fn websocket_config(max_message_size: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(max_message_size))
        .max_frame_size(Some(max_message_size))
}

/// Returns the wall clock time in Unix seconds, for the validity of tokens.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// Reads a websocket message: text in the legacy protocol.
///
/// # Errors
///
/// Fails if the message's header cannot be read. Its call is then unknown, so the connection fails.
pub(crate) fn read_frame(message: bytes::Bytes, text: bool) -> Result<Frame> {
    let frame = if text { crate::proto::legacy::decode(message) } else { Frame::decode(message) };
    frame.map_err(|error| Error::protocol("a frame cannot be read").with_source(error))
}
