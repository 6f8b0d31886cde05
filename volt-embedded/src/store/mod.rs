//! The Volt's store: one SQLite file.
//!
//! Reading functions take a [`Connection`], writing ones a [`Tx`], which also collects the events of
//! the change. This module knows rows, and nothing about callers and their rights.

pub(crate) mod access;
pub(crate) mod events;
pub(crate) mod identities;
pub(crate) mod links;
pub(crate) mod resources;
pub(crate) mod rows;
pub(crate) mod search;
pub(crate) mod sessions;
pub(crate) mod settings;

use std::{
    cell::RefCell,
    fs::File,
    io,
    ops::Deref,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::broadcast;
use uuid::Uuid;

use self::events::{Event, Events};
use crate::error::{Result, internal};

/// The version of the schema, kept in the file's `user_version`.
const VERSION: i64 = 1;

/// The store. One connection writes and another reads, so that looking something up, which every
/// call does, never waits for a long change.
pub(crate) struct Store {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    events: Events,
}

/// A change that takes place whole or not at all.
pub(crate) struct Tx<'a> {
    transaction: Transaction<'a>,
    events: RefCell<Vec<Event>>,
    afterwards: RefCell<Vec<Box<dyn FnOnce()>>>,
}

impl Tx<'_> {
    /// Does something once the change is made, and before the next one. Not if it fails.
    pub(crate) fn afterwards(&self, work: impl FnOnce() + 'static) {
        self.afterwards.borrow_mut().push(Box::new(work));
    }

    /// Says what happened. Subscribers hear of it once the change is made.
    pub(crate) fn emit(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.transaction
    }
}

/// Makes a file its owner's alone, and first makes it if it is not there. The Volt's keys are in it;
/// what SQLite puts beside it gets the same permissions.
fn make_private(path: &Path) -> io::Result<()> {
    let file = File::options().create(true).append(true).open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    drop(file);
    Ok(())
}

impl Store {
    /// Opens the store in this file, and makes it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        make_private(path)?;
        let writer = Connection::open(path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "synchronous", "NORMAL")?;
        let version: i64 = writer.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            0 => writer.execute_batch(&format!(
                "BEGIN; {} PRAGMA user_version = {VERSION}; COMMIT;",
                include_str!("schema.sql")
            ))?,
            VERSION => {}
            other => {
                let message = format!("the store has version {other}, this Volt needs {VERSION}");
                return Err(internal(message).into());
            }
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags)?;
        for connection in [&writer, &reader] {
            connection.pragma_update(None, "foreign_keys", true)?;
            // Wildcards tell upper and lower case apart, as equality does.
            connection.pragma_update(None, "case_sensitive_like", true)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.set_prepared_statement_cache_capacity(64);
        }
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader), events: Events::new() })
    }

    /// Looks something up, in one consistent state of the store.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = lock(&self.reader);
        let transaction = connection.unchecked_transaction()?;
        work(&transaction)
    }

    /// Changes something. When `work` fails, nothing has changed.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        let mut connection = lock(&self.writer);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let tx = Tx { transaction, events: RefCell::default(), afterwards: RefCell::default() };
        let done = work(&tx)?;
        let Tx { transaction, events, afterwards } = tx;
        transaction.commit()?;
        afterwards.into_inner().into_iter().for_each(|work| work());
        // Still under the lock, so that events come in the order of the changes.
        for event in events.into_inner() {
            self.events.send(event);
        }
        Ok(done)
    }

    /// Says what happened outside the store.
    pub(crate) fn emit(&self, event: Event) {
        self.events.send(event);
    }

    /// Everything that happens from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A transaction that a panic cut short was rolled back, so the connection is still good.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new DID.
pub(crate) fn new_did() -> String {
    format!("did:volt:{}", Uuid::new_v4())
}

/// Now, in milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
