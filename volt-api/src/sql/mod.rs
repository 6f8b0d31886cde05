//! SQL in one line: statements with parameters, transactions and CSV imports.
//!
//! [`Client::database`] returns a [`Database`], whose methods start operations:
//!
//! ```no_run
//! # #[cfg(feature = "derive")]
//! # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
//! use volt_api::FromRow;
//!
//! #[derive(FromRow)]
//! struct Article {
//!     id: i64,
//!     name: String,
//! }
//!
//! let shop = client.database("@shop");
//! let cheap: Vec<Article> =
//!     shop.query("SELECT id, name FROM article WHERE price < ?").bind(100).fetch_all().await?;
//! let count: i64 = shop.query("SELECT count(*) FROM article").scalar().await?;
//!
//! let mut transaction = shop.transaction().await?;
//! transaction.query("UPDATE article SET price = price - 1").execute().await?;
//! transaction.query("INSERT INTO log VALUES (?)").bind("prices reduced").execute().await?;
//! transaction.commit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Rows convert to tuples and to types that derive `FromRow`: see [`rows`](crate::rows). Parameters
//! are texts, numbers, booleans, bytes, and `Option`s of these: see
//! [`AttributeValue`](crate::volt::AttributeValue). SQLite has no `u64`: convert with
//! `i64::try_from`.

mod import;
mod query;
mod statement;
mod transaction;

pub use self::{
    import::{CsvImport, ImportCsv},
    query::{Query, QueryStatement},
    transaction::{BeginTransaction, Transaction, TransactionQuery, TransactionStart},
};
use crate::{Client, data::SqliteDatabaseApiClient};

/// A handle to one SQLite database of a Volt, created by [`Client::database`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    client: SqliteDatabaseApiClient,
    id: String,
}

impl Client {
    /// Returns a handle to a database: a resource id or `@alias`. A wire that persists its messages
    /// is a database too. Makes no call: a database that does not exist is reported by the first
    /// statement.
    pub fn database(&self, id: impl Into<String>) -> Database {
        Database { client: self.sqlite_database(), id: id.into() }
    }
}

impl Database {
    /// The resource id or `@alias` of the database.
    pub fn id(&self) -> &str {
        &self.id
    }
}
