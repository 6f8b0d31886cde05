//! A supervised connection, re-established when it is lost.
//!
//! One task owns the sequence of connections: it runs the driver of one until that ends, waits for the
//! backoff, dials, and runs the next. The transport only looks up the current connection and opens
//! calls on it. Calls never move between connections; retries happen above.
//!
//! The state is published before the calls of a lost connection fail, so that a call which is retried
//! at once waits for the next connection. `Closed` is always final.
//!
//! There are two kinds of shutdown. A requested shutdown refuses new calls, waits for answers that are
//! due, and closes. Dropping every handle lets the open calls finish, and the connection closes after
//! the last of them.

use std::{
    fmt,
    future::pending,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    kind::{Calls, Dial, Drive},
    own::OwnConnections,
};
use crate::{
    CallOptions, ConnectionState, Error, Executed, Method, Result, StateWatch,
    backoff::Backoff,
    error::POLICY_VIOLATION,
    transport::{BoxFuture, RawCall, ServerAddress, Transport},
};

/// State shared by the transport, the supervising task and the connection's driver.
struct SharedState<C> {
    /// The current connection, if any.
    connection: RwLock<Option<Arc<C>>>,
    states: watch::Sender<ConnectionState>,
    reconnects: bool,
    /// Wakes a supervisor that connects for the first call.
    wanted: Notify,
}

impl<C: Calls> SharedState<C> {
    fn connection(&self) -> Option<Arc<C>> {
        self.connection.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        if let Some(connection) = self.connection() {
            return connection.open(method, options);
        }
        self.wanted.notify_one();
        let reason = match &*self.states.borrow() {
            ConnectionState::Reconnecting { reason, .. } | ConnectionState::Closed { reason } => {
                reason.clone()
            }
            ConnectionState::Connected => Error::connection("the connection was just lost"),
        };
        Err(reason.with_executed(Executed::No))
    }

    fn set_connection(&self, connection: Option<Arc<C>>) {
        let before = std::mem::replace(
            &mut *self.connection.write().unwrap_or_else(PoisonError::into_inner),
            connection,
        );
        // Dropped here, outside the lock.
        drop(before);
    }

    /// Changes the state, unless it is final.
    fn set_state(&self, state: ConnectionState) {
        self.states.send_if_modified(|current| {
            let changes = !current.is_closed();
            if changes {
                *current = state;
            }
            changes
        });
    }

    /// Called when the connection is lost, before its calls fail, so that a call that is retried at
    /// once waits for the next connection.
    fn lost(&self, reason: &Error) {
        let reconnects = self.reconnects && may_come_back(reason);
        let reason = reason.clone();
        self.set_state(if reconnects {
            ConnectionState::Reconnecting { failed_attempts: 0, reason }
        } else {
            ConnectionState::Closed { reason }
        });
    }
}

/// The shutdown requested by the transport's owners.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shutdown {
    None,
    Requested,
    /// All owners have dropped the transport.
    Abandoned,
}

/// The transport of a channel to a Volt.
pub(super) struct Supervised<D: Dial> {
    state: Arc<SharedState<D::Connection>>,
    dialer: Arc<D>,
    own: Option<Arc<OwnConnections>>,
    shutdown: watch::Sender<Shutdown>,
    /// Closed when the supervising task ends.
    done: watch::Receiver<()>,
    server: ServerAddress,
}

impl<D: Dial> Supervised<D> {
    /// Dials, and spawns the task that runs this connection and its successors. `own` are the
    /// further connections for single calls, if this kind has them.
    pub(super) async fn start(dialer: Arc<D>, own: Option<Arc<OwnConnections>>) -> Result<Self> {
        let first = dial_first(&*dialer).await?;
        Ok(Self::spawn(dialer, own, Some(first)))
    }

    /// Spawns the task, which dials when there is a first call.
    pub(super) fn start_lazy(dialer: Arc<D>, own: Option<Arc<OwnConnections>>) -> Self {
        Self::spawn(dialer, own, None)
    }

    /// Returns the dialer, whose session may be replaced.
    pub(super) fn dialer(&self) -> &Arc<D> {
        &self.dialer
    }

    fn spawn(
        dialer: Arc<D>,
        own: Option<Arc<OwnConnections>>,
        first: Option<(D::Connection, D::Driver)>,
    ) -> Self {
        let state = Arc::new(SharedState {
            connection: RwLock::new(None),
            states: watch::channel(ConnectionState::Reconnecting {
                failed_attempts: 0,
                reason: Error::connection("the client has not connected yet"),
            })
            .0,
            reconnects: dialer.options().reconnect.is_some(),
            wanted: Notify::new(),
        });
        let (shutdown, shutdowns) = watch::channel(Shutdown::None);
        let (done_sender, done) = watch::channel(());
        let server = dialer.server();
        let mut supervisor =
            Supervisor { state: Arc::clone(&state), dialer: Arc::clone(&dialer), shutdowns };
        let first = first.map(|dialed| supervisor.begin(dialed));
        tokio::spawn(async move {
            supervisor.run(first).await;
            drop(done_sender);
        });
        Self { state, dialer, own, shutdown, done, server }
    }
}

