//! Further connections for bulk streams, which do not share the client's connection with other
//! calls.
//!
//! The protocol has no flow control for one call, so a slow reader on the shared connection would
//! delay every other call. A few further connections are dialled when they are needed, reused, and
//! closed when they have not been used for a while.
//!
//! A call takes an idle connection, else dials another one, else shares the least busy. A Volt may
//! refuse further connections; calls then use the existing ones, or the client's shared one, for a
//! minute before the next attempt. Each connection has one task, which runs its driver and closes it
//! when it is idle.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    connection::Connection,
    dial::{ClientDriver, Dialed, Dialer},
    kind::{Calls as _, Dial as _},
};
use crate::{CallOptions, Error, Method, Result, transport::RawCall};

/// The maximum number of connections. Further calls share the least busy one.
const CONNECTIONS: usize = 4;

/// The minimum time for which an unused connection stays open. Its use is checked at this interval,
/// so it closes after 15 to 30 seconds.
const IDLE: Duration = Duration::from_secs(15);

/// The time for which calls use the shared connection after another one was refused: each attempt
/// delays a call.
const REFUSED: Duration = Duration::from_mins(1);

/// The connections beside the shared one.
pub(super) struct OwnConnections {
    dialer: Arc<Dialer>,
    state: Mutex<State>,
    /// Notified when a connection was established or refused.
    changed: Notify,
    /// Set to the reason when the channel is closed. Each connection's task holds a receiver.
    closed: watch::Sender<Option<Error>>,
}

#[derive(Default)]
struct State {
    /// The established connections, in no order.
    connections: Vec<Entry>,
    /// The number of connections that are being established. They count for the maximum.
    dialing: usize,
    /// When a further connection was last refused.
    refused: Option<Instant>,
    /// Set when the channel was closed or dropped.
    over: bool,
}

/// An established connection. The entry keeps it open while it is unused.
struct Entry {
    connection: Arc<Connection>,
    /// Set when a call was open since the last check.
    used: bool,
}

/// The next step to open a call.
enum Step {
    Opened(Result<RawCall>),
    Dial(Dialing),
    /// All connections are being established.
    Wait,
    /// There is no connection beside the shared one.
    Share,
}

/// Counts a connection that is being established. A guard, because the call that dials may be dropped
/// meanwhile.
struct Dialing(Arc<OwnConnections>);

impl Drop for Dialing {
    fn drop(&mut self) {
        self.0.lock().dialing -= 1;
        self.0.changed.notify_waiters();
    }
}

impl State {
    /// Forgets lost connections. A peer that accepted one and sent nothing has refused it.
    fn forget_lost(&mut self) {
        let lost = self.connections.extract_if(.., |entry| entry.connection.is_lost());
        let refused = lost.fold(false, |refused, entry| refused | !entry.connection.has_heard());
        if refused {
            self.refused = Some(Instant::now());
        }
    }
}

