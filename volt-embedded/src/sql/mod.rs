//! Runs SQL on callers' databases.

mod cost;
pub(crate) mod csv;
pub(crate) mod execute;
mod functions;
pub(crate) mod memory;
pub(crate) mod outbox;
pub(crate) mod policy;
mod values;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{
    Connection, Error, ErrorCode, OpenFlags, Params, Statement, StatementStatus,
    fallible_iterator::FallibleIterator as _, limits::Limit,
};
use volt_api::{Code, Status, volt::AttributeValue};

use self::memory::{Memory, Reservation};
use crate::{
    error::{Fault, Result, denied, exhausted, full, internal, invalid, not_found},
    scope::Scope,
};

/// The number of SQLite instructions between two checks of the scope and the time limit. Each of them
/// may be a function that takes seconds.
const INSTRUCTIONS: i32 = 100;
/// The time that a statement waits for another call's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Options for opening a database.
pub(crate) struct OpenOptions {
    /// The id of the database's resource.
    pub(crate) id: String,
    /// Set if the caller may change the database.
    pub(crate) writable: bool,
    /// Stops statements when the call ends.
    pub(crate) scope: Scope,
    /// The time limit for a statement to produce its next row.
    pub(crate) time_limit: Duration,
    /// The longest text or blob, in bytes. The memory and the work of a statement are limited in
    /// proportion.
    pub(crate) longest_value: i32,
    /// The memory of the caller's queries.
    pub(crate) memory: Memory,
}

/// A caller's database, opened for one call.
pub(crate) struct Database {
    connection: Connection,
    path: PathBuf,
    options: OpenOptions,
    /// True while the connection runs one of the Volt's own statements.
    own: Arc<AtomicBool>,
    timer: Timer,
}

