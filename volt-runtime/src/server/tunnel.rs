//! An endpoint whose calls come over somebody else's connection, frame by frame.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use super::{
    ServiceHost,
    connection::{Late, ServerSide},
};
use crate::{
    Error, Overflow,
    proto::{ProtocolError, frame::Frame, tunnel::TunnelFrame},
    queue::Popped,
    socket::{CallSlot as _, Link, Side as _},
};

/// Runs the calls that a relay passes on to an endpoint. Cloning gives another handle.
///
/// It knows nothing of how frames travel: whoever holds it [delivers](Self::deliver) what arrives
/// and sends on what [comes out](Self::next_frame).
#[derive(Clone)]
pub struct Tunnel {
    side: Arc<Mutex<ServerSide>>,
    link: Arc<Link>,
}

impl Tunnel {
    /// A tunnel to an endpoint. Calls run as tasks of the current tokio runtime.
    pub fn new(endpoint: Arc<ServiceHost>) -> Self {
        let link = Link::new();
        let side = Arc::new(Mutex::new(ServerSide::new(endpoint, Arc::clone(&link))));
        Self { side, link }
    }

    /// Takes a frame of call number `call`. Waits while that call has no room, within the limit that
    /// the endpoint's options set; after that the call fails.
    ///
    /// # Errors
    ///
    /// When the frame is damaged or is none that a caller sends; other calls are not concerned.
    pub async fn deliver(&self, call: u64, frame: &TunnelFrame) -> Result<(), ProtocolError> {
        let frame = frame.to_target(call)?;
        if frame.kind.opens() {
            // Whoever opens calls has to take the answers. A tunnel that is closed takes nothing.
            let _ = poll_fn(|cx| self.link.poll_room(cx)).await;
        }
        let Some((state, body)) = self.route(frame) else { return Ok(()) };
        let room = poll_fn(|cx| state.inbox().poll_room(cx).map(drop));
        let limit = match state.overflow() {
            Overflow::Fail => Duration::ZERO,
            Overflow::Wait(limit) => limit,
        };
        if tokio::time::timeout(limit, room).await.is_err() {
            state.overflowed();
        }
        let bytes = body.len();
        state.inbox().push(body, bytes);
        Ok(())
    }

    fn route(&self, frame: Frame) -> Option<(Arc<super::call::CallState>, Bytes)> {
        self.side.lock().unwrap_or_else(PoisonError::into_inner).route(frame)
    }

    /// The next frame to send on, with the number of its call; `None` once the tunnel is
    /// [closed](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next_frame(&self) -> Option<(u64, TunnelFrame)> {
        loop {
            let bytes = match poll_fn(|cx| self.link.poll_frame(cx)).await {
                Popped::Item(bytes) => bytes,
                Popped::Closed(_) => return None,
            };
            // Frames of our own can be read.
            let Ok(frame) = Frame::decode(bytes) else { continue };
            let call = frame.call;
            if let Ok(frame) = TunnelFrame::from_target(frame) {
                return Some((call, frame));
            }
        }
    }

    /// Rejects further calls, and waits until those are over whose callers have said all that they had
    /// to say, and up to a second for those to name their method that have exchanged keys. What is to
    /// be invoked after that fails with [`Code::Unavailable`](crate::Code) and is not executed. The
    /// frames that come out meanwhile have still to be sent on.
    ///
    /// # Cancel safety
    ///
    /// Further calls are rejected once this has been polled.
    pub async fn drain(&self) {
        let connection = {
            let side = self.side.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(side.connection())
        };
        connection.drain(Late::Rejected).await;
    }

    /// Ends all calls: what the frames travelled over is gone.
    pub fn close(&self, reason: &Error) {
        self.side.lock().unwrap_or_else(PoisonError::into_inner).lost(reason);
        self.link.close();
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}
