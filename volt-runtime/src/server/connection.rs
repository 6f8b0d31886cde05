//! A connection's calls, as the tasks that run them hold them.

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

/// Names a call of a connection, for the halves that its handler holds.
#[derive(Clone)]
pub(super) struct CallRef {
    shared: Arc<Shared>,
    id: u64,
}

impl CallRef {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Changes the machine of the call's connection.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Connection) -> T) -> T {
        self.shared.with(change)
    }
}

/// Removes a call from its connection when its task ends, however it ends. A handler may leave a half
/// behind that lives longer.
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
