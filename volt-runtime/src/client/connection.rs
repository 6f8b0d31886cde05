//! The channel's handle to a connection, and the driver's side of it.
//!
//! [`Connection`] opens calls and creates their halves. [`ClientSide`] receives frames from the driver.
//! Both refer to the machine in `proto::client`, and only the former keeps the connection open.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;

use super::{
    call::{CallReceiver, CallSender, Handle, Shared, perform},
    identity::Identity,
    kind::Calls,
    options::ConnectOptions,
};
use crate::{
    CallOptions, ClientConfig, Error, Executed, Method, Result,
    message::Encoding,
    proto::{
        ProtocolError,
        call::Outgoing,
        client::{self, Limits, Task},
        frame::Frame,
    },
    socket::{Side, now, read_frame},
    transport::RawCall,
};

/// One connection to a Volt, independent of the transport of its frames.
#[expect(missing_debug_implementations, reason = "public for tests only")]
pub struct Connection {
    /// Calls hold it as well: the connection closes with the last of them.
    handle: Arc<Handle>,
    /// Shared by all connections of a client, and with it the cached tokens.
    identity: Arc<Identity>,
    max_sent_message_size: usize,
    /// The encoding of this side's messages.
    encoding: Encoding,
}

impl Connection {
    /// Creates a connection to the Volt that a configuration names.
    ///
    /// # Errors
    ///
    /// A configuration error names the field that is missing or invalid.
    pub fn new(config: &ClientConfig, options: &ConnectOptions) -> Result<Self> {
        let identity = Identity::new(config, config.volt.relay.is_some(), options)?;
        Ok(Self::established(Arc::new(identity), options, false))
    }

    /// Creates another connection of the same client, with the same keys and tokens.
    #[must_use]
    pub fn reconnected(&self, options: &ConnectOptions) -> Self {
        Self::established(Arc::clone(&self.identity), options, false)
    }

    /// On a `patient` connection, a slow reader may block other calls for as long as it keeps
    /// reading.
    pub(super) fn established(
        identity: Arc<Identity>,
        options: &ConnectOptions,
        patient: bool,
    ) -> Self {
        let shared = Shared::new(client::Connection::new(Limits {
            max_calls: options.max_calls,
            connection_buffer: options.connection_buffer,
            patient,
            key_exchange_timeout: options.key_exchange_timeout,
            // A legacy call has no key exchange to do in advance.
            preopened_calls: if identity.is_legacy() { 0 } else { options.preopened_calls },
            preopened_max_age: options.preopened_max_age,
        }));
        let handle = Arc::new(Handle::new(shared, Arc::clone(&identity)));
        let max_sent_message_size = options.max_sent_message_size;
        Self { handle, identity, max_sent_message_size, encoding: Encoding::Json }
    }

    /// Makes calls use the binary form, as over gRPC.
    #[cfg(feature = "grpc")]
    pub(super) fn in_protobuf(self) -> Self {
        Self { encoding: Encoding::Protobuf, ..self }
    }

    fn with<T>(&self, change: impl FnOnce(&mut client::Connection) -> T) -> T {
        self.handle.shared().with(change)
    }

    /// Returns the number of open calls, including those whose end has not been sent to the Volt
    /// yet.
    pub fn open_calls(&self) -> usize {
        self.with(|machine| machine.open_calls())
    }

    /// Returns the ids of these calls.
    pub fn open_ids(&self) -> Vec<u64> {
        self.with(|machine| machine.open_ids().collect())
    }

    /// Returns whether reading is stopped, because a call has no room for its next frame.
    pub(super) fn is_blocked(&self) -> bool {
        self.with(|machine| machine.is_blocked())
    }

    /// Returns whether the Volt has sent anything yet.
    pub(super) fn has_heard(&self) -> bool {
        self.with(|machine| machine.has_heard())
    }

