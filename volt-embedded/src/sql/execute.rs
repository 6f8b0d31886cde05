//! `Execute`, on a thread of its own: statements go in, rows come out.
//!
//! - A query answers with a header, then its rows; a statement that gives no rows only ends.
//! - With a page size, `next` is waited for after each full page while there are more rows.
//! - Without a transaction there is one statement, and the end comes by itself.
//! - Within a transaction each statement ends with `affected_rows` (0 for a query), so that the
//!   caller knows that it is done; then another `start` or the `end` is waited for. A transaction
//!   that is not ended with a commit, for whatever reason, is rolled back.

use tokio::sync::mpsc;
use volt_api::{
    Code, Status,
    data::{
        Column, DataType, RowHeader, SqlExecuteEnd, SqlExecuteResponse, SqlExecuteStart,
        sql_execute_request, sql_execute_response::Payload,
    },
};

use super::{Database, outbox::Putter, sql_status, values};
use crate::error::{Fault, Result, invalid};

/// What callers send, as it is in a request.
pub(crate) type Command = sql_execute_request::Payload;

/// One call of `Execute`.
pub(crate) struct Execution<'a> {
    pub(crate) database: &'a Database,
    /// What the caller sends after the start. Closed when there will be no more.
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) responses: Putter<SqlExecuteResponse>,
}

impl Execution<'_> {
    /// Runs the call to its end. Says whether it changed the database.
    pub(crate) fn run(mut self, start: &SqlExecuteStart) -> Result<bool> {
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
                        // By alias it may well be the same, but not even then is it needed.
                        return Err(invalid("a transaction stays with its database").into());
                    }
                    done = self.statement(&start)?;
                }
                Some(Command::End(SqlExecuteEnd { commit_transaction: true })) => {
                    self.database.commit()?;
                    return Ok(wrote);
                }
                // There is no next page.
                Some(Command::Next(_)) => {}
                _ => return Ok(false),
            }
        }
    }

    fn statement(&mut self, start: &SqlExecuteStart) -> Result<Done> {
        let connection = &self.database.connection;
        let before = connection.total_changes();
        let refused = |error: rusqlite::Error| Fault::from(sql_status(&error));
        let mut statement = self.database.prepare(&start.statement)?;
        values::bind(&mut statement, &start.parameter)?;
        let writes = !statement.readonly();
        let mut columns: Vec<_> = statement.columns().map(|one| column(&one)).collect();
        let width = columns.len();
        let mut interrupted_by = None;

        let mut rows = statement.raw_query();
        let mut row = rows.next().map_err(refused)?;
        if width > 0 {
            if let Some(first) = row {
                for (index, column) in columns.iter_mut().enumerate() {
                    // Expressions have no declared type, and clients go by the header.
                    if column.r#type() == DataType::Unknown {
                        let value = first.get_ref(index).map_err(refused)?;
                        column.r#type = values::value_type(value).into();
                    }
                }
            }
            self.respond(Payload::Header(RowHeader { column: columns }))?;
        }
        let mut in_page = 0;
        while let Some(current) = row {
            if start.page_size > 0 && in_page == start.page_size {
                match self.next_command() {
                    Some(Command::Next(_)) => in_page = 0,
                    other => {
                        // Nobody wants the rest. Without a command, there will be none.
                        interrupted_by = Some(other.unwrap_or_else(|| Command::End(rollback())));
                        break;
                    }
                }
            }
            self.respond(Payload::Row(values::row(current, width).map_err(refused)?))?;
            in_page += 1;
            row = rows.next().map_err(refused)?;
        }
        drop(rows);
        if start.transaction || self.in_transaction() {
            let affected = connection.total_changes() - before;
            self.respond(Payload::AffectedRows(u32::try_from(affected).unwrap_or(u32::MAX)))?;
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

    fn respond(&self, payload: Payload) -> Result<()> {
        let bytes = match &payload {
            Payload::Row(row) => values::size(row),
            _ => 0,
        };
        let response = SqlExecuteResponse { payload: Some(payload) };
        self.responses
            .put(response, bytes)
            .map_err(|_| Status::new(Code::Cancelled, "the caller is gone").into())
    }
}

/// How a statement ended.
struct Done {
    /// Whether it was one that changes something.
    writes: bool,
    /// What the caller sent before all rows were out.
    interrupted_by: Option<Command>,
}

fn rollback() -> SqlExecuteEnd {
    SqlExecuteEnd::default()
}

fn column(column: &rusqlite::Column<'_>) -> Column {
    let declared = column.decl_type().map_or(DataType::Unknown, values::declared_type);
    Column::default().with_name(column.name()).with_type(declared)
}
