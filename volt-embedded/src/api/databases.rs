//! `SqliteServerAPI` and `SqliteDatabaseAPI`.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tempfile::NamedTempFile;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinHandle,
};
use volt_api::{
    Code, Status,
    data::{
        CreateDatabaseRequest, CreateDatabaseResponse, SqlBulkUpdateRequest, SqlBulkUpdateResponse,
        SqlExecuteRequest, SqlExecuteResponse, SqlImportCsvConfiguration, SqlImportCsvRequest,
        SqlImportCsvResponse, sql_import_csv_request::Payload,
        sqlite_database_api::SqliteDatabaseApi, sqlite_server_api::SqliteServerApi,
    },
    server::{Context, Requests, Responses},
};

use super::{Handlers, on};
use crate::{
    actor::Actor,
    error::{Result, exhausted, internal, invalid},
    sql::{
        csv,
        execute::{Command, Execution},
        outbox::outbox,
    },
    volt::blocking,
};

impl SqliteServerApi for Handlers {
    async fn create_database(
        &self,
        context: Context,
        request: CreateDatabaseRequest,
    ) -> Result<CreateDatabaseResponse, Status> {
        let resource = self.run(&context, move |actor| actor.create_database(request)).await?;
        Ok(CreateDatabaseResponse::default().with_resource(resource))
    }
}

impl SqliteDatabaseApi for Handlers {
    async fn bulk_update(
        &self,
        context: Context,
        request: SqlBulkUpdateRequest,
    ) -> Result<SqlBulkUpdateResponse, Status> {
        self.run(&context, move |actor| actor.bulk_update(&request)).await?;
        Ok(SqlBulkUpdateResponse::default())
    }

    async fn execute(
        &self,
        context: Context,
        requests: Requests<SqlExecuteRequest>,
        responses: Responses<SqlExecuteResponse>,
    ) -> Result<(), Status> {
        execute(self.actor(&context)?, requests, responses).await
    }

    async fn import_csv(
        &self,
        context: Context,
        mut requests: Requests<SqlImportCsvRequest>,
        mut responses: Responses<SqlImportCsvResponse>,
    ) -> Result<(), Status> {
        let actor = self.actor(&context)?;
        let Some(Payload::Configuration(configuration)) =
            requests.message().await?.and_then(|first| first.payload)
        else {
            return Err(invalid("the first message of ImportCSV is `configuration`"));
        };
        if configuration.table_name.is_empty() {
            return Err(invalid("`table_name` is missing"));
        }
        let source = if configuration.source_resource_id.is_empty() {
            receive(&actor, &mut requests).await?
        } else {
            let reference = configuration.source_resource_id.clone();
            on(&actor, move |actor| copy_of(actor, &reference)).await?
        };
        let permit = permit(&actor)?;
        let abort = Arc::new(AtomicBool::new(false));
        let _abort = AbortOnDrop(Arc::clone(&abort));
        let (progress, mut reports) = mpsc::channel(16);
        let flag = Arc::clone(&abort);
        let worker = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            import(&actor, &configuration, &source, &flag, &progress)
        });
        let mut open = true;
        loop {
            tokio::select! {
                report = reports.recv() => match report {
                    Some(report) => responses.send(report).await?,
                    None => return outcome(worker).await,
                },
                request = requests.message(), if open => {
                    match request?.map(|request| request.payload) {
                        Some(Some(Payload::Abort(true))) => abort.store(true, Ordering::Relaxed),
                        Some(_) => {}
                        None => open = false,
                    }
                }
            }
        }
    }
}

/// What `Execute` is told, in any version of the API.
pub(super) trait Commands: Send {
    /// The next command; `None` after the last.
    fn next(&mut self) -> impl Future<Output = Result<Option<Command>, Status>> + Send;
}

/// Where the answers of `Execute` go, in any version of the API.
pub(super) trait Rows: Send {
    fn give(&mut self, row: SqlExecuteResponse) -> impl Future<Output = Result<(), Status>> + Send;
}

impl Commands for Requests<SqlExecuteRequest> {
    async fn next(&mut self) -> Result<Option<Command>, Status> {
        match self.message().await? {
            Some(SqlExecuteRequest { payload: Some(command), .. }) => Ok(Some(command)),
            Some(_) => Err(invalid("a request of Execute is `start`, `next` or `end`")),
            None => Ok(None),
        }
    }
}

impl Rows for Responses<SqlExecuteResponse> {
    async fn give(&mut self, row: SqlExecuteResponse) -> Result<(), Status> {
        self.send(row).await
    }
}

