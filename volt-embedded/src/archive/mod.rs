//! The content of sync databases and synapses: one SQLite file for each, separate from the Volt's store.
//!
//! A document is a log of updates. Each change is appended and committed before it is acknowledged or
//! passed on, so that a killed Volt loses none.

mod blobs;
pub(crate) mod descriptions;
pub(crate) mod log;
mod versions;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior, config::DbConfig};
use tokio::sync::watch;

use crate::error::{Result, not_found};

/// The time that a change waits for another connection's, such as a copy's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The memory for pages of the file, in KiB.
const CACHE: i64 = 256;

/// The file of a sync database or a synapse.
pub(crate) struct Archive {
    path: PathBuf,
    connection: Mutex<Connection>,
    /// Counts the changes in the file.
    changes: watch::Sender<u64>,
    /// Set when the resource was deleted. Its file may since belong to another resource.
    closed: AtomicBool,
}

impl Archive {
    /// Opens an existing file. With `durable`, each change is synced to disk.
    pub(crate) fn open(path: &Path, durable: bool) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", -CACHE)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_prepared_statement_cache_capacity(32);
        connection.execute_batch(include_str!("schema.sql"))?;
        Ok(Self {
            path: path.to_owned(),
            connection: Mutex::new(connection),
            changes: watch::Sender::new(0),
            closed: AtomicBool::new(false),
        })
    }

    /// Ends the use of the file, whose resource was deleted.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.changes.send_modify(|count| *count += 1);
    }

    fn connection(&self) -> Result<MutexGuard<'_, Connection>> {
        // If a panic poisoned the lock, its transaction was rolled back.
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // SQLite would keep writing to a deleted file, and every change would be lost.
        if self.closed.load(Ordering::Relaxed) || !self.path.exists() {
            let id = self.path.file_stem().unwrap_or_default().to_string_lossy().replace('+', ":");
            return Err(not_found("database", &id).into());
        }
        Ok(connection)
    }

    /// Reports each change in the file.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = self.connection()?;
        work(&connection)
    }

    /// Changes the file. If `work` fails, nothing has changed.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.connection()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        self.changes.send_modify(|count| *count += 1);
        Ok(done)
    }
}
