//! SQL on the databases of callers.

pub(crate) mod csv;
pub(crate) mod execute;
pub(crate) mod outbox;
mod values;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rusqlite::{
    Connection, Error, ErrorCode, OpenFlags, Params, Statement,
    fallible_iterator::FallibleIterator as _,
    hooks::{AuthAction, AuthContext, Authorization},
};
use volt_api::{Code, Status};

use crate::error::{Fault, Result, denied, internal, invalid};

/// A caller's database, for one call.
///
/// Callers' SQL can do what it likes within the database. It cannot open other files, and leaves
/// transactions to the API, which could not promise anything about them otherwise.
pub(crate) struct Database {
    connection: Connection,
    id: String,
    writable: bool,
    /// Whether the statement at hand is this program's own.
    own: Arc<AtomicBool>,
    /// Whether the caller is gone.
    left: Arc<AtomicBool>,
}

/// How many of SQLite's own instructions pass between two looks at whether the caller is gone.
const INSTRUCTIONS: i32 = 10_000;

/// Stops what a database does for a caller when that caller is gone, that is, when it is dropped.
///
/// An interrupt would not do: it is lost on a statement that is just about to begin.
pub(crate) struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Database {
    /// Opens the database in this file, and makes it if it is not there.
    pub(crate) fn open(path: &Path, id: String, writable: bool) -> Result<Self> {
        if !path.exists() {
            make(path)?;
        }
        let access = if writable {
            OpenFlags::SQLITE_OPEN_READ_WRITE
        } else {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        let own = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&own);
        connection.authorizer(Some(move |context: AuthContext<'_>| match context.action {
            AuthAction::Attach { .. } | AuthAction::Detach { .. } => Authorization::Deny,
            AuthAction::Transaction { .. } | AuthAction::Savepoint { .. }
                if !flag.load(Ordering::Relaxed) =>
            {
                Authorization::Deny
            }
            _ => Authorization::Allow,
        }))?;
        let left = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&left);
        connection.progress_handler(INSTRUCTIONS, Some(move || flag.load(Ordering::Relaxed)))?;
        Ok(Self { connection, id, writable, own, left })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// What stops the database when the caller is gone.
    pub(crate) fn stop_on_drop(&self) -> StopOnDrop {
        StopOnDrop(Arc::clone(&self.left))
    }

    /// Starts a transaction. It is rolled back unless it is [committed](Self::commit).
    pub(crate) fn begin(&self) -> Result<()> {
        self.own(if self.writable { "BEGIN IMMEDIATE" } else { "BEGIN" })
    }

    pub(crate) fn commit(&self) -> Result<()> {
        self.own("COMMIT")
    }

    fn own(&self, sql: &str) -> Result<()> {
        self.own.store(true, Ordering::Relaxed);
        let outcome = self.connection.execute_batch(sql);
        self.own.store(false, Ordering::Relaxed);
        outcome.map_err(|error| sql_status(&error).into())
    }

    /// Runs a statement for what it changes; rows that it gives are dropped.
    pub(crate) fn run(&self, sql: &str) -> Result<()> {
        let mut statement = self.prepare(sql)?;
        values::bind(&mut statement, &BTreeMap::new())?;
        let mut rows = statement.raw_query();
        while rows.next().map_err(|error| sql_status(&error))?.is_some() {}
        Ok(())
    }

    /// Runs an insert of this program's own.
    pub(crate) fn insert(&self, sql: &str, values: impl Params) -> Result<()> {
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Prepares one statement.
    fn prepare(&self, sql: &str) -> Result<Statement<'_>> {
        let refused = |error: Error| Fault::from(sql_status(&error));
        let mut batch = rusqlite::Batch::new(&self.connection, sql);
        let statement = batch.next().map_err(refused)?;
        let statement = statement.ok_or_else(|| invalid("the statement is missing"))?;
        match batch.next() {
            Ok(None) => Ok(statement),
            // What is wrong with the second does not matter.
            _ => Err(invalid("one statement at a time: this is several").into()),
        }
    }
}

fn make(path: &Path) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // Readers and a writer then do not wait for one another. The mode stays with the file.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    Ok(())
}

/// What a caller hears of an SQL error.
pub(crate) fn sql_status(error: &Error) -> Status {
    let message = match error {
        Error::SqlInputError { msg, .. } => msg.clone(),
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly) => denied("`volt:database-write` is not permitted"),
        Some(ErrorCode::AuthorizationForStatementDenied) => denied(
            "not in SQL: use `transaction` and `end` for transactions; databases cannot be attached",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Status::new(Code::Aborted, "another call is changing the database")
        }
        Some(ErrorCode::OperationInterrupted) => Status::new(Code::Cancelled, message),
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseCorrupt | ErrorCode::SystemIoFailure) => {
            internal(message)
        }
        _ => invalid(message),
    }
}

/// A name as SQL wants it, whatever is in it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
