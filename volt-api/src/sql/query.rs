//! One statement on a database.

use volt_runtime::Result;

use super::{
    Database,
    statement::{Statement, no_row, several_rows},
    transaction,
};
use crate::{
    operation::Operation,
    rows::{FromRow, FromValue, Rows},
    volt::AttributeValue,
};

/// The number of rows that are sent before the next page is requested.
const PAGE_SIZE: u32 = 1000;

/// A statement that has not been run yet, created by [`Database::query`]. Bind its parameters, then
/// run it with one of its async methods.
pub type Query = Operation<QueryStatement>;

/// The kind of a [`Query`].
#[derive(Debug)]
pub struct QueryStatement {
    database: Database,
    statement: Statement,
    page_size: u32,
}

impl Database {
    /// Prepares one statement of SQL. It runs when one of the query's methods is awaited: `fetch`,
    /// `fetch_all`, `fetch_one`, `fetch_optional` and `scalar` return rows, `execute` returns how
    /// many rows were changed.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// let shop = client.database("@shop");
    /// let names: Vec<(i64, String)> = shop
    ///     .query("SELECT id, name FROM article WHERE price < ? AND maker IS ?")
    ///     .bind(100)
    ///     .bind(None::<&str>)
    ///     .fetch_all()
    ///     .await?;
    /// let deleted = shop.query("DELETE FROM article WHERE price = 0").execute().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "insert")]
    #[doc(alias = "select")]
    pub fn query(&self, sql: impl Into<String>) -> Query {
        Operation::new(QueryStatement {
            database: self.clone(),
            statement: Statement::new(sql),
            page_size: PAGE_SIZE,
        })
    }
}

impl Query {
    /// Binds the next parameter that is written as `?`. In a statement that has named parameters too, each `?`
    /// must come before them: SQLite numbers it after all parameters to its left.
    #[doc(alias = "parameter")]
    pub fn bind(mut self, value: impl Into<AttributeValue>) -> Self {
        self.kind.statement.bind(value.into());
        self
    }

    /// Binds a named parameter, such as `:name`. The `:`, `@` or `$` may be left out.
    pub fn bind_as(mut self, name: impl Into<String>, value: impl Into<AttributeValue>) -> Self {
        self.kind.statement.bind_as(name, value.into());
        self
    }

    /// Sets how many rows are sent before the next ones are requested. Default: 1,000. With 0 the
    /// Volt sends all rows without waiting.
    pub fn page_size(mut self, rows: u32) -> Self {
        self.kind.page_size = rows;
        self
    }

    /// Runs the statement and returns its rows as a stream.
    ///
    /// # Errors
    ///
    /// Same as [`Rows::start`]. The Volt's answer to the statement arrives with the first row.
    ///
    /// # Cancel safety
    ///
    /// If the future or the stream is dropped, the statement is stopped. It may have run.
    pub async fn fetch<T: FromRow>(self) -> Result<Rows<T>> {
        let settings = self.settings.start();
        let QueryStatement { database, statement, page_size } = self.kind;
        let call = settings.apply(database.client.execute()).await?;
        let start = statement.into_start(&database.id).with_page_size(page_size);
        Rows::start(call, start).await
    }

    /// Runs the statement and returns all its rows.
    ///
    /// # Errors
    ///
    /// Fails if the Volt refuses the statement, it fails, or a row does not fit the type.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the statement is stopped. It may have run.
    pub async fn fetch_all<T: FromRow>(self) -> Result<Vec<T>> {
        self.fetch().await?.all().await
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
    pub async fn fetch_one<T: FromRow>(self) -> Result<T> {
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
    pub async fn fetch_optional<T: FromRow>(self) -> Result<Option<T>> {
        // A page of two rows is enough to distinguish one row from several.
        let mut rows = self.page_size(2).fetch().await?;
        let Some(row) = rows.row().await? else { return Ok(None) };
        // Reads to the end: a statement that also writes must not be cancelled after its first row.
        match rows.row().await? {
            None => Ok(Some(row)),
            Some(_) => Err(several_rows()),
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
    pub async fn scalar<T: FromValue>(self) -> Result<T> {
        self.fetch_one::<(T,)>().await.map(|(value,)| value)
    }

    /// Runs the statement in its own transaction and commits it. Returns how many rows it inserted,
    /// updated or deleted, including the work of triggers. Rows that it returns are discarded.
    ///
    /// A statement that SQLite refuses within a transaction, such as `VACUUM`, runs with
    /// [`fetch_all`](Self::fetch_all).
    ///
    /// # Errors
    ///
    /// Fails if the Volt refuses the statement or it fails; nothing is changed then. If the
    /// connection is lost, [`executed`](crate::Error::executed) reports whether it may have been
    /// committed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the statement may have been committed; otherwise it changes
    /// nothing.
    pub async fn execute(self) -> Result<u64> {
        let settings = self.settings.start();
        let QueryStatement { database, statement, .. } = self.kind;
        let call = settings.apply(database.client.execute()).await?;
        transaction::execute_one(call, statement.into_start(&database.id)).await
    }
}