    /// Returns whether the connection is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.with(|machine| machine.is_lost())
    }

    /// Opens a call.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost or closing, if too many calls are open, or if the target of
    /// the call is invalid.
    pub fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        let service_id = options.target.as_ref().and_then(|target| target.service_id.as_deref());
        // Pre-opened calls go to the Volt itself and share a token.
        if options.target.is_none()
            && !options.fresh_key
            && let Some(id) = self.with(|machine| {
                if machine.is_pooled() {
                    machine.take_preopened(now(), method.kind, options)
                } else {
                    Ok(None)
                }
            })?
        {
            return Ok(self.halves(id, Outgoing::client(id, method.path, service_id)));
        }
        // Sign and encrypt before taking the lock: the driver needs it for every frame.
        let route = self.identity.route(options)?;
        if self.identity.is_legacy() {
            let (key, opening) = self.identity.open_legacy(&route).map_err(cannot_open)?;
            let id = self.with(|machine| machine.open_legacy(now(), key, method.kind, options))?;
            let outgoing = Outgoing::legacy_client(id, method.path, service_id, opening);
            return Ok(self.halves(id, outgoing));
        }
        let token = self.identity.token(&route, options.fresh_key).map_err(cannot_open)?;
        let id = self.with(|machine| machine.open(now(), &token, method.kind, options))?;
        if self.encoding == Encoding::Protobuf {
            // The route names the service of another client.
            let service_id = service_id.filter(|_| route.via.service.is_none());
            let outgoing = Outgoing::client(id, method.path, service_id);
            return Ok(self.halves(id, outgoing.in_protobuf(method.kind)));
        }
        Ok(self.halves(id, Outgoing::client(id, method.path, service_id)))
    }

    /// Creates the halves of an open call. Each keeps the connection open.
    fn halves(&self, id: u64, outgoing: Outgoing) -> RawCall {
        let outgoing = outgoing.with_limit(self.max_sent_message_size);
        RawCall {
            sender: Box::new(CallSender::new(Arc::clone(&self.handle), id, outgoing)),
            receiver: Box::new(CallReceiver::new(Arc::clone(&self.handle), id)),
        }
    }

    /// Creates the driver's side of the connection.
    pub(super) fn side(&self) -> ClientSide {
        ClientSide { shared: Arc::clone(self.handle.shared()), on_lost: None }
    }

    /// Spawns the worker of the connection, which ends with it.
    ///
    /// The worker does the cryptography that no task is waiting on: for streams that are not being
    /// read, for calls that were dropped before their key arrived, and for the pool of pre-opened
    /// calls.
    pub(super) fn start_worker(&self) {
        let worker = Worker {
            shared: Arc::clone(self.handle.shared()),
            identity: Arc::clone(&self.identity),
        };
        tokio::spawn(async move {
            // The worker holds no handle, so it does not keep the connection open.
            while let Some(task) =
                poll_fn(|cx| worker.shared.with(|machine| machine.poll_task(cx))).await
            {
                worker.run(task);
                // Let other tasks of this runtime run.
                tokio::task::yield_now().await;
            }
        });
    }

    // For tests, which have neither a driver nor a worker.

    /// Handles expired timeouts and the worker's pending tasks.
    pub fn work(&self) {
        self.with(|machine| machine.handle_timeout(now()));
        let worker = Worker {
            shared: Arc::clone(self.handle.shared()),
            identity: Arc::clone(&self.identity),
        };
        let cx = &mut Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(task)) = self.with(|machine| machine.poll_task(cx)) {
            worker.run(task);
        }
    }

    /// Accepts a message from the Volt: text in the legacy protocol. A frame without room in its call
    /// fails that call at once.
    ///
    /// # Errors
    ///
    /// Fails if the message's header cannot be read. The connection is then lost.
    pub fn receive(&self, message: Bytes, text: bool) -> Result<()> {
        let frame = read_frame(message, text)
            .inspect_err(|error| self.with(|machine| machine.lose(error)))?;
        self.with(|machine| {
            machine.receive(now(), frame);
            machine.fail_blocked();
        });
        Ok(())
    }

    /// Returns the next message to the Volt.
    pub fn transmit(&self) -> Option<Bytes> {
        let cx = &mut Context::from_waker(Waker::noop());
        match self.with(|machine| machine.poll_transmit(cx)) {
            Poll::Ready(message) => message,
            Poll::Pending => None,
        }
    }

    /// Loses the connection.
    pub fn lose(&self) {
        self.with(|machine| machine.lose(&Error::connection("the connection is closed")));
    }
}

impl Calls for Connection {
    fn start(&self) {
        self.start_worker();
    }

    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        self.open(method, options)
    }

    fn open_calls(&self) -> usize {
        self.open_calls()
    }

    async fn drain(&self, reason: &Error) {
        self.with(|machine| machine.drain(reason));
        poll_fn(|cx| self.with(|machine| machine.poll_drained(cx))).await;
    }

    /// Everything queued is written first.
    fn close(&self) {
        self.with(client::Connection::close);
    }
}

/// Does the cryptography of a connection that no caller's task does.
struct Worker {
    shared: Arc<Shared>,
    identity: Arc<Identity>,
}

impl Worker {
    fn run(&self, task: Task) {
        match task {
            Task::Call(work) => perform(&self.shared, work),
            Task::Preopen(missing) => {
                // The pool asks again with the next call, so a failure is not retried here.
                for _ in 0..missing {
                    if let Err(error) = self.preopen() {
                        tracing::warn!(%error, "a call cannot be pre-opened");
                        break;
                    }
                }
            }
        }
    }

    /// Opens a call to the Volt for the pool.
    fn preopen(&self) -> Result<()> {
        let route = self.identity.route(&CallOptions::default())?;
        let token = self.identity.token(&route, false).map_err(cannot_open)?;
        self.shared.with(|machine| machine.preopen(now(), &token))
    }
}

/// Called with the reason when the connection is lost.
type OnLost = Box<dyn FnOnce(&Error) + Send>;

/// The driver's side of a connection. It holds no handle, so a driver alone does not keep its
/// connection open.
pub(super) struct ClientSide {
    shared: Arc<Shared>,
    on_lost: Option<OnLost>,
}

impl ClientSide {
    /// Sets a function that is called when the connection is lost, before its calls fail.
    pub(super) fn on_lost(&mut self, call: impl FnOnce(&Error) + Send + 'static) {
        self.on_lost = Some(Box::new(call));
    }
}

impl Side for ClientSide {
    type Machine = client::Connection;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn receive(&mut self, now: Instant, frame: Frame) {
        self.shared.with(|machine| machine.receive(now, frame));
    }

    fn arriving(&mut self, now: Instant) {
        self.shared.with(|machine| machine.arriving(now));
    }

    fn lost(&mut self, reason: &Error) {
        // The state changes before the calls fail, so that a call that is retried at once waits for the
        // next connection.
        if let Some(on_lost) = self.on_lost.take() {
            on_lost(reason);
        }
        self.shared.with(|machine| machine.lose(reason));
    }
}

fn cannot_open(error: ProtocolError) -> Error {
    Error::protocol("the call cannot be opened").with_source(error).with_executed(Executed::No)
}
