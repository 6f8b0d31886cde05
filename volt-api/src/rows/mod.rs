//! Converts rows of SQL to your own types.
//!
//! [`query`](crate::data::SqliteDatabaseApiClient::query) runs a statement and returns its rows as
//! any type that implements [`FromRow`]: a struct that derives it (feature `derive`), whose fields
//! are columns by name; or a tuple, by position.
//!
//! ```no_run
//! # #[cfg(feature = "derive")]
//! # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
//! use volt_api::{FromRow, data::SqlExecuteStart, volt::AttributeValue};
//!
//! #[derive(FromRow)]
//! struct Article {
//!     id: u32,
//!     name: String,
//!     #[row(rename = "price_cents")]
//!     price: Option<i64>,
//!     #[row(from_str)]
//!     maker: std::net::IpAddr,
//! }
//!
//! let start = SqlExecuteStart::default()
//!     .with_database_id("@shop")
//!     .with_statement("SELECT * FROM article WHERE name LIKE :name")
//!     .with_parameter([(":name", AttributeValue::default().with_string("h%"))]);
//! let mut articles = client.sqlite_database().query::<Article>(start).await?;
//! while let Some(article) = articles.row().await? {
//!     println!("{} {}", article.id, article.name);
//! }
//!
//! let count = SqlExecuteStart::default()
//!     .with_database_id("@shop")
//!     .with_statement("SELECT name, count(*) FROM article GROUP BY name");
//! let counts: Vec<(String, u64)> = client.sqlite_database().query(count).await?.all().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Values are never coerced: a wrong type, an out-of-range value, NULL without an [`Option`] or a
//! missing column is an error ([`RowError`]) that names the column.
//!
//! [`sql`](crate::sql) has statements with parameters, and transactions, in one line. Responses of
//! calls that you make yourself are decoded with [`RowDecoder`].

mod decode;
mod row;
mod stream;
mod tuple;
mod value;

pub use self::{
    decode::RowDecoder,
    row::{FromRow, Row},
    stream::Rows,
    value::{FromValue, Parsed, RowError, Value},
};
