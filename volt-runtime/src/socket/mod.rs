//! What both shells share: a websocket, one task that owns it, and the queues around that.

mod driver;
mod keepalive;
mod shared;
mod stream;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub use self::keepalive::Keepalive;
pub(crate) use self::{
    driver::{Driver, Protocol},
    shared::{Machine, Shared, Timeouts, machine, now},
    stream::Stream,
};
use crate::{Error, Result, proto::frame::Frame};

/// One end of a connection: its machine, and what belongs to it beyond frames and timeouts.
pub(crate) trait Side: Send + Unpin {
    type Machine: Machine;

    fn shared(&self) -> &Shared<Self::Machine>;

    /// Accepts a frame.
    fn receive(&mut self, now: Instant, frame: Frame);

    /// The connection is lost: every call fails for this reason.
    fn lost(&mut self, reason: &Error);
}

/// The protocol that TLS is told will be spoken: a websocket begins with HTTP/1.1.
#[cfg(feature = "tls")]
pub(crate) const ALPN: &[u8] = b"http/1.1";

/// How a driver treats its peer.
pub(crate) struct DriverOptions {
    /// How long closing may take: writing what is queued, and the peer's answer.
    pub(crate) close_timeout: Duration,
    /// How a peer that is gone without a word is noticed, if at all.
    pub(crate) keepalive: Option<Keepalive>,
}

/// How much is read from a socket at once. The websocket clears that much before each read, however
/// little there is to read, so that a large buffer costs small frames more than it saves large ones.
const READ_BUFFER: usize = 32 << 10;

/// Limits of the websocket below.
pub(crate) fn websocket_config(max_message_size: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(max_message_size))
        .max_frame_size(Some(max_message_size))
}

/// The time of day, which tokens are valid by.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// Reads a websocket message: text in the legacy protocol.
///
/// # Errors
///
/// When its header cannot be read. No one can say to which call it belongs, so the connection fails.
pub(crate) fn read_frame(message: bytes::Bytes, text: bool) -> Result<Frame> {
    let frame = if text { crate::proto::legacy::decode(message) } else { Frame::decode(message) };
    frame.map_err(|error| Error::protocol("a frame cannot be read").with_source(error))
}
