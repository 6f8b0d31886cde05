//! What both shells share: a websocket, one task that owns it, and the queues around that.

mod driver;
mod keepalive;
mod stream;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub use self::keepalive::Keepalive;
pub(crate) use self::{
    driver::{Driver, Link, Protocol},
    stream::Stream,
};
use crate::{Overflow, proto::frame::Frame, queue::Queue};

/// One side's knowledge of its calls, which the driver asks where frames go.
pub(crate) trait Side: Send + Unpin {
    type Call: CallSlot;

    /// Whether this side answers calls. Whoever opens calls then has to take the answers: none is
    /// read while too much waits to be written.
    const ANSWERS: bool;

    /// Takes a frame. What it returns is put into that call's inbox; `None` when there is nothing
    /// left to do, as for a call that nobody knows.
    fn route(&mut self, frame: Frame) -> Option<(Arc<Self::Call>, Bytes)>;

    /// The connection is gone: every call fails for this reason.
    fn lost(&mut self, reason: &crate::Error);
}

/// What the driver knows of a call.
pub(crate) trait CallSlot: Send + Sync {
    /// Where frame bodies go.
    fn inbox(&self) -> &Queue<Bytes>;

    /// What to do when that is full.
    fn overflow(&self) -> Overflow;

    /// It stayed full for too long: fail the call.
    fn overflowed(&self);
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
