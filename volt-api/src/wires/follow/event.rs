//! The events of a follower, and its starting point.

use std::{borrow::Cow, time::SystemTime};

/// One message of a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WireMessage {
    /// The id in the wire's table, which increases. `None` if the wire does not persist.
    pub id: Option<i64>,
    /// The DID of the publisher, if the wire's table has it.
    pub publisher: Option<String>,
    /// The time at which the Volt stored the message, if the wire's table has it.
    pub time: Option<SystemTime>,
    /// The message.
    pub payload: Vec<u8>,
}

impl WireMessage {
    /// The message as text. Bytes that are not valid UTF-8 become replacement characters.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.payload)
    }
}

/// An event of a [`Follower`](super::Follower).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireEvent {
    /// The next message.
    Message(WireMessage),
    /// All stored messages were delivered; what follows is new. Reported at first, and again after a
    /// lost connection.
    CaughtUp,
    /// Messages may be missing here. On a wire that does not persist, the connection was lost, or messages
    /// were read too slowly. On a wire that persists, stored messages were deleted, and newer ones may
    /// have their ids.
    Gap,
}

/// The first message to deliver.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// The next one.
    Now,
    /// The one after this id.
    After(i64),
}
