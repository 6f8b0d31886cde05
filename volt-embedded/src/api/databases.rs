//! `SqliteServerAPI` and `SqliteDatabaseAPI`.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tempfile::NamedTempFile;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use volt_api::{
    Code, Status,
    data::{
        CreateDatabaseRequest, CreateDatabaseResponse, SqlBulkUpdateRequest, SqlBulkUpdateResponse,
        SqlExecuteRequest, SqlExecuteResponse, SqlImportCsvConfiguration, SqlImportCsvRequest,
        SqlImportCsvResponse, SqliteDatabaseApi, SqliteServerApi, sql_import_csv_request::Payload,
    },
    server::{Context, Requests, Responses},
};

use super::{Handlers, on};
use crate::{
    actor::Actor,
    error::{Result, internal, invalid},
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
        self.run_long(&context, |actor| execute(actor, requests, responses)).await
    }

    async fn import_csv(
        &self,
        context: Context,
        requests: Requests<SqlImportCsvRequest>,
        responses: Responses<SqlImportCsvResponse>,
    ) -> Result<(), Status> {
        let call = async |actor: Actor| import_csv(actor, requests, responses).await;
        self.run_long(&context, call).await
    }
}

async fn import_csv(
    actor: Actor,
    mut requests: Requests<SqlImportCsvRequest>,
    mut responses: Responses<SqlImportCsvResponse>,
) -> Result<(), Status> {
    let Some(Payload::Configuration(configuration)) =
        requests.message().await?.and_then(|first| first.payload)
    else {
        return Err(invalid("the first message of ImportCSV is `configuration`"));
    };
    if configuration.table_name.is_empty() {
        return Err(invalid("`table_name` is missing"));
    }
    let permit = actor.volt.permits.query(&actor.identity)?;
    // Check the right before anything is uploaded.
    let database = configuration.database_id.clone();
    on(&actor, move |actor| actor.open_database_to_write(&database).map(drop)).await?;
    let source = if configuration.source_resource_id.is_empty() {
        receive(&actor, &mut requests).await?
    } else {
        let reference = configuration.source_resource_id.clone();
        on(&actor, move |actor| copy_of(actor, &reference)).await?
    };
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

/// The commands of `Execute`, in any version of the API.
pub(super) trait Commands: Send {
    /// The error message for a first message that is not a start.
    const EXPECTED_START: &'static str;

    /// Receives the next command, or `None` after the last.
    fn next(&mut self) -> impl Future<Output = Result<Option<Command>, Status>> + Send;
}

/// The responses of `Execute`, in any version of the API.
pub(super) trait Rows: Send {
    fn give(&mut self, row: SqlExecuteResponse) -> impl Future<Output = Result<(), Status>> + Send;
}

impl Commands for Requests<SqlExecuteRequest> {
    const EXPECTED_START: &'static str = "the first message of Execute is `start`";

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

/// Fails if a caller keeps a query waiting for too long. An open query occupies a thread, and a
/// transaction its database's lock.
async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    timeout(patience, work).await.unwrap_or_else(|_| Err(too_slow(patience)))
}

fn too_slow(patience: Duration) -> Status {
    let message = format!("the caller neither read nor sent anything for {patience:?}");
    Status::new(Code::DeadlineExceeded, message)
}

/// Runs `Execute`. The query runs on its own thread, which blocks while the caller is slow.
pub(super) async fn execute<C: Commands>(
    actor: Actor,
    mut requests: C,
    mut responses: impl Rows,
) -> Result<(), Status> {
    let Some(Command::Start(start)) = requests.next().await? else {
        return Err(invalid(C::EXPECTED_START));
    };
    let permit = actor.volt.permits.query(&actor.identity)?;
    let patience = actor.volt.options.caller_timeout();
    let reference = start.database_id.clone();
    let database = on(&actor, move |actor| actor.open_database(&reference)).await?;
    let (commands, inbox) = mpsc::channel(1);
    let (outbox, mut rows) = outbox();
    let worker = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let execution = Execution { database: &database, commands: inbox, responses: outbox };
        if execution.run(&start, || actor.demand_database_write(database.id()))? {
            actor.database_written(database.id())?;
        }
        Ok(())
    });
    // Dropping the sender ends the worker's commands.
    let mut commands = Some(commands);
    let mut waiting = None;
    loop {
        tokio::select! {
            batch = rows.take() => match batch {
                Some(batch) => {
                    for row in batch {
                        within(patience, responses.give(row)).await?;
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
            () = sleep(patience) => return Err(too_slow(patience)),
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
            .map_err(|_| Status::new(Code::Cancelled, "the caller has ended the call").into())
    };
    let database = actor.open_database_to_write(&configuration.database_id)?;
    let recheck = || actor.demand_database_write(database.id());
    let rows = csv::import(&database, configuration, source.path(), abort, recheck, report)?;
    actor.database_written(database.id())?;
    report(rows, rows)
}

/// Receives an upload, up to its `upload_complete`.
async fn receive(
    actor: &Actor,
    requests: &mut Requests<SqlImportCsvRequest>,
) -> Result<NamedTempFile, Status> {
    let mut file = on(actor, |actor| Ok(actor.volt.disk.incoming()?)).await?;
    let patience = actor.volt.options.caller_timeout();
    while let Some(request) = within(patience, requests.message()).await? {
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
                    "after `configuration`, ImportCSV takes blocks and `upload_complete`",
                ));
            }
        }
    }
    Err(invalid("the upload ended without `upload_complete`; nothing was imported"))
}

/// Copies a file of the Volt, because it may be replaced during the import.
fn copy_of(actor: &Actor, reference: &str) -> Result<NamedTempFile> {
    let mut copy = actor.volt.disk.incoming()?;
    if let Some(mut file) = actor.open_file(reference, "")? {
        while std::io::copy(&mut std::io::Read::take(&mut file.content, 16 << 20), &mut copy)? > 0 {
            actor.scope.check()?;
        }
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

/// Cancels the import when its caller disconnects.
struct AbortOnDrop(Arc<AtomicBool>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
