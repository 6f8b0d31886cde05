//! The server's side of a connection, independent of the transport of its frames. Runs the calls
//! that are opened.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;

#[cfg(feature = "server")]
use super::{addresses::Place, admission::Newcomers};
use super::{
    admission::Admission,
    call,
    host::ServiceHost,
    refs::{ConnectionRef, Shared},
    shares::StreamLimits,
};
use crate::{
    Error, Result,
    proto::{
        frame::Frame,
        server::{Connection, DrainPolicy, Limits, Opening},
    },
    socket::{Side, now, read_frame},
};

/// A connection to a host. Its calls run as tasks of the current tokio runtime. Clones refer to the same
/// connection.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "public for tests only")]
pub struct ServerSide {
    host: Arc<ServiceHost>,
    connection: ConnectionRef,
}

impl ServerSide {
    /// Creates the server's side of a new connection.
    pub fn new(host: Arc<ServiceHost>) -> Self {
        let side = Self::with_admission(host, Admission::uncounted());
        side.shared().with(Connection::authenticated);
        side
    }

    /// Like [`new`](Self::new), for frames in the messages of other calls.
    pub(super) fn tunnel(host: Arc<ServiceHost>) -> Self {
        let Self { host, connection } = Self::new(host);
        Self { host, connection: connection.into_tunnel(None) }
    }

    /// Like [`tunnel`](Self::tunnel), for the frames in the messages of one `Invoke` stream.
    pub(super) fn stream(host: Arc<ServiceHost>, limits: &StreamLimits) -> Self {
        let admission = Arc::clone(&limits.admission);
        let Self { host, connection } = Self::with_admission(host, admission);
        Self { host, connection: connection.into_tunnel(Some(Arc::clone(&limits.shares))) }
    }

    /// Like [`new`](Self::new), for a client without a session so far.
    #[cfg(feature = "server")]
    pub fn newcomer(host: Arc<ServiceHost>) -> Self {
        let newcomers = Newcomers::new(host.options().unauthenticated_bytes);
        Self::with_admission(host, Admission::new(newcomers, Place::uncounted()))
    }

    /// Like [`new`](Self::new), for a connection whose bytes are bounded until a session is known.
    pub(in crate::server) fn with_admission(
        host: Arc<ServiceHost>,
        admission: Arc<Admission>,
    ) -> Self {
        let options = host.options();
        let shared = Shared::new(Connection::new(Limits {
            max_calls: options.max_calls,
            max_key_exchanges: options.max_key_exchanges,
            max_relayed_exchanges: options.max_relayed_exchanges.max(1),
            // Room for a few messages of the size that unauthenticated clients may send.
            unauthenticated_buffer: options.unauthenticated_message_size.saturating_mul(4).max(1),
            receive_buffer: options.receive_buffer,
            connection_buffer: options.connection_buffer,
            overflow: options.overflow,
            invoke_timeout: options.invoke_timeout,
        }));
        Self { host, connection: ConnectionRef::new(shared, admission) }
    }

    /// Stops opening calls, and waits until the calls whose end is due have ended.
    pub(in crate::server) async fn drain(&self, policy: DrainPolicy) {
        self.shared().with(|machine| machine.drain(now(), policy));
        poll_fn(|cx| self.shared().with(|machine| machine.poll_drained(cx))).await;
    }

    /// Closes the connection after everything queued has been written.
    #[cfg(feature = "server")]
    pub(in crate::server) fn close(&self) {
        self.shared().with(Connection::close);
    }

    /// Waits until the next frame may be received.
    pub(super) fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Another stream of the same connection may have admitted a session meanwhile.
        let admitted = self.connection.admission().is_admitted();
        self.shared().with(|machine| {
            if admitted {
                machine.authenticated();
            }
            machine.poll_receive(cx)
        })
    }

    /// Accepts a frame, and runs the call that it opens.
    pub(super) fn accept(&self, now: Instant, frame: Frame) {
        let (opened, queued) =
            self.shared().with(|machine| (machine.receive(now, frame), machine.queued()));
        // Counted outside the machine's lock, and only until a session is known.
        if !self.connection.admission().is_admitted() {
            self.connection.admission().queued(queued);
        }
        if let Some(Opening(frame)) = opened {
            tokio::spawn(call::run(Arc::clone(&self.host), self.connection.clone(), frame));
        }
    }

    // For tests, which have no driver.

    /// Accepts a message from the client: text in the legacy protocol. A frame without room in its call
    /// fails that call at once.
    ///
    /// # Errors
    ///
    /// Fails if the message's header cannot be read. The connection is then lost.
    pub fn receive(&self, message: Bytes, text: bool) -> Result<()> {
        let frame = read_frame(message, text)
            .inspect_err(|error| self.shared().with(|machine| machine.lose(error)))?;
        self.accept(now(), frame);
        self.shared().with(Connection::fail_blocked);
        Ok(())
    }

    /// Returns the next message to the client.
    pub fn transmit(&self) -> Option<Bytes> {
        let cx = &mut Context::from_waker(Waker::noop());
        match self.shared().with(|machine| machine.poll_transmit(cx)) {
            Poll::Ready(message) => message,
            Poll::Pending => None,
        }
    }

    /// Returns whether [`receive`](Self::receive) may be called: a driver would read the connection.
    pub fn may_receive(&self) -> bool {
        self.poll_receive(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Returns the bytes in all queues and of the open calls of a client without a session.
    pub fn queued(&self) -> usize {
        self.shared().with(|machine| machine.queued())
    }

    /// Returns the number of open calls.
    pub fn open_calls(&self) -> usize {
        self.shared().with(|machine| machine.open_calls())
    }

    /// Loses the connection.
    pub fn lose(&self) {
        self.shared().with(|machine| machine.lose(&Error::connection("the connection is closed")));
    }
}

impl Side for ServerSide {
    type Machine = Connection;

    fn shared(&self) -> &Shared {
        self.connection.shared()
    }

    fn receive(&mut self, now: Instant, frame: Frame) {
        self.accept(now, frame);
    }

    fn lost(&mut self, reason: &Error) {
        self.shared().with(|machine| machine.lose(reason));
    }
}
