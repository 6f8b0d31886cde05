//! Calls that are for somebody else.

use std::{fmt, future::poll_fn, sync::Arc};

use super::call::{CallState, Entry};
use crate::{
    Result,
    proto::{handshake::Via, token::Token, tunnel::TunnelFrame},
    queue::Popped,
    socket::CallSlot as _,
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
    state: Arc<CallState>,
}

impl RelayedCall {
    pub(super) fn new(entry: Entry, state: Arc<CallState>) -> Self {
        Self { entry, state }
    }

    /// The next frame of the caller, or `None` when the caller is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn receive(&self) -> Option<TunnelFrame> {
        match poll_fn(|cx| self.state.inbox().poll_pop(cx)).await {
            Popped::Item(body) => {
                let frame = TunnelFrame::from_caller(body).ok()?;
                if frame.is_last() {
                    self.state.half_closed();
                }
                Some(frame)
            }
            Popped::Closed(_) => None,
        }
    }

    /// Sends a frame of the target to the caller, as soon as the connection has room.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub async fn send(&self, frame: &TunnelFrame) -> Result<()> {
        poll_fn(|cx| self.entry.connection().link.poll_room(cx)).await?;
        self.write(frame);
        Ok(())
    }

    /// Turns the call away. The reason travels unencrypted.
    pub fn reject(self, reason: impl Into<String>) {
        self.write(&TunnelFrame::Rejected(reason.into()));
    }

    fn write(&self, frame: &TunnelFrame) {
        match frame.to_caller(self.entry.id()) {
            Ok(bytes) => self.entry.connection().link.send(bytes),
            Err(error) => tracing::warn!(%error, "a frame cannot be passed on"),
        }
    }
}

impl fmt::Debug for RelayedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayedCall").field("call", &self.entry.id()).finish_non_exhaustive()
    }
}