/// Lets one more call take a thread for as long as it is open. Without a limit, callers that do not go on
/// would take them all.
fn permit(actor: &Actor) -> Result<OwnedSemaphorePermit, Status> {
    Arc::clone(&actor.volt.queries).try_acquire_owned().map_err(|_| {
        exhausted("too many queries are open on this Volt: finish others first".to_owned())
    })
}

/// The query runs on a thread of its own, and waits there while the caller is slow.
pub(super) async fn execute(
    actor: Actor,
    mut requests: impl Commands,
    mut responses: impl Rows,
) -> Result<(), Status> {
    let Some(Command::Start(start)) = requests.next().await? else {
        return Err(invalid("the first message of Execute is `start`"));
    };
    let permit = permit(&actor)?;
    let reference = start.database_id.clone();
    let database = on(&actor, move |actor| actor.open_database(&reference)).await?;
    let _stop = database.stop_on_drop();
    let (commands, inbox) = mpsc::channel(1);
    let (outbox, mut rows) = outbox();
    let worker = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let execution = Execution { database: &database, commands: inbox, responses: outbox };
        if execution.run(&start)? {
            actor.database_written(database.id())?;
        }
        Ok(())
    });
    // Dropping the sender tells the worker that no more commands come.
    let mut commands = Some(commands);
    let mut waiting = None;
    loop {
        tokio::select! {
            batch = rows.take() => match batch {
                Some(batch) => {
                    for row in batch {
                        responses.give(row).await?;
                    }
                }
                None => return outcome(worker).await,
            },
            command = requests.next(), if waiting.is_none() && commands.is_some() => {
                match command? {
                    Some(command) => waiting = Some(command),
                    None => commands = None,
                }
            }
            Some(place) = place(commands.clone()), if waiting.is_some() => {
                if let Some(command) = waiting.take() {
                    let _ = place.send(command);
                }
            }
        }
    }
}

fn import(
    actor: &Actor,
    configuration: &SqlImportCsvConfiguration,
    source: &NamedTempFile,
    abort: &AtomicBool,
    progress: &mpsc::Sender<SqlImportCsvResponse>,
) -> Result<()> {
    let report = |rows, total| {
        let report = SqlImportCsvResponse::default().with_row_count(rows).with_total_rows(total);
        progress
            .blocking_send(report)
            .map_err(|_| Status::new(Code::Cancelled, "the caller is gone").into())
    };
    let database = actor.open_database_to_write(&configuration.database_id)?;
    let rows = csv::import(&database, configuration, source.path(), abort, report)?;
    actor.database_written(database.id())?;
    report(rows, rows)
}

/// Takes an upload, up to its `upload_complete`.
async fn receive(
    actor: &Actor,
    requests: &mut Requests<SqlImportCsvRequest>,
) -> Result<NamedTempFile, Status> {
    let mut file = on(actor, |actor| Ok(actor.volt.disk.incoming()?)).await?;
    while let Some(request) = requests.message().await? {
        match request.payload {
            Some(Payload::Block(block)) => {
                file = blocking(move || {
                    file.write_all(&block)?;
                    Ok(file)
                })
                .await?;
            }
            Some(Payload::UploadComplete(true)) => return Ok(file),
            Some(Payload::Abort(true)) => {
                return Err(Status::new(Code::Aborted, "the import was aborted"));
            }
            _ => {
                return Err(invalid(
                    "after `configuration`, blocks and `upload_complete` are sent",
                ));
            }
        }
    }
    Err(invalid("the upload ended without `upload_complete`, so nothing was imported"))
}

/// A file of the Volt, as it is now.
fn copy_of(actor: &Actor, reference: &str) -> Result<NamedTempFile> {
    let mut copy = actor.volt.disk.incoming()?;
    if let Some(mut file) = actor.open_file(reference, "")? {
        std::io::copy(&mut file, &mut copy)?;
    }
    Ok(copy)
}

async fn place(commands: Option<mpsc::Sender<Command>>) -> Option<mpsc::OwnedPermit<Command>> {
    commands?.reserve_owned().await.ok()
}

async fn outcome(worker: JoinHandle<Result<()>>) -> Result<(), Status> {
    let outcome = worker.await.map_err(|error| internal(format!("the work was lost: {error}")))?;
    Ok(outcome?)
}

/// Stops an import whose caller is gone.
struct AbortOnDrop(Arc<AtomicBool>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
