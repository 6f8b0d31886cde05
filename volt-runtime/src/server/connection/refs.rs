//! References to a connection's calls, for the tasks that run them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;

use super::admission::Admission;
use crate::{
    proto::server::Connection,
    queue::Wakes,
    socket::{self, machine},
};

machine!(Connection);

pub(super) type Shared = socket::Shared<Connection>;

/// Returns the number of a new connection, unique within the process.
pub(in crate::server) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A reference to a connection, held by the tasks of its calls.
#[derive(Clone)]
pub(super) struct ConnectionRef {
    number: u64,
    shared: Arc<Shared>,
    admission: Arc<Admission>,
}

impl ConnectionRef {
    pub(super) fn new(shared: Arc<Shared>, admission: Arc<Admission>) -> Self {
        Self { number: next_number(), shared, admission }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Called when a call was admitted with a session.
    pub(super) fn authenticated(&self) {
        if !self.admission.is_admitted() {
            self.shared.with(Connection::authenticated);
            self.admission.admit();
        }
    }
}

/// A reference to a call, held by its handler's halves.
#[derive(Clone)]
pub(super) struct CallRef {
    shared: Arc<Shared>,
    id: u64,
}

impl CallRef {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Changes the machine of the call's connection, under its lock.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Connection) -> T) -> T {
        self.shared.with(change)
    }
}

/// Removes a call from its connection when its task ends, for any reason. A half that the handler
/// has moved elsewhere may outlive the task.
pub(super) struct Entry(CallRef);

impl Entry {
    pub(super) fn new(shared: Arc<Shared>, id: u64) -> Self {
        Self(CallRef { shared, id })
    }

    pub(super) fn call(&self) -> &CallRef {
        &self.0
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.with(|machine| machine.remove(self.0.id));
    }
}