impl Database {
    /// Opens the database in this file.
    pub(crate) fn open(path: &Path, options: OpenOptions) -> Result<Self> {
        let access = if options.writable {
            OpenFlags::SQLITE_OPEN_READ_WRITE
        } else {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags);
        // It may have been deleted a moment ago.
        let mut connection = opened.map_err(|error| {
            let gone = || not_found("database", &options.id).into();
            if path.exists() { Fault::from(error) } else { gone() }
        })?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let own = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&own);
        let longest_value = options.longest_value;
        policy::apply(&mut connection, longest_value, move || flag.load(Ordering::Relaxed))?;
        let timer = Timer::default();
        let (clock, scope) = (timer.clone(), options.scope.clone());
        // SQLite's interrupt would not affect a statement that has yet to start.
        let stop = move || scope.is_over() || clock.has_expired();
        functions::bound(&connection, longest_value, stop.clone())?;
        connection.progress_handler(INSTRUCTIONS, Some(stop))?;
        Ok(Self { connection, path: path.to_owned(), options, own, timer })
    }

    pub(crate) fn id(&self) -> &str {
        &self.options.id
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.options.writable
    }

    /// Restarts the time limit.
    pub(crate) fn restart_timer(&self) {
        self.timer.start(self.options.time_limit);
    }

    /// Begins a transaction, which is rolled back unless it is [committed](Self::commit).
    pub(crate) fn begin(&self) -> Result<()> {
        self.own(if self.is_writable() { "BEGIN IMMEDIATE" } else { "BEGIN" })
    }

    pub(crate) fn commit(&self) -> Result<()> {
        self.own("COMMIT")
    }

    fn own(&self, sql: &str) -> Result<()> {
        self.own.store(true, Ordering::Relaxed);
        let outcome = self.connection.execute_batch(sql);
        self.own.store(false, Ordering::Relaxed);
        outcome.map_err(|error| self.fault(&error))
    }

    /// Runs a statement and discards its rows.
    pub(crate) fn run(&self, sql: &str) -> Result<()> {
        let parameters = BTreeMap::new();
        let (mut statement, _memory) = self.prepare(sql, &parameters)?;
        self.bind(&mut statement, &parameters)?;
        let mut rows = statement.raw_query();
        while rows.next().map_err(|error| self.fault(&error))?.is_some() {}
        self.demand_file()
    }

    /// Runs an insert that belongs to the Volt, not to the caller.
    pub(crate) fn insert(&self, sql: &str, values: impl Params) -> Result<()> {
        self.restart_timer();
        let mut memory = self.options.memory.reserve(0)?;
        let insert = || {
            let mut insert = self.connection.prepare_cached(sql)?;
            // The table and its triggers are the caller's.
            let longest_value = self.options.longest_value;
            cost::bound(&self.connection, sql, longest_value, |bytes| memory.add_up_to(bytes))?;
            insert.execute(values)
        };
        insert().map_err(|error| self.fault(&error))?;
        self.demand_file()
    }

    /// Fails if the database has been deleted. SQLite would keep writing to the deleted file.
    fn demand_file(&self) -> Result<()> {
        if self.path.exists() {
            return Ok(());
        }
        Err(not_found("database", self.id()).into())
    }

    /// Prepares a single statement, and bounds the length of its values by the number that it can
    /// hold. The memory is reserved for these parameters, too.
    fn prepare(
        &self,
        sql: &str,
        parameters: &BTreeMap<String, AttributeValue>,
    ) -> Result<(Statement<'_>, Reservation)> {
        let mut batch = rusqlite::Batch::new(&self.connection, sql);
        let statement = batch.next().map_err(|error| self.fault(&error))?;
        let statement = statement.ok_or_else(|| invalid("the statement is missing"))?;
        // Errors in the second statement are irrelevant.
        if !matches!(batch.next(), Ok(None)) {
            return Err(invalid("expected one statement, got several").into());
        }
        let program = u64::try_from(statement.get_status(StatementStatus::MemUsed)).unwrap_or(0);
        // Both the request and SQLite hold the parameters.
        let fixed = program + 2 * values::total_size(parameters);
        let mut memory = self.options.memory.reserve(fixed)?;
        if statement.is_explain() == 0 {
            let longest_value = self.options.longest_value;
            cost::bound(&self.connection, sql, longest_value, |bytes| memory.add_up_to(bytes))
                .map_err(|error| self.fault(&error))?;
        }
        Ok((statement, memory))
    }

    fn bind(
        &self,
        statement: &mut Statement<'_>,
        parameters: &BTreeMap<String, AttributeValue>,
    ) -> Result<()> {
        for (index, value) in values::assign(statement, parameters)? {
            statement.raw_bind_parameter(index, value).map_err(|error| self.fault(&error))?;
        }
        Ok(())
    }

    /// Maps a SQLite error to the status that the caller receives.
    fn fault(&self, error: &Error) -> Fault {
        let message = match error {
            Error::SqlInputError { msg, .. } => msg.clone(),
            Error::SqliteFailure(_, Some(message)) => message.clone(),
            other => other.to_string(),
        };
        let status = match error.sqlite_error_code() {
            // SQLite reports a deleted file as one of several errors.
            Some(_) if !self.path.exists() => not_found("database", self.id()),
            Some(ErrorCode::ReadOnly) => denied("`volt:database-write` is not permitted"),
            Some(ErrorCode::AuthorizationForStatementDenied) => denied(
                "the statement is not permitted: use `transaction` and `end` for transactions; \
                 databases cannot be attached, and most pragmas cannot be used",
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Status::new(Code::Aborted, "another call is changing the database")
            }
            Some(ErrorCode::OperationInterrupted) => match self.options.scope.check() {
                Err(status) => status,
                Ok(()) => Status::new(
                    Code::DeadlineExceeded,
                    format!("the statement ran for longer than {:?}", self.options.time_limit),
                ),
            },
            Some(ErrorCode::TooBig) => {
                let limit = self.connection.limit(Limit::SQLITE_LIMIT_LENGTH);
                let limit = limit.unwrap_or(self.options.longest_value);
                exhausted(format!(
                    "{message}: a value of this statement may have at most {limit} bytes; fewer \
                     expressions and fewer open queries permit longer values"
                ))
            }
            Some(ErrorCode::ConstraintViolation) => Status::new(Code::FailedPrecondition, message),
            Some(ErrorCode::DiskFull) => full(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::SystemIoFailure) => {
                tracing::error!(database = self.id(), %error, "a database failed");
                internal(message)
            }
            _ => invalid(message),
        };
        status.into()
    }
}

/// Creates an empty database in a new file.
pub(crate) fn create(path: &Path) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // In WAL mode, readers and a writer do not block each other. The file keeps the mode.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    Ok(())
}

/// Quotes a name for SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The time limit of a running statement. Clones share it.
#[derive(Clone, Default)]
struct Timer(Arc<Mutex<Option<Instant>>>);

impl Timer {
    fn start(&self, limit: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now().checked_add(limit);
    }

    fn has_expired(&self) -> bool {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| until <= Instant::now())
    }
}
