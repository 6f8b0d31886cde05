//! Transactions: several statements that all take effect, or none.
//!
//! Not every Volt reports the rows that a statement affected, and without that report nothing marks
//! the end of a statement that returns no rows. Each statement is therefore followed by one that
//! reads SQLite's counter of changes: its answer marks the end and carries the count.

use std::future::IntoFuture;

use uuid::Uuid;
use volt_runtime::{Duplex, Error, Result, transport::BoxFuture};

use super::{
    Database,
    statement::{Statement, no_row, several_rows},
};
use crate::{
    data::{
        SqlExecuteEnd, SqlExecuteRequest, SqlExecuteResponse, SqlExecuteStart,
        sql_execute_response::Payload,
    },
    operation::Operation,
    rows::{FromRow, FromValue, RowDecoder},
    volt::AttributeValue,
};

type Call = Duplex<SqlExecuteRequest, SqlExecuteResponse>;

/// The statement after each of the others: it counts the changes. Its column has a random name, which
/// no other statement's result has.
#[derive(Debug)]
struct Mark(String);

impl Mark {
    fn new() -> Self {
        Self(format!("volt:{}", Uuid::new_v4()))
    }

    fn start(&self) -> SqlExecuteStart {
        SqlExecuteStart::default()
            .with_statement(format!("SELECT total_changes() AS \"{}\"", self.0))
    }
}

/// A transaction that has not been opened yet, created by [`Database::transaction`]. Await it for
/// the [`Transaction`].
pub type BeginTransaction = Operation<TransactionStart>;

/// The kind of a [`BeginTransaction`].
#[derive(Debug)]
pub struct TransactionStart(Database);

impl Database {
    /// Opens a transaction: its statements take effect together when it is committed. A timeout
    /// covers the whole transaction, up to its commit.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// let mut transaction = client.database("@bank").transaction().await?;
    /// for (account, amount) in [("anna", -5), ("ben", 5)] {
    ///     transaction
    ///         .query("UPDATE account SET balance = balance + ? WHERE name = ?")
    ///         .bind(amount)
    ///         .bind(account)
    ///         .execute()
    ///         .await?;
    /// }
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn transaction(&self) -> BeginTransaction {
        Operation::new(TransactionStart(self.clone()))
    }
}

impl IntoFuture for BeginTransaction {
    type Output = Result<Transaction>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the Volt refuses it, or another transaction locks the database for too long.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the transaction is rolled back.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let TransactionStart(database) = self.kind;
            let mut call = settings.apply(database.client.execute()).await?;
            let mark = Mark::new();
            let begin = mark.start().with_database_id(database.id).with_transaction(true);
            send(&mut call, begin).await?;
            let changes = read_to_mark(&mut call, &mark, |_| Ok(())).await?;
            Ok(Transaction { call, mark, changes, state: State::Ready })
        })
    }
}

/// An open transaction. It locks the database for other writers, so keep it short.
///
/// Only [`commit`](Self::commit) keeps its changes. It is rolled back when it is dropped, when its
/// connection is lost, when its deadline passes, and when one of its statements fails.
#[derive(Debug)]
pub struct Transaction {
    call: Call,
    mark: Mark,
    /// SQLite's counter of changes after the last statement.
    changes: i64,
    state: State,
}

#[derive(Debug)]
enum State {
    Ready,
    /// A statement is running. If its future is dropped, its answers remain unread.
    Busy,
    Failed(Error),
}

