//! The store's readers: a pool of connections for calls, and one connection for authentication.

use std::{
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OpenFlags};

use super::open::configure;
use crate::{
    error::{Result, internal},
    scope::Scope,
};

/// The maximum number of readers, not counting the one for authentication.
const MAX_READERS: usize = 32;
/// The number of unused readers that stay open.
const IDLE_READERS: usize = 4;
/// The number of SQLite instructions between two checks of a reader's scope.
const INSTRUCTIONS: i32 = 10_000;

/// The readers of a store.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Idle>,
    returned: Condvar,
    /// Reserved for authentication, which every call needs and which must not wait for queries.
    authentication: Mutex<Connection>,
}

#[derive(Default)]
struct Idle {
    connections: Vec<Connection>,
    /// The number of readers, in use or idle.
    count: usize,
}

/// A reader taken from the pool. It is returned when dropped.
pub(super) struct Reader<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            idle: Mutex::default(),
            returned: Condvar::new(),
            authentication: Mutex::new(connect(path)?),
        })
    }

    /// Locks the connection reserved for authentication. The work must be short.
    pub(super) fn authentication(&self) -> MutexGuard<'_, Connection> {
        // If a panic poisoned the lock, its transaction was rolled back.
        self.authentication.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a reader, opening a new one if all are in use. Waits if the maximum is reached. The
    /// reader's queries stop when the scope ends.
    pub(super) fn take(&self, scope: &Scope) -> Result<Reader<'_>> {
        let full = |idle: &mut Idle| idle.connections.is_empty() && idle.count >= MAX_READERS;
        let mut idle =
            self.returned.wait_while(self.idle(), full).unwrap_or_else(PoisonError::into_inner);
        let connection = idle.connections.pop();
        idle.count += usize::from(connection.is_none());
        drop(idle);
        // From here on, dropping the reader frees its slot, even after an error.
        let mut reader = Reader { readers: self, connection };
        let mut connection = match reader.connection.take() {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        let scope = scope.clone();
        let outcome = connection.progress_handler(INSTRUCTIONS, Some(move || scope.is_over()));
        reader.connection = Some(connection);
        outcome?;
        Ok(reader)
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        // Each change is a single operation, so a poisoned list is still consistent.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// Returns the connection. A reader that [`Readers::take`] returned has one.
    pub(super) fn connection(&self) -> Result<&Connection> {
        let missing = || internal("a reader of the store is not connected");
        Ok(self.connection.as_ref().ok_or_else(missing)?)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut idle = self.readers.idle();
        match self.connection.take() {
            Some(connection) if idle.connections.len() < IDLE_READERS => {
                idle.connections.push(connection);
            }
            _ => idle.count -= 1,
        }
        drop(idle);
        self.readers.returned.notify_one();
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection)?;
    Ok(connection)
}
