//! Parts of a Volt for fuzz targets: callers' SQL without a network, the calls of a document, and a
//! host without sockets.

mod documents;

use std::{
    fmt,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, task::spawn_blocking};
use volt_api::{
    ClientConfig, Status,
    data::{
        SqlExecuteResponse, SqliteDatabaseApiServer, SqliteServerApiServer,
        sql_execute_request::Payload,
    },
    key::SigningKey,
    server::Service as _,
    volt::{FileApiServer, SyncApiServer, VoltApiServer, WireApiServer},
};
use volt_runtime::{
    Method,
    server::{ServerOptions, ServiceHost},
};

pub use self::documents::Documents;
use crate::{
    api::{Handlers, SERVICES},
    builder::Builder,
    embedded::host,
    error::{internal, invalid},
    scope::Scope,
    sql::{Database, OpenOptions, execute::Execution, memory::Memory, outbox::outbox},
    state::budget::Budget,
    volt::{Place, Volt, key_fault},
};

/// Creates an empty database in a new file, as `CreateDatabase` does.
///
/// # Errors
///
/// Fails if the file cannot be created.
pub fn create_database(path: &Path) -> Result<(), Status> {
    Ok(crate::sql::create(path)?)
}

/// Runs a call of `Execute` on a database file: the commands of its caller, of which the first starts
/// it. Each row may take `time_limit`, and texts and blobs may have `longest_value` bytes. The call ends
/// when `read` returns false for a response.
///
/// # Errors
///
/// Returns the status that the caller receives.
pub async fn execute(
    path: &Path,
    writable: bool,
    time_limit: Duration,
    longest_value: i32,
    commands: Vec<Payload>,
    mut read: impl FnMut(&SqlExecuteResponse) -> bool,
) -> Result<(), Status> {
    let mut commands = commands.into_iter();
    let Some(Payload::Start(start)) = commands.next() else {
        return Err(invalid("the first command must be `start`"));
    };
    let (id, scope) = ("database".to_owned(), Scope::default());
    let memory = Memory::new(&Budget::of_queries(), "caller");
    let options = OpenOptions { id, writable, scope, time_limit, longest_value, memory };
    let database = Database::open(path, options)?;
    let (sender, inbox) = mpsc::channel(commands.len().max(1));
    for command in commands {
        sender.try_send(command).map_err(|_| internal("the channel is full"))?;
    }
    drop(sender);
    let (responses, mut rows) = outbox();
    let worker = spawn_blocking(move || {
        let execution = Execution { database: &database, commands: inbox, responses };
        execution.run(&start, || Ok(()))
    });
    'reading: while let Some(batch) = rows.take().await {
        for response in &batch {
            if !read(response) {
                break 'reading;
            }
        }
    }
    drop(rows);
    let outcome = worker.await.map_err(|error| internal(format!("the work was lost: {error}")))?;
    outcome.map(drop).map_err(Status::from)
}

/// A Volt without a server.
pub struct Core {
    /// Its services.
    pub host: Arc<ServiceHost>,
    /// The methods of its services.
    pub methods: Vec<&'static Method>,
    /// The configuration of its owner's client.
    pub owner: ClientConfig,
    /// The file of its store.
    pub store: PathBuf,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Opens the Volt that `builder` describes in a folder.
///
/// # Errors
///
/// Fails if the folder cannot be used.
pub fn open(folder: &Path, builder: Builder, limits: ServerOptions) -> Result<Core, Status> {
    let place = Place {
        folder,
        temporary: None,
        address: (Ipv4Addr::LOCALHOST, 1).into(),
        grpc_address: None,
        services: &SERVICES,
        closed: mpsc::channel(1).0,
    };
    let volt = Arc::new(Volt::open(place, builder.into_options())?);
    let key = SigningKey::from_pem(&volt.key_pem()?).map_err(|error| key_fault(&error))?;
    let handlers = Arc::new(Handlers::new(&volt));
    let methods = [
        VoltApiServer::from_arc(Arc::clone(&handlers)).methods(),
        FileApiServer::from_arc(Arc::clone(&handlers)).methods(),
        WireApiServer::from_arc(Arc::clone(&handlers)).methods(),
        SyncApiServer::from_arc(Arc::clone(&handlers)).methods(),
        SqliteServerApiServer::from_arc(Arc::clone(&handlers)).methods(),
        SqliteDatabaseApiServer::from_arc(handlers).methods(),
    ];
    Ok(Core {
        host: Arc::new(host(&volt, key, limits)),
        methods: methods.into_iter().flatten().collect(),
        owner: volt.owner_client()?,
        store: volt.disk.store(),
    })
}