impl<D: Dial> Drop for Supervised<D> {
    fn drop(&mut self) {
        // In this order: a connection established meanwhile is dropped by one side or the other.
        self.shutdown.send_replace(Shutdown::Abandoned);
        self.state.set_connection(None);
        if let Some(own) = &self.own {
            own.abandon();
        }
    }
}

impl<D: Dial> Transport for Supervised<D> {
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        self.state.open(method, options)
    }

    fn open_apart(
        &self,
        method: &'static Method,
        options: &CallOptions,
    ) -> Option<BoxFuture<Result<RawCall>>> {
        let (state, own) = (Arc::clone(&self.state), Arc::clone(self.own.as_ref()?));
        let options = options.clone();
        Some(Box::pin(async move {
            match own.open(method, &options).await {
                Some(call) => call,
                None => state.open(method, &options),
            }
        }))
    }

    fn ready(&self) -> Option<BoxFuture<Result<()>>> {
        if self.state.states.borrow().is_connected() {
            return None;
        }
        self.state.wanted.notify_one();
        let mut states = self.state();
        Some(Box::pin(async move {
            states.connected_again().await.map_err(|reason| reason.with_executed(Executed::No))
        }))
    }

    fn state(&self) -> StateWatch {
        StateWatch::new(self.state.states.subscribe())
    }

    fn server(&self) -> Option<&ServerAddress> {
        Some(&self.server)
    }

    fn close(&self) -> BoxFuture<()> {
        self.state.set_state(ConnectionState::Closed { reason: closed() });
        self.shutdown.send_if_modified(|shutdown| {
            let changes = *shutdown == Shutdown::None;
            *shutdown = Shutdown::Requested;
            changes
        });
        if let Some(own) = &self.own {
            own.close(closed());
        }
        let (mut done, own) = (self.done.clone(), self.own.clone());
        Box::pin(async move {
            // An error means that the task has ended, which is what this waits for.
            while done.changed().await.is_ok() {}
            if let Some(own) = own {
                own.all_ended().await;
            }
        })
    }

    fn open_calls(&self) -> usize {
        let shared = self.state.connection().map_or(0, |connection| connection.open_calls());
        shared + self.own.as_ref().map_or(0, |own| own.open_calls())
    }
}

impl<D: Dial> fmt::Debug for Supervised<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervised")
            .field("transport", &D::NAME)
            .field("volt", &self.dialer.volt_id())
            .field("state", &*self.state.states.borrow())
            .field("open_calls", &self.open_calls())
            .finish_non_exhaustive()
    }
}

/// The task behind a [`Supervised`].
struct Supervisor<D: Dial> {
    state: Arc<SharedState<D::Connection>>,
    dialer: Arc<D>,
    shutdowns: watch::Receiver<Shutdown>,
}

impl<D: Dial> Supervisor<D> {
    /// Runs connections, one after another, until shutdown or until reconnecting fails.
    async fn run(mut self, first: Option<Running<D::Driver>>) {
        let mut backoff = self.dialer.options().reconnect.clone().map(Backoff::new);
        let first = match first {
            Some(driver) => Ok(driver),
            None => self.connect_when_wanted(backoff.as_mut()).await,
        };
        let mut driver = match first {
            Ok(driver) => driver,
            Err(reason) => return self.state.set_state(ConnectionState::Closed { reason }),
        };
        loop {
            let began = Instant::now();
            let reason = self.drive(driver).await;
            self.state.set_connection(None);
            let wanted = self.shutdown() == Shutdown::None;
            if wanted {
                let url = self.dialer.url();
                tracing::warn!(url, "the connection was lost: {reason:#}");
                #[cfg(feature = "metrics")]
                crate::metrics::lost(&self.dialer.server());
            }
            let Some(backoff) = backoff.as_mut().filter(|_| wanted && may_come_back(&reason))
            else {
                return self.state.set_state(ConnectionState::Closed { reason });
            };
            // A peer that soon cuts each connection is not working: keep backing off.
            backoff.settle(began.elapsed());
            match self.reconnect(backoff, reason).await {
                Ok(next) => {
                    tracing::info!(url = self.dialer.url(), "connected again");
                    #[cfg(feature = "metrics")]
                    crate::metrics::reconnected(&self.dialer.server());
                    driver = next;
                }
                Err(reason) => return self.state.set_state(ConnectionState::Closed { reason }),
            }
        }
    }

    /// Waits for the first call, and connects.
    async fn connect_when_wanted(
        &mut self,
        backoff: Option<&mut Backoff>,
    ) -> Result<Running<D::Driver>> {
        tokio::select! {
            () = self.state.wanted.notified() => {}
            () = self.unwanted() => return Err(closed()),
        }
        let dialed = tokio::select! {
            dialed = self.dialer.dial() => dialed,
            () = self.unwanted() => return Err(closed()),
        };
        match (dialed, backoff) {
            (Ok(dialed), _) => Ok(self.begin(dialed)),
            (Err(reason), None) => Err(reason),
            (Err(reason), Some(backoff)) => {
                // The delay is the next attempt's; this counts the one that has failed.
                backoff.next_delay();
                self.attempt_failed(&reason, backoff.failures());
                self.reconnect(backoff, reason).await
            }
        }
    }

