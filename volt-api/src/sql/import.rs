//! Imports of CSV files.

use std::{fmt, future::IntoFuture};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use volt_runtime::{Error, ErrorKind, Executed, Result, transport::BoxFuture};

use super::Database;
use crate::{
    data::{SqlImportCsvConfiguration, SqlImportCsvRequest},
    operation::Operation,
};

/// The size of an uploaded block, in bytes.
const BLOCK: usize = 256 << 10;
/// The default number of rows between two progress reports.
const PROGRESS_INTERVAL: u32 = 1000;

/// An import that has not been started yet, created by [`Database::import_csv`]. Await it for the
/// number of imported rows.
pub type ImportCsv = Operation<CsvImport>;

/// The kind of an [`ImportCsv`].
pub struct CsvImport {
    database: Database,
    configuration: SqlImportCsvConfiguration,
    reader: Option<Box<dyn AsyncRead + Send + Unpin>>,
    on_progress: Option<Box<dyn FnMut(u64, u64) + Send>>,
}

impl Database {
    /// Imports CSV with a header row into a table: all rows, or nothing. Awaiting the operation
    /// returns the number of imported rows.
    ///
    /// The header names the columns. The table is created if it does not exist, with column types
    /// that fit the values. Empty fields become NULL.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client, csv: Vec<u8>) -> volt_api::Result<()> {
    /// let rows = client
    ///     .database("@shop")
    ///     .import_csv("article", std::io::Cursor::new(csv))
    ///     .on_progress(|rows, total| println!("{rows} of {total} rows"))
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn import_csv(
        &self,
        table: impl Into<String>,
        reader: impl AsyncRead + Send + Unpin + 'static,
    ) -> ImportCsv {
        self.import(table.into(), Some(Box::new(reader)), String::new())
    }

    /// Like [`import_csv`](Self::import_csv), from a file that is on the Volt already: a resource
    /// id or `@alias`.
    pub fn import_csv_file(&self, table: impl Into<String>, file: impl Into<String>) -> ImportCsv {
        self.import(table.into(), None, file.into())
    }

    fn import(
        &self,
        table: String,
        reader: Option<Box<dyn AsyncRead + Send + Unpin>>,
        file: String,
    ) -> ImportCsv {
        let configuration = SqlImportCsvConfiguration::default()
            .with_database_id(&self.id)
            .with_table_name(table)
            .with_source_resource_id(file);
        let database = self.clone();
        Operation::new(CsvImport { database, configuration, reader, on_progress: None })
    }
}

impl ImportCsv {
    /// Demands a new table: if it exists already, the import fails with `ALREADY_EXISTS`.
    pub fn create_table(mut self, create: bool) -> Self {
        self.kind.configuration.create_table = create;
        self
    }

    /// Sets how many rows are scanned to find the column types of a new table. The default, 0, scans
    /// all.
    pub fn schema_scan_limit(mut self, rows: u32) -> Self {
        self.kind.configuration.schema_scan_limit = rows;
        self
    }

    /// Sets how many rows are added between two reports. Default: 1,000.
    pub fn progress_interval(mut self, rows: u32) -> Self {
        self.kind.configuration.progress_interval = rows;
        self
    }

    /// Calls a function with the number of rows imported so far and in total, after the upload. The
    /// number never decreases, and the last report has both equal.
    pub fn on_progress(mut self, report: impl FnMut(u64, u64) + Send + 'static) -> Self {
        self.kind.on_progress = Some(Box::new(report));
        if self.kind.configuration.progress_interval == 0 {
            self.kind.configuration.progress_interval = PROGRESS_INTERVAL;
        }
        self
    }

    async fn run(self) -> Result<u64> {
        let settings = self.settings.start();
        let CsvImport { database, configuration, reader, mut on_progress } = self.kind;
        if reader.is_none() && configuration.source_resource_id.is_empty() {
            return Err(Error::configuration("the file to import has no id"));
        }
        let mut call = settings.apply(database.client.import_csv()).await?;
        let first = SqlImportCsvRequest::default().with_configuration(configuration);
        call.send(first).await?;
        if let Some(mut reader) = reader {
            loop {
                let mut block = Vec::with_capacity(BLOCK);
                let read = async {
                    let read = (&mut reader).take(BLOCK as u64).read_to_end(&mut block).await;
                    read.map_err(|error| {
                        Error::new(ErrorKind::Io, "the CSV cannot be read; nothing is imported")
                            .with_source(error)
                            .with_executed(Executed::No)
                    })
                };
                if settings.until(read).await? == 0 {
                    break;
                }
                call.send(SqlImportCsvRequest::default().with_block(block)).await?;
            }
            call.send(SqlImportCsvRequest::default().with_upload_complete(true)).await?;
        }
        let mut rows = 0;
        while let Some(report) = call.message().await? {
            let count = |rows: i64| u64::try_from(rows).unwrap_or_default();
            rows = rows.max(count(report.row_count));
            if let Some(on_progress) = &mut on_progress {
                on_progress(rows, count(report.total_rows).max(rows));
            }
        }
        Ok(rows)
    }
}

impl IntoFuture for ImportCsv {
    type Output = Result<u64>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the CSV cannot be read here ([`ErrorKind::Io`]), or the Volt refuses it. Nothing is
    /// imported then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the import. All rows may have been imported, or none.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for CsvImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvImport")
            .field("configuration", &self.configuration)
            .finish_non_exhaustive()
    }
}
