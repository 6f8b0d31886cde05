//! An endpoint whose calls come over somebody else's connection, frame by frame.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use super::{ServiceHost, side::ServerSide};
use crate::{
    Error,
    proto::{ProtocolError, frame::Frame, server::DrainPolicy, tunnel::TunnelFrame},
    socket::{Side as _, Timeouts, now},
};

/// Runs the calls that a relay passes on to a host. Cloning returns another handle.
///
/// It is independent of how frames travel: its owner [delivers](Self::deliver) the frames that arrive
/// and sends on the frames that [come out](Self::next_frame).
#[derive(Clone)]
pub struct Tunnel(ServerSide);

impl Tunnel {
    /// A tunnel to a host. Calls run as tasks of the current tokio runtime.
    pub fn new(endpoint: Arc<ServiceHost>) -> Self {
        Self(ServerSide::new(endpoint))
    }

    /// Accepts a frame of call number `call`. Waits while that call has no room, within the limit that
    /// the host's options set; after that the call fails. Other frames wait meanwhile.
    ///
    /// # Errors
    ///
    /// When the frame is damaged or is not one that a caller sends. Other calls are not affected.
    pub async fn deliver(&self, call: u64, frame: &TunnelFrame) -> Result<(), ProtocolError> {
        let frame = frame.to_target(call)?;
        if frame.kind.opens() {
            // A peer that opens calls has to take the answers. A closed tunnel takes nothing.
            let room = poll_fn(|cx| self.0.shared().with(|machine| machine.poll_room(cx)));
            let _ = self.timed(room).await;
        }
        let mut frame = Some(frame);
        self.timed(poll_fn(|cx| {
            let ready = self.0.poll_receive(cx);
            if ready.is_ready()
                && let Some(frame) = frame.take()
            {
                // Accepted in the same poll, so that no other frame comes in between.
                self.0.accept(now(), frame);
                return self.0.poll_receive(cx);
            }
            ready
        }))
        .await;
        Ok(())
    }

    /// The next frame to send on, with the number of its call; `None` after the tunnel was
    /// [closed](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next_frame(&self) -> Option<(u64, TunnelFrame)> {
        loop {
            let next = poll_fn(|cx| self.0.shared().with(|machine| machine.poll_transmit(cx)));
            let bytes = self.timed(next).await?;
            // Frames of our own can be read.
            let Ok(frame) = Frame::decode(bytes) else { continue };
            let call = frame.call;
            if let Ok(frame) = TunnelFrame::from_target(frame) {
                return Some((call, frame));
            }
        }
    }

    /// Rejects further calls, and waits until those have ended whose callers have said everything, and up
    /// to a second until those have named their method that have exchanged keys. A call that is invoked
    /// after that fails with [`Code::Unavailable`](crate::Code) and is not executed. The frames that come
    /// out meanwhile have still to be sent on.
    ///
    /// # Cancel safety
    ///
    /// Further calls are rejected after this has been polled.
    pub async fn drain(&self) {
        self.timed(self.0.drain(DrainPolicy::Reject)).await;
    }

    /// Ends all calls: the connection that carried the frames is lost.
    pub fn close(&self, reason: &Error) {
        self.0.shared().with(|machine| machine.lose(reason));
    }

    /// Drives the timeouts of the calls for as long as something is waited for. A tunnel has no task that
    /// could.
    async fn timed<T>(&self, work: impl Future<Output = T>) -> T {
        let (mut work, mut timeouts) = (pin!(work), Timeouts::default());
        poll_fn(|cx| {
            if let Poll::Ready(result) = work.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            timeouts.poll(cx, self.0.shared());
            Poll::Pending
        })
        .await
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}