impl Transaction {
    /// Prepares one statement, which runs when one of its async methods is awaited.
    pub fn query(&mut self, sql: impl Into<String>) -> TransactionQuery<'_> {
        TransactionQuery { transaction: self, statement: Statement::new(sql) }
    }

    /// Commits the transaction: when this returns `Ok`, its changes are kept.
    ///
    /// # Errors
    ///
    /// Fails if the transaction has failed already, with the same error; it is rolled back then. If
    /// the connection is lost meanwhile, [`executed`](Error::executed) reports whether it may have
    /// been committed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the transaction may or may not have been committed.
    pub async fn commit(self) -> Result<()> {
        self.check()?;
        self.end(true).await
    }

    /// Rolls the transaction back and waits until the Volt has done so, unless a statement was dropped
    /// before it had finished. Dropping the transaction rolls it back too, without waiting.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost. The transaction is rolled back in any case.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the transaction is rolled back.
    pub async fn rollback(self) -> Result<()> {
        // A transaction that has failed is rolled back already.
        if self.check().is_err() {
            return Ok(());
        }
        self.end(false).await
    }

    async fn end(mut self, commit: bool) -> Result<()> {
        let end = SqlExecuteEnd::default().with_commit_transaction(commit);
        self.call.send(SqlExecuteRequest::default().with_end(end)).await?;
        self.call.finish().await.map(drop)
    }

    fn check(&self) -> Result<()> {
        match &self.state {
            State::Ready => Ok(()),
            State::Busy => Err(Error::configuration(
                "the transaction is rolled back: a statement was dropped before it had finished",
            )),
            State::Failed(error) => Err(error.clone()),
        }
    }

    /// Runs a statement, passes its responses on, and returns how many rows it changed.
    async fn run(
        &mut self,
        statement: Statement,
        on_response: impl FnMut(&SqlExecuteResponse) -> Result<()> + Send,
    ) -> Result<u64> {
        self.check()?;
        self.state = State::Busy;
        let outcome = run(&mut self.call, &self.mark, statement.into_start(""), on_response).await;
        match outcome {
            Ok(changes) => {
                self.state = State::Ready;
                let before = std::mem::replace(&mut self.changes, changes);
                Ok(affected(before, changes))
            }
            Err(error) => {
                self.state = State::Failed(error.clone());
                Err(error)
            }
        }
    }
}

/// A statement of a [`Transaction`] that has not been run yet. Bind its parameters, then run it with
/// one of its async methods.
///
/// If the Volt refuses the statement, or the future is dropped before it has finished, the
/// transaction is rolled back. A row that does not fit its type leaves the transaction open.
#[derive(Debug)]
#[must_use = "a query does nothing until one of its methods is awaited"]
pub struct TransactionQuery<'t> {
    transaction: &'t mut Transaction,
    statement: Statement,
}

impl TransactionQuery<'_> {
    /// Binds the next parameter that is written as `?`. In a statement that has named parameters too, each `?`
    /// must come before them: SQLite numbers it after all parameters to its left.
    pub fn bind(mut self, value: impl Into<AttributeValue>) -> Self {
        self.statement.bind(value.into());
        self
    }

    /// Binds a named parameter, such as `:name`. The `:`, `@` or `$` may be left out.
    pub fn bind_as(mut self, name: impl Into<String>, value: impl Into<AttributeValue>) -> Self {
        self.statement.bind_as(name, value.into());
        self
    }

    /// Runs the statement and returns all its rows. They are sent without pages: a result of many
    /// megabytes is better read outside of a transaction.
    ///
    /// # Errors
    ///
    /// Fails if the transaction has failed, the Volt refuses the statement, or a row does not fit.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the transaction is rolled back.
    pub async fn fetch_all<T: FromRow + Send>(self) -> Result<Vec<T>> {
        let mut decoder = RowDecoder::<T>::default();
        let mut rows = Vec::new();
        let mut misfit = None;
        let decode = |response: &SqlExecuteResponse| {
            match decoder.decode(response) {
                Ok(row) => rows.extend(row),
                // The responses are read to the end, so that the transaction can continue.
                Err(error) => _ = misfit.get_or_insert(error),
            }
            Ok(())
        };
        self.transaction.run(self.statement, decode).await?;
        match misfit {
            Some(error) => Err(error.into()),
            None => Ok(rows),
        }
    }

    /// Runs the statement and returns its single row.
    ///
    /// # Errors
    ///
    /// Same as [`fetch_all`](Self::fetch_all); also fails if there is no row or more than one.
    ///
    /// # Cancel safety
    ///
    /// Same as [`fetch_all`](Self::fetch_all).
    pub async fn fetch_one<T: FromRow + Send>(self) -> Result<T> {
        self.fetch_optional().await?.ok_or_else(no_row)
    }

    /// Runs the statement and returns its row, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// Same as [`fetch_all`](Self::fetch_all); also fails if there is more than one row.
    ///
    /// # Cancel safety
    ///
    /// Same as [`fetch_all`](Self::fetch_all).
    pub async fn fetch_optional<T: FromRow + Send>(self) -> Result<Option<T>> {
        let mut rows = self.fetch_all().await?.into_iter();
        match (rows.next(), rows.next()) {
            (row, None) => Ok(row),
            _ => Err(several_rows()),
        }
    }

    /// Runs the statement and returns the first column of its single row.
    ///
    /// # Errors
    ///
    /// Same as [`fetch_one`](Self::fetch_one).
    ///
    /// # Cancel safety
    ///
    /// Same as [`fetch_all`](Self::fetch_all).
    pub async fn scalar<T: FromValue + Send>(self) -> Result<T> {
        self.fetch_one::<(T,)>().await.map(|(value,)| value)
    }

    /// Runs the statement and returns how many rows it inserted, updated or deleted, including the
    /// work of triggers. Rows that it returns are discarded.
    ///
    /// # Errors
    ///
    /// Fails if the transaction has failed, or the Volt refuses the statement.
    ///
    /// # Cancel safety
    ///
    /// Same as [`fetch_all`](Self::fetch_all).
    pub async fn execute(self) -> Result<u64> {
        self.transaction.run(self.statement, |_| Ok(())).await
    }
}

