//! The rows of one statement, as they arrive.
//!
//! Each row is returned as it arrives, and the next page is requested only when the last row of one has
//! been read, so that a result of any size needs little memory.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use futures_util::Sink;
use volt_runtime::{Duplex, Error, RequestSink, Result, Streaming};

use super::{FromRow, RowDecoder};
use crate::data::{
    SqlExecuteNext, SqlExecuteRequest, SqlExecuteResponse, SqlExecuteStart,
    SqliteDatabaseApiClient, sql_execute_response::Payload,
};

/// The default number of rows that are sent before the next page is requested: enough that the round trip
/// in between hardly matters.
const PAGE_SIZE: u32 = 1000;

impl SqliteDatabaseApiClient {
    /// Runs one statement with [`execute`](Self::execute) and returns its rows as your own type.
    /// [`Client::database`](crate::Client::database) binds parameters in fewer words.
    ///
    /// Rows arrive in pages, which are requested as they are needed: a slow reader then delays no
    /// other call. The default `page_size` is 1,000 rows. For rows without pages, or for options of
    /// the call such as a timeout, see [`Rows::start`].
    ///
    /// # Errors
    ///
    /// Same as [`Rows::start`]. The Volt's answer to the statement arrives with the first row.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the statement may or may not have run.
    pub async fn query<T: FromRow>(&self, mut start: SqlExecuteStart) -> Result<Rows<T>> {
        if start.page_size == 0 {
            start.page_size = PAGE_SIZE;
        }
        Rows::start(self.execute().await?, start).await
    }
}

/// The rows of a statement, as your own type. Also a [`Stream`].
///
/// A row that does not fit the type is an error that names the column, and the rows after it can
/// still be read. Any other error is final. Dropping it cancels the call and a running statement.
#[derive(Debug)]
pub struct Rows<T> {
    // This half is dropped first, so that dropping the call cancels it rather than half-closing it.
    responses: Streaming<SqlExecuteResponse>,
    requests: RequestSink<SqlExecuteRequest>,
    decoder: RowDecoder<T>,
    page: Option<Page>,
    failed: Option<Error>,
}

/// The progress within a page.
#[derive(Debug)]
struct Page {
    size: u32,
    read: u32,
}

impl<T: FromRow> Rows<T> {
    /// Runs one statement on a call opened with `execute` and any options:
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use volt_api::{Client, Result, data::SqlExecuteStart, rows::Rows};
    /// # async fn example(client: Client, start: SqlExecuteStart) -> Result<()> {
    /// let call = client.sqlite_database().execute().timeout(Duration::from_secs(5)).await?;
    /// let numbers: Vec<(i64,)> = Rows::start(call, start).await?.all().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the call has ended, or if `start` requests a transaction, which has more than one
    /// statement: see [`RowDecoder`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the statement may or may not have run.
    pub async fn start(
        mut call: Duplex<SqlExecuteRequest, SqlExecuteResponse>,
        start: SqlExecuteStart,
    ) -> Result<Self> {
        if start.transaction {
            return Err(Error::configuration(
                "a transaction has more statements: run it with `execute`, and read rows with a `RowDecoder`",
            ));
        }
        let page = (start.page_size > 0).then_some(Page { size: start.page_size, read: 0 });
        call.send(SqlExecuteRequest::default().with_start(start)).await?;
        let (requests, responses) = call.into_split();
        Ok(Self { responses, requests, decoder: RowDecoder::default(), page, failed: None })
    }

    /// Reads the next row. One message carries many rows. Returns `None` after the last.
    ///
    /// # Errors
    ///
    /// Fails if the row does not fit the type; later rows can still be read. Also fails if the Volt
    /// rejects the statement or it fails; every later read then returns the same error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next read continues at the same place.
    pub async fn row(&mut self) -> Result<Option<T>> {
        poll_fn(|cx| self.poll_row(cx)).await
    }

    /// Returns all remaining rows.
    ///
    /// # Errors
    ///
    /// Returns the first error of [`row`](Self::row).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call. Rows that were already read are lost.
    pub async fn all(mut self) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        while let Some(row) = self.row().await? {
            rows.push(row);
        }
        Ok(rows)
    }

    /// Reads responses until one holds a row. A row that does not fit its type is an error of that row
    /// alone.
    fn poll_row(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<T>>> {
        if let Some(error) = &self.failed {
            return Poll::Ready(Err(error.clone()));
        }
        loop {
            // Request it only when the caller wants another row. The Volt waits until then.
            ready!(self.poll_turn_page(cx));
            let response = match ready!(Pin::new(&mut self.responses).poll_next(cx)) {
                Some(Ok(response)) => response,
                Some(Err(error)) => {
                    self.failed = Some(error.clone());
                    return Poll::Ready(Err(error));
                }
                None => return Poll::Ready(Ok(None)),
            };
            if let (Some(page), Some(Payload::Row(_))) = (&mut self.page, &response.payload) {
                page.read += 1;
            }
            if let Some(row) = self.decoder.decode(&response).transpose() {
                return Poll::Ready(row.map(Some).map_err(Error::from));
            }
        }
    }

    /// Requests the next page after the last row of one.
    fn poll_turn_page(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(page) = self.page.as_mut().filter(|page| page.read >= page.size) else {
            return Poll::Ready(());
        };
        let mut requests = Pin::new(&mut self.requests);
        // Sending fails if there is no further page and the call has ended. The responses report
        // whether the statement succeeded.
        if ready!(requests.as_mut().poll_ready(cx)).is_ok() {
            let next = SqlExecuteRequest::default().with_next(SqlExecuteNext::default());
            let _ = requests.start_send(next);
        }
        page.read = 0;
        Poll::Ready(())
    }
}

impl<T: FromRow> Stream for Rows<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed.is_some() {
            return Poll::Ready(None);
        }
        self.poll_row(cx).map(Result::transpose)
    }
}
