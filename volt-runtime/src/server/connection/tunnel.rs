//! An endpoint whose calls arrive frame by frame over a relay's connection.
//!
//! Clients host services this way: the Volt forwards each caller's frames inside the messages of the
//! client's `Connect` call, and the answers return the same way. The calls are the same as on a
//! websocket, each with its own key. The Volt and relays translate fields and cannot read the calls.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use super::{host::ServiceHost, side::ServerSide};
use crate::{
    Error,
    proto::{ProtocolError, frame::Frame, server::DrainPolicy, tunnel::TunnelFrame},
    server::Context,
    socket::{Side as _, Timeouts, now},
};

/// Runs the calls that a relay forwards to a host. Cloning returns another handle.
///
/// It is independent of the transport: its owner [delivers](Self::deliver) incoming frames and
/// forwards [outgoing](Self::next_frame) ones. [`RelayHandler`](super::RelayHandler) has an example.
///
/// Do both at once, such as in two tasks: a call that cannot send its answers stops reading, and
/// [`deliver`](Self::deliver) then waits for it. Timeouts of calls expire only while one of the futures
/// is polled.
#[derive(Clone)]
pub struct Tunnel(ServerSide);

impl Tunnel {
    /// Creates a tunnel to a host. Calls run as tasks of the current tokio runtime.
    pub fn new(endpoint: Arc<ServiceHost>) -> Self {
        Self(ServerSide::tunnel(endpoint))
    }

    /// Like [`new`](Self::new), for the frames of one call in the messages of `VoltAPI/Invoke`.
    /// Returns `None` if the stream does not come straight over gRPC, for example from another
    /// tunnel.
    ///
    /// The call shares the limits of the stream's connection, and its caller's session lifts those of
    /// strangers.
    pub fn within(endpoint: Arc<ServiceHost>, context: &Context) -> Option<Self> {
        let limits = context.peer.stream.as_ref()?;
        Some(Self(ServerSide::stream(endpoint, limits)))
    }

    /// Accepts a frame of call `call`. Waits while that call has no room, up to the limit set by
    /// the host's options; after that the call fails. Other frames wait meanwhile.
    ///
    /// # Errors
    ///
    /// Fails if the frame is damaged or is not a caller's frame. Other calls are not affected.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the frame may or may not have been accepted. Drop the future only together with
    /// the tunnel.
    pub async fn deliver(&self, call: u64, frame: &TunnelFrame) -> Result<(), ProtocolError> {
        let frame = frame.to_target(call)?;
        if frame.kind.opens() {
            // A peer that opens calls must read the answers. A closed tunnel accepts nothing.
            let room = poll_fn(|cx| self.0.shared().with(|machine| machine.poll_room(cx)));
            let _ = self.timed(room).await;
        }
        // The frame is taken when it is accepted: the closure may be polled again while the frame
        // waits in the machine.
        let mut frame = Some(frame);
        self.timed(poll_fn(|cx| {
            let ready = self.0.poll_receive(cx);
            if ready.is_ready()
                && let Some(frame) = frame.take()
            {
                // Accepted in the same poll, so that no other frame can intervene.
                self.0.accept(now(), frame);
                return self.0.poll_receive(cx);
            }
            ready
        }))
        .await;
        Ok(())
    }

    /// Returns the next frame to forward, with the id of its call, or `None` after the tunnel was
    /// [closed](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next_frame(&self) -> Option<(u64, TunnelFrame)> {
        loop {
            let next = poll_fn(|cx| self.0.shared().with(|machine| machine.poll_transmit(cx)));
            let bytes = self.timed(next).await?;
            // Our own frames can always be decoded.
            let Ok(frame) = Frame::decode(bytes) else { continue };
            let call = frame.call;
            if let Ok(frame) = TunnelFrame::from_target(frame) {
                return Some((call, frame));
            }
        }
    }

    /// Rejects further calls, and waits until all half-closed calls have ended and, for up to a
    /// second, until the calls with exchanged keys have named their methods. A call that is invoked
    /// after that fails with [`Code::Unavailable`](crate::Code) and is not executed. Keep
    /// forwarding outgoing frames meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Further calls are rejected once the future has been polled.
    pub async fn drain(&self) {
        self.timed(self.0.drain(DrainPolicy::Reject)).await;
    }

    /// Ends all calls: the connection that carried the frames is lost. [`next_frame`](Self::next_frame)
    /// then returns `None`.
    pub fn close(&self, reason: &Error) {
        self.0.shared().with(|machine| machine.lose(reason));
    }

    /// Drives the timeouts of the calls while waiting for `work`. A tunnel has no task of its own
    /// that could drive them.
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
