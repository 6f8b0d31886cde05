//! Decodes the responses of an `Execute` call into rows, without the call.
//!
//! A header names the columns of the rows after it. The decoder keeps the latest.

use std::marker::PhantomData;

use super::{FromRow, Row, RowError};
use crate::data::{Column, SqlExecuteResponse, sql_execute_response::Payload};

/// Decodes the responses of an `Execute` call into rows.
///
/// A header comes first in the answer to each statement and names the columns of the rows that
/// follow; the decoder keeps it. Use a decoder for calls with several statements, such as a
/// transaction:
///
/// ```no_run
/// # use volt_api::{Client, Result, data::*, rows::RowDecoder};
/// # use volt_api::data::sql_execute_response::Payload;
/// # async fn example(client: Client, insert: SqlExecuteStart) -> Result<()> {
/// let mut call = client.sqlite_database().execute().await?;
/// let mut ids = RowDecoder::<(i64,)>::default();
/// call.send(SqlExecuteRequest::default().with_start(insert.with_transaction(true))).await?;
/// while let Some(response) = call.message().await? {
///     if let Some(Payload::AffectedRows(_)) = response.payload {
///         break; // The statement is done.
///     }
///     if let Some((id,)) = ids.decode(&response)? {
///         println!("{id}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RowDecoder<T> {
    columns: Option<Vec<Column>>,
    row: PhantomData<fn() -> T>,
}

impl<T> Default for RowDecoder<T> {
    fn default() -> Self {
        Self { columns: None, row: PhantomData }
    }
}

impl<T: FromRow> RowDecoder<T> {
    /// Returns the row in a response, or `None` if it contains another part of the answer.
    ///
    /// # Errors
    ///
    /// Fails if the row does not fit the type. The decoder can continue with the next one.
    pub fn decode(&mut self, response: &SqlExecuteResponse) -> Result<Option<T>, RowError> {
        match &response.payload {
            Some(Payload::Header(header)) => {
                self.columns = Some(header.column.clone());
                Ok(None)
            }
            Some(Payload::Row(row)) => {
                let columns = self.columns.as_deref();
                let columns =
                    columns.ok_or_else(|| RowError::new("a row came before the header"))?;
                T::from_row(&Row::new(columns, &row.column)).map(Some)
            }
            _ => Ok(None),
        }
    }
}
