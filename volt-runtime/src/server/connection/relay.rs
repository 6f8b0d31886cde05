//! Forwards calls that are for another host.
//!
//! A relay forwards frames between a caller and a target that is connected to it. It does not have
//! the call's key and reads only the parts in clear text: the token, the route, and the mark of the
//! last frame. The program decides where a call goes ([`RelayHandler`]) and moves the frames
//! ([`RelayedCall`]).

use std::{
    fmt,
    future::poll_fn,
    mem,
    sync::{Mutex, PoisonError},
};

use super::{
    refs::{ConnectionRef, Entry},
    shares::Places,
};
use crate::{
    ErrorKind, Result,
    proto::{handshake::Via, token::Token, tunnel::TunnelFrame},
};

/// Forwards calls to peers that are connected to this server, such as the hosts of services. Set with
/// [`ServiceHost::with_relay`](super::ServiceHost::with_relay).
///
/// This one forwards every call to a host in the same process:
///
/// ```
/// use std::sync::Arc;
///
/// use volt_runtime::{
///     Error,
///     server::{
///         ProtocolError, RelayHandler, RelayedCall, ServiceHost, Token, Tunnel, TunnelFrame, Via,
///     },
/// };
///
/// struct ToHost(Arc<ServiceHost>);
///
/// impl RelayHandler for ToHost {
///     fn relay(&self, token: &Token, _: &Via, call: RelayedCall) {
///         let tunnel = Tunnel::new(Arc::clone(&self.0));
///         let open = TunnelFrame::open(token, Via::default());
///         tokio::spawn(async move {
///             let requests = async {
///                 tunnel.deliver(1, &open).await?;
///                 while let Some(frame) = call.receive().await {
///                     tunnel.deliver(1, &frame).await?;
///                 }
///                 Ok::<_, ProtocolError>(())
///             };
///             let responses = async {
///                 while let Some((_, frame)) = tunnel.next_frame().await {
///                     if call.send(&frame).await.is_err() || frame.is_last() {
///                         break;
///                     }
///                 }
///             };
///             // Until the caller disconnects or the call ends. Both at once, because a host that cannot
///             // send its responses does not read requests.
///             tokio::select! {
///                 _ = requests => {}
///                 () = responses => {}
///             }
///             tunnel.close(&Error::connection("the forwarded call has ended"));
///         });
///     }
/// }
/// ```
pub trait RelayHandler: Send + Sync + 'static {
    /// Accepts a call, without blocking; the relay forwards frames in its own task.
    ///
    /// The token's validity period has been checked, and nothing else: it is for the target. `via`
    /// is the remaining route, the target last.
    ///
    /// If the target exchanges keys for a token that names a session, the caller's connection counts
    /// as one with a session. Forward only to targets that reject unknown sessions, or check the session
    /// [here](Self::checks_session).
    fn relay(&self, token: &Token, via: &Via, call: RelayedCall);

    /// Returns whether the callers of this target need a session of this server. Calls without one, as its
    /// [`Authenticator`](crate::server::Authenticator) decides, are then rejected before they are forwarded.
    /// By default, the target alone checks sessions.
    fn checks_session(&self, via: &Via) -> bool {
        let _ = via;
        false
    }
}

/// The caller's end of a forwarded call. Dropping it removes the call without notice to the caller: send
/// an end or a rejection first.
pub struct RelayedCall {
    entry: Entry,
    connection: ConnectionRef,
    /// The token names a session or a key, which the target checks.
    signed: bool,
    /// The places that the call occupies until its first frame has been forwarded.
    places: Mutex<Places>,
}

impl RelayedCall {
    pub(super) fn new(
        entry: Entry,
        connection: ConnectionRef,
        token: &Token,
        places: Places,
    ) -> Self {
        let session = token.claims().sub.as_deref().or(token.key_id());
        let signed = session.is_some_and(|session| !session.is_empty());
        Self { entry, connection, signed, places: Mutex::new(places) }
    }

    /// Returns the next frame of the caller, or `None` when the caller has disconnected or sends none
    /// in time. The frame that opens the call is not among them:
    /// [`TunnelFrame::open`](crate::server::TunnelFrame::open) creates it from the token.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn receive(&self) -> Option<TunnelFrame> {
        let id = self.entry.call().id();
        let read = poll_fn(|cx| self.entry.call().with(|machine| machine.poll_read(id, cx))).await;
        let body = match read {
            Ok(body) => body,
            Err(reason) => {
                // If the connection is lost, there is no caller to notify.
                if reason.kind() != ErrorKind::Connection {
                    self.write(&TunnelFrame::Rejected(reason.to_string()));
                }
                return None;
            }
        };
        // The first frame names the method. The relay cannot read that, but the frame frees the call's
        // place.
        self.entry.call().with(|machine| machine.forwarded(id));
        drop(mem::take(&mut *self.places.lock().unwrap_or_else(PoisonError::into_inner)));
        let frame = match TunnelFrame::from_caller(body).ok()? {
            // Over a websocket an end is sealed. Any intermediary may have sent an unsealed one.
            TunnelFrame::HalfClose if !self.connection.is_tunnel() => TunnelFrame::CallerGone,
            frame => frame,
        };
        if frame.is_last() {
            self.entry.call().with(|machine| machine.half_closed(id));
        }
        Some(frame)
    }

    /// Sends a frame of the target to the caller, waiting until the connection has room.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost.
    ///
    /// # Cancel safety
    ///
    /// A frame is sent whole or, if the future is dropped while it waits, not at all.
    pub async fn send(&self, frame: &TunnelFrame) -> Result<()> {
        poll_fn(|cx| self.entry.call().with(|machine| machine.poll_room(cx))).await?;
        self.write(frame);
        Ok(())
    }

    /// Rejects the call. The reason is sent unencrypted.
    pub fn reject(self, reason: impl Into<String>) {
        self.write(&TunnelFrame::Rejected(reason.into()));
    }

    /// Queues a frame for the caller without waiting.
    fn write(&self, frame: &TunnelFrame) {
        // A target exchanges keys with callers whose session it knows.
        if self.signed && matches!(frame, TunnelFrame::KeyExchange { .. }) {
            self.connection.authenticated();
        }
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
