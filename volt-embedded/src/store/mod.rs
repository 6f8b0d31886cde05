//! The Volt's store: one SQLite file.
//!
//! Functions that read take a [`Connection`]; functions that write take a [`Tx`], which also
//! collects the events of the change. This module handles rows and knows nothing about callers and
//! their rights.
//!
//! One connection writes. A pool of connections reads, so that a long query does not delay other
//! calls, and one reader is reserved for authentication, which every call needs.

pub(crate) mod access;
pub(crate) mod events;
pub(crate) mod identities;
pub(crate) mod links;
pub(crate) mod open;
mod pool;
pub(crate) mod resources;
pub(crate) mod rows;
pub(crate) mod search;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod tombstones;
mod tx;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::broadcast;
use uuid::Uuid;

pub(crate) use self::tx::Tx;
use self::{
    events::{Event, Events},
    pool::Readers,
};
use crate::{error::Result, scope::Scope};

/// The store. The readers are closed before the writer, which then merges the write-ahead log.
pub(crate) struct Store {
    path: PathBuf,
    readers: Readers,
    writer: Mutex<Connection>,
    events: Events,
    /// The number of changes since the Volt started.
    changes: AtomicU64,
}

impl Store {
    /// Opens the store in this file. With `durable`, each change is synced to disk.
    pub(crate) fn open(path: &Path, durable: bool) -> Result<Self> {
        let writer = open::writer(path, durable)?;
        Ok(Self {
            path: path.to_owned(),
            readers: Readers::open(path)?,
            writer: Mutex::new(writer),
            events: Events::new(),
            changes: AtomicU64::new(0),
        })
    }

    /// Reads a consistent snapshot of the store for a caller. Queries stop when the scope ends.
    pub(crate) fn read<T>(
        &self,
        scope: &Scope,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        scope.check()?;
        let reader = self.readers.take(scope)?;
        let transaction = reader.connection()?.unchecked_transaction()?;
        let outcome = work(&transaction);
        // If the query was interrupted, return the reason instead of SQLite's error.
        if outcome.is_err() {
            scope.check()?;
        }
        outcome
    }

    /// Reads to authenticate a caller, without waiting for other calls' queries. The work must be
    /// short.
    pub(crate) fn read_for_authentication<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let connection = self.readers.authentication();
        let transaction = connection.unchecked_transaction()?;
        work(&transaction)
    }

    /// Changes the store. If `work` fails, nothing has changed.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        // If a panic poisoned the lock, its transaction was rolled back.
        let mut connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.path.exists() {
            // SQLite would keep writing to the deleted file, and every change would be lost.
            let message = format!("the store `{}` has been deleted", self.path.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, message).into());
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let tx = Tx::new(transaction);
        let done = work(&tx)?;
        let events = tx.commit(|| {
            self.changes.fetch_add(1, Ordering::Relaxed);
        })?;
        // Send while holding the lock, so that events arrive in the order of the changes.
        for event in events {
            self.events.send(event);
        }
        Ok(done)
    }

    /// Returns a counter that increases with every change. Rights that were checked at the same
    /// count are still valid.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Sends an event for a change outside the store.
    pub(crate) fn emit(&self, event: Event) {
        self.events.send(event);
    }

    /// Subscribes to all events from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Merges the write-ahead log into the store's file. Returns whether the whole log was merged.
    pub(crate) fn checkpoint(&self) -> Result<bool> {
        let connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))?;
        Ok(busy == 0)
    }
}

/// Returns a new DID.
pub(crate) fn new_did() -> String {
    format!("did:volt:{}", Uuid::new_v4())
}

/// Returns the current time, in milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
