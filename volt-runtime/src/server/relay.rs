//! Calls that are for somebody else.

use std::{fmt, future::poll_fn};

use super::connection::Entry;
use crate::{
    Result,
    proto::{handshake::Via, token::Token, tunnel::TunnelFrame},
};

/// Passes calls on to those who are connected here, such as the hosts of services.
pub trait RelayHandler: Send + Sync + 'static {
    /// Takes a call, at once; what is passed on is passed on by a task of the relay's own.
    ///
    /// The token is valid now, and nothing else about it has been checked: it is for the target.
    /// `via` is the way that is left, the target last.
    fn relay(&self, token: &Token, via: &Via, call: RelayedCall);
}

/// The caller's end of a call that is passed on. Dropping it forgets the call.
pub struct RelayedCall {
    entry: Entry,
}

impl RelayedCall {
    pub(super) fn new(entry: Entry) -> Self {
        Self { entry }
    }

    /// The next frame of the caller, or `None` when the caller is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn receive(&self) -> Option<TunnelFrame> {
        let id = self.entry.call().id();
        let body =
            poll_fn(|cx| self.entry.call().with(|machine| machine.poll_read(id, cx))).await.ok()?;
        let frame = TunnelFrame::from_caller(body).ok()?;
        if frame.is_last() {
            self.entry.call().with(|machine| machine.half_closed(id));
        }
        Some(frame)
    }

    /// Sends a frame of the target to the caller, as soon as the connection has room.
    ///
    /// # Errors
    ///
    /// When the connection is lost.
    pub async fn send(&self, frame: &TunnelFrame) -> Result<()> {
        poll_fn(|cx| self.entry.call().with(|machine| machine.poll_room(cx))).await?;
        self.write(frame);
        Ok(())
    }

    /// Rejects the call. The reason travels unencrypted.
    pub fn reject(self, reason: impl Into<String>) {
        self.write(&TunnelFrame::Rejected(reason.into()));
    }

    fn write(&self, frame: &TunnelFrame) {
        match frame.to_caller(self.entry.call().id()) {
            Ok(bytes) => self.entry.call().with(|machine| machine.transmit(bytes)),
            Err(error) => tracing::warn!(%error, "a frame cannot be passed on"),
        }
    }
}

impl fmt::Debug for RelayedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayedCall").field("call", &self.entry.call().id()).finish_non_exhaustive()
    }
}