/// Runs one statement in its own transaction and commits it. Everything is sent at once.
pub(super) async fn execute_one(mut call: Call, mut start: SqlExecuteStart) -> Result<u64> {
    // Only the first statement names the database.
    let database = std::mem::take(&mut start.database_id);
    let mark = Mark::new();
    send(&mut call, mark.start().with_database_id(database).with_transaction(true)).await?;
    send(&mut call, start).await?;
    send(&mut call, mark.start()).await?;
    let end = SqlExecuteEnd::default().with_commit_transaction(true);
    call.send(SqlExecuteRequest::default().with_end(end)).await?;
    let before = read_to_mark(&mut call, &mark, |_| Ok(())).await?;
    let after = read_to_mark(&mut call, &mark, |_| Ok(())).await?;
    call.finish().await?;
    Ok(affected(before, after))
}

/// Runs a statement and the one that marks its end. Returns SQLite's counter after it.
async fn run(
    call: &mut Call,
    mark: &Mark,
    start: SqlExecuteStart,
    on_response: impl FnMut(&SqlExecuteResponse) -> Result<()> + Send,
) -> Result<i64> {
    send(call, start).await?;
    send(call, mark.start()).await?;
    read_to_mark(call, mark, on_response).await
}

async fn send(call: &mut Call, start: SqlExecuteStart) -> Result<()> {
    call.send(SqlExecuteRequest::default().with_start(start)).await
}

/// Passes responses on, up to those of the next mark. Returns the counter in it.
async fn read_to_mark(
    call: &mut Call,
    mark: &Mark,
    mut on_response: impl FnMut(&SqlExecuteResponse) -> Result<()> + Send,
) -> Result<i64> {
    let mut counter = RowDecoder::<(i64,)>::default();
    let mut marked = false;
    while let Some(response) = call.message().await? {
        if let Some(Payload::Header(header)) = &response.payload {
            marked = matches!(&*header.column, [only] if only.name == mark.0);
        }
        if !marked {
            on_response(&response)?;
        } else if let Some((changes,)) = counter.decode(&response)? {
            return Ok(changes);
        }
    }
    Err(Error::protocol("the Volt ended the transaction before it was committed"))
}

fn affected(before: i64, after: i64) -> u64 {
    u64::try_from(after.saturating_sub(before)).unwrap_or_default()
}