    /// Reports an attempt that has failed.
    fn attempt_failed(&self, reason: &Error, failed_attempts: u32) {
        let url = self.dialer.url();
        tracing::warn!(url, failed_attempts, "reconnecting failed: {reason:#}");
        let reason = reason.clone();
        self.state.set_state(ConnectionState::Reconnecting { failed_attempts, reason });
    }

    fn shutdown(&self) -> Shutdown {
        *self.shutdowns.borrow()
    }

    /// Resolves when shutdown is requested or the transport has been dropped.
    async fn unwanted(&self) {
        // This cannot fail: the sender announces the shutdown before it is dropped.
        let _ = self.shutdowns.clone().wait_for(|shutdown| *shutdown != Shutdown::None).await;
    }

    /// Makes a connection available to callers.
    fn begin(&mut self, dialed: (D::Connection, D::Driver)) -> Running<D::Driver> {
        let (connection, mut driver) = dialed;
        let state = Arc::clone(&self.state);
        driver.on_lost(move |reason| state.lost(reason));
        let connection = Arc::new(connection);
        connection.start();
        self.state.set_connection(Some(connection));
        if self.shutdown() == Shutdown::Abandoned {
            self.state.set_connection(None);
        }
        self.state.set_state(ConnectionState::Connected);
        Running(driver)
    }

    /// Runs a connection until it is lost or shut down. Returns the reason.
    async fn drive(&mut self, mut running: Running<D::Driver>) -> Error {
        let driver = &mut running.0;
        tokio::select! {
            reason = &mut *driver => return reason,
            () = self.closing() => {}
        }
        if let Some(connection) = self.state.connection() {
            let (limit, reason) = (self.dialer.options().close_timeout, closed());
            tokio::select! {
                reason = &mut *driver => return reason,
                // Calls that have not ended by then are cut off.
                _ = timeout(limit, connection.drain(&reason)) => connection.close(),
            }
        }
        driver.await
    }

    /// Resolves when the connection should close. An abandoned connection closes after its last
    /// call.
    async fn closing(&self) {
        self.unwanted().await;
        if self.shutdown() == Shutdown::Abandoned {
            pending::<()>().await;
        }
    }

    /// Reconnects with backoff until it succeeds or times out.
    async fn reconnect(
        &mut self,
        backoff: &mut Backoff,
        lost: Error,
    ) -> Result<Running<D::Driver>> {
        let started = Instant::now();
        let mut reason = lost;
        loop {
            let Some(delay) = backoff.next_attempt(started.elapsed(), reason.retry_after()) else {
                let url = self.dialer.url();
                tracing::error!(url, "gave up reconnecting: {reason:#}");
                return Err(reason);
            };
            let attempt = async {
                sleep(delay).await;
                self.dialer.dial().await
            };
            let dialed = tokio::select! {
                dialed = attempt => dialed,
                () = self.unwanted() => return Err(closed()),
            };
            match dialed {
                Ok(dialed) => return Ok(self.begin(dialed)),
                Err(error) => {
                    self.attempt_failed(&error, backoff.failures());
                    reason = error;
                }
            }
        }
    }
}

impl<D: Dial> Drop for Supervisor<D> {
    /// The task normally ends with the state `Closed`. Otherwise it is dropped with its runtime.
    fn drop(&mut self) {
        self.state.set_state(ConnectionState::Closed { reason: runtime_ended() });
        self.state.set_connection(None);
    }
}

/// A connection's driver. If it is dropped while the connection is open, its runtime has ended.
struct Running<R: Drive>(R);

impl<R: Drive> Drop for Running<R> {
    fn drop(&mut self) {
        // Does nothing if the connection has already ended.
        self.0.lost(&runtime_ended());
    }
}

/// Establishes the first connection, with retries if the options enable them.
async fn dial_first<D: Dial>(dialer: &D) -> Result<(D::Connection, D::Driver)> {
    let options = dialer.options();
    let Some(policy) = options.reconnect.clone().filter(|_| options.retry_first) else {
        return dialer.dial().await;
    };
    let started = Instant::now();
    let mut backoff = Backoff::new(policy);
    loop {
        let error = match dialer.dial().await {
            Err(error) if error.is_connection() && may_come_back(&error) => error,
            outcome => return outcome,
        };
        let Some(delay) = backoff.next_attempt(started.elapsed(), error.retry_after()) else {
            return Err(error);
        };
        let (url, failed_attempts) = (dialer.url(), backoff.failures());
        tracing::warn!(url, failed_attempts, "connecting failed: {error:#}");
        sleep(delay).await;
    }
}

/// Returns whether the client may reconnect after this error.
fn may_come_back(lost: &Error) -> bool {
    lost.close_code() != Some(POLICY_VIOLATION)
}

fn closed() -> Error {
    Error::connection("the channel was closed")
}

fn runtime_ended() -> Error {
    Error::connection("the tokio runtime on which the client connected has ended: connect again")
}
