//! `Execute`: runs statements on their own thread.
//!
//! - A query returns a header and its rows; a statement without rows returns nothing.
//! - With a page size, the call waits for `next` after each full page while there are more rows.
//! - Without a transaction, the call runs one statement and then ends.
//! - Within a transaction, each statement ends with `affected_rows` (0 for a query), and the call
//!   waits for another `start` or the `end`. A transaction that does not end with a commit is
//!   rolled back.

use tokio::sync::mpsc;
use volt_api::{
    Code, Status,
    data::{
        Column, DataType, RowHeader, SqlExecuteEnd, SqlExecuteResponse, SqlExecuteStart,
        sql_execute_request, sql_execute_response::Payload,
    },
};

use super::{Database, outbox::Putter, values};
use crate::error::{Result, invalid};

/// A command from the caller.
pub(crate) type Command = sql_execute_request::Payload;

/// One call of `Execute`.
pub(crate) struct Execution<'a> {
    pub(crate) database: &'a Database,
    /// The commands after the start. The channel closes after the last one.
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) responses: Putter<SqlExecuteResponse>,
}

impl Execution<'_> {
    /// Runs the call to completion. `recheck` checks the caller's right to write again before a
    /// transaction is committed. Returns whether the database has changed.
    pub(crate) fn run(
        mut self,
        start: &SqlExecuteStart,
        recheck: impl Fn() -> Result<()>,
    ) -> Result<bool> {
        if !start.transaction {
            let before = self.database.connection.total_changes();
            let writes = self.statement(start)?.writes;
            return Ok(writes || self.database.connection.total_changes() != before);
        }
        self.database.begin()?;
        let mut wrote = false;
        let mut done = self.statement(start)?;
        loop {
            wrote |= done.writes;
            let command = match done.interrupted_by.take() {
                Some(command) => Some(command),
                None => self.next_command(),
            };
            match command {
                Some(Command::Start(start)) => {
                    if !start.database_id.is_empty() && start.database_id != self.database.id() {
                        return Err(invalid("a transaction cannot change its database").into());
                    }
                    done = self.statement(&start)?;
                }
                Some(Command::End(SqlExecuteEnd { commit_transaction: true, .. })) => {
                    if wrote {
                        // The right may have been revoked since the transaction began.
                        recheck()?;
                    }
                    self.database.restart_timer();
                    self.database.commit()?;
                    return Ok(wrote);
                }
                // The statement has no more pages.
                Some(Command::Next(_)) => {}
                _ => return Ok(false),
            }
        }
    }

    fn statement(&mut self, start: &SqlExecuteStart) -> Result<Done> {
        let connection = &self.database.connection;
        let before = connection.total_changes();
        let refused = |error: rusqlite::Error| self.database.fault(&error);
        self.database.restart_timer();
        let (mut statement, mut memory) =
            self.database.prepare(&start.statement, &start.parameter)?;
        self.database.bind(&mut statement, &start.parameter)?;
        let writes = !statement.readonly();
        let mut columns: Vec<_> = statement.columns().map(|one| column(&one)).collect();
        let width = columns.len();
        let mut interrupted_by = None;

        let mut rows = statement.raw_query();
        let mut row = rows.next().map_err(refused)?;
        if width > 0 {
            if let Some(first) = row {
                for (index, column) in columns.iter_mut().enumerate() {
                    // Expressions have no declared type, and clients read the header.
                    if column.r#type() == DataType::Unknown {
                        let value = first.get_ref(index).map_err(refused)?;
                        column.r#type = values::value_type(value).into();
                    }
                }
            }
            self.respond(Payload::Header(RowHeader::default().with_column(columns)), 0)?;
        }
        let mut in_page = 0;
        while let Some(current) = row {
            if start.page_size > 0 && in_page == start.page_size {
                match self.next_command() {
                    Some(Command::Next(_)) => in_page = 0,
                    other => {
                        // The caller does not want the remaining rows.
                        interrupted_by = Some(other.unwrap_or_else(|| Command::End(rollback())));
                        break;
                    }
                }
            }
            let size = values::size(current, width).map_err(refused)?;
            memory.hold_row(size as u64)?;
            self.respond(Payload::Row(values::row(current, width).map_err(refused)?), size)?;
            in_page += 1;
            // The time that the caller takes to read a row does not count.
            self.database.restart_timer();
            row = rows.next().map_err(refused)?;
        }
        drop(rows);
        if start.transaction || self.in_transaction() {
            let affected = connection.total_changes() - before;
            let affected = u32::try_from(affected).unwrap_or(u32::MAX);
            self.respond(Payload::AffectedRows(affected), 0)?;
        }
        Ok(Done { writes, interrupted_by })
    }

    fn in_transaction(&self) -> bool {
        !self.database.connection.is_autocommit()
    }

    fn next_command(&mut self) -> Option<Command> {
        self.responses.flush();
        self.commands.blocking_recv()
    }

    fn respond(&self, payload: Payload, bytes: usize) -> Result<()> {
        let response =
            SqlExecuteResponse { payload: Some(payload), ..SqlExecuteResponse::default() };
        self.responses
            .put(response, bytes)
            .map_err(|_| Status::new(Code::Cancelled, "the caller has ended the call").into())
    }
}

/// The outcome of a statement.
struct Done {
    /// Set if the statement may change something.
    writes: bool,
    /// The command that the caller sent before reading all rows.
    interrupted_by: Option<Command>,
}

fn rollback() -> SqlExecuteEnd {
    SqlExecuteEnd::default()
}

fn column(column: &rusqlite::Column<'_>) -> Column {
    let declared = column.decl_type().map_or(DataType::Unknown, values::declared_type);
    Column::default().with_name(column.name()).with_type(declared)
}