impl OwnConnections {
    pub(super) fn new(dialer: Arc<Dialer>) -> Arc<Self> {
        Arc::new(Self {
            dialer,
            state: Mutex::default(),
            changed: Notify::new(),
            closed: watch::channel(None).0,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a call on one of the connections. Returns `None` if there is none, because the peer
    /// refuses more than one or the channel is closed.
    pub(super) async fn open(
        self: Arc<Self>,
        method: &'static Method,
        options: &CallOptions,
    ) -> Option<Result<RawCall>> {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Registered before the state is read, so that no change in between is missed.
            changed.as_mut().enable();
            let dialing = match self.next_step(method, options) {
                // The connection was lost just now.
                Step::Opened(Err(error)) if error.is_connection() => continue,
                Step::Opened(call) => return Some(call),
                Step::Share => return None,
                Step::Wait => {
                    changed.await;
                    continue;
                }
                Step::Dial(dialing) => dialing,
            };
            match self.dialer.dial_own(CONNECTIONS).await {
                Ok(dialed) => return self.start(dialed, method, options, dialing),
                Err(error) => {
                    // Not an error of the call, which can run on the shared connection.
                    tracing::debug!(%error, "no connection beside the shared one");
                    self.lock().refused = Some(Instant::now());
                }
            }
        }
    }

    /// Decides how a call is opened, under one lock, so that calls made at once do not dial too many
    /// connections.
    fn next_step(self: &Arc<Self>, method: &'static Method, options: &CallOptions) -> Step {
        let mut state = self.lock();
        state.forget_lost();
        let State { connections, dialing, refused, over } = &mut *state;
        if *over {
            return Step::Share;
        }
        let refused = refused.is_some_and(|at| at.elapsed() < REFUSED);
        let may_dial = !refused && connections.len() + *dialing < CONNECTIONS;
        // A connection that is blocked by an unread call delays the next one.
        let load = |entry: &Entry| (entry.connection.is_blocked(), entry.connection.open_calls());
        match connections.iter_mut().min_by_key(|entry| load(entry)) {
            Some(entry) if !may_dial || load(entry) == (false, 0) => {
                entry.used = true;
                Step::Opened(entry.connection.open(method, options))
            }
            _ if may_dial => {
                *dialing += 1;
                Step::Dial(Dialing(Arc::clone(self)))
            }
            _ if *dialing > 0 => Step::Wait,
            _ => Step::Share,
        }
    }

    /// Runs a new connection and opens the call on it.
    fn start(
        self: &Arc<Self>,
        dialed: Dialed,
        method: &'static Method,
        options: &CallOptions,
        dialing: Dialing,
    ) -> Option<Result<RawCall>> {
        let Dialed { connection, driver } = dialed;
        let connection = Arc::new(connection);
        let mut state = self.lock();
        if state.over {
            drop(state);
            return None;
        }
        connection.start_worker();
        // Subscribed under the lock, so that a later close waits for this connection.
        let closed = self.closed.subscribe();
        let task = Arc::clone(self).run(driver, Arc::downgrade(&connection), closed);
        tokio::spawn(task);
        let call = connection.open(method, options);
        state.connections.push(Entry { connection, used: true });
        drop(state);
        drop(dialing);
        Some(call)
    }

    /// Runs a connection until it ends.
    async fn run(
        self: Arc<Self>,
        mut driver: ClientDriver,
        connection: Weak<Connection>,
        mut closed: watch::Receiver<Option<Error>>,
    ) {
        loop {
            // The sender outlives this task, so waiting for it cannot fail.
            let closing = async { drop(closed.wait_for(Option::is_some).await) };
            tokio::select! {
                reason = &mut driver => {
                    tracing::debug!(%reason, "a connection beside the shared one has ended");
                    return self.lock().forget_lost();
                }
                () = sleep(IDLE) => self.expire(&connection),
                () = closing => break,
            }
        }
        let reason = closed.borrow().clone();
        if let (Some(connection), Some(reason)) = (connection.upgrade(), reason) {
            let limit = self.dialer.options().close_timeout;
            tokio::select! {
                _ = &mut driver => return self.lock().forget_lost(),
                // Calls that have not ended by then are cut off.
                _ = timeout(limit, connection.drain(&reason)) => connection.close(),
            }
        }
        driver.await;
        self.lock().forget_lost();
    }

    /// Closes a connection that was not used since the last check.
    fn expire(&self, connection: &Weak<Connection>) {
        let mut state = self.lock();
        let is_it = |entry: &Entry| connection.ptr_eq(&Arc::downgrade(&entry.connection));
        let Some(index) = state.connections.iter().position(is_it) else { return };
        let entry = &mut state.connections[index];
        // A connection that was used since the last check, or is in use, stays for at least one more
        // period.
        let open = entry.connection.open_calls() > 0;
        if std::mem::replace(&mut entry.used, open) || open {
            return;
        }
        let unused = state.connections.swap_remove(index);
        // Dropping the connection closes it, outside the lock.
        drop(state);
        drop(unused);
    }

    /// Returns the number of open calls.
    pub(super) fn open_calls(&self) -> usize {
        self.lock().connections.iter().map(|entry| entry.connection.open_calls()).sum()
    }

    /// Closes the connections as the shared one is closed.
    pub(super) fn close(&self, reason: Error) {
        self.lock().over = true;
        self.closed.send_if_modified(|closed| {
            let changes = closed.is_none();
            closed.get_or_insert(reason);
            changes
        });
        self.changed.notify_waiters();
    }

    /// Waits until all connections have ended.
    pub(super) async fn all_ended(&self) {
        self.closed.closed().await;
    }

    /// Lets each connection close after its last call, because the channel was dropped.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.over = true;
        let connections = std::mem::take(&mut state.connections);
        // Dropped outside the lock.
        drop(state);
        drop(connections);
    }
}
