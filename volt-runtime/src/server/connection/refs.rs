//! References to a connection's calls, for the tasks that run them.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;

use crate::{
    proto::server::Connection,
    queue::Wakes,
    socket::{self, machine},
};

machine!(Connection);

pub(super) type Shared = socket::Shared<Connection>;

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
