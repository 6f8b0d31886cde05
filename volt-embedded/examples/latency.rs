//! Measures the latency of `GetResource` while other clients put the Volt under load.
//!
//! ```text
//! cargo run --release -p volt-embedded --example latency -- 20000
//! ```
//!
//! The argument is the number of resources in the Volt; a second one selects the loads whose names contain
//! it. Each line shows one kind of load, generated
//! by another client for five seconds, with the 99th percentile and the worst latency of concurrent
//! authenticated `GetResource` calls. The Volt runs in its own process, each client on its own threads.
//! `VOLT_SERVER` measures the Volt of another program, for example an earlier version of this one: it is
//! started with the argument `serve`, and prints the configurations of the owner and of a guest.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::runtime::Runtime;
use volt_api::{
    Client, ClientConfig, Result,
    data::{CreateDatabaseRequest, SqlBulkUpdateRequest, SqlExecuteRequest, SqlExecuteStart},
    volt::{
        ConnectHello, ConnectRequest, CopyResourceMode, CopyResourceRequest,
        GetFileDescendantsRequest, GetResourceRequest, GetResourcesRequest, Resource,
        SaveResourceRequest, SetFileContentRequest,
    },
};
use volt_embedded::EmbeddedVolt;

use self::support::Process;

/// The duration of each measurement.
const TIME: Duration = Duration::from_secs(5);
const ENDLESS: &str = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n)";

async fn save(client: &Client, parent: &str, name: &str, kind: &str) -> Result<String> {
    let resource = Resource::default().with_name(name).with_kind([kind]);
    let request = SaveResourceRequest::default()
        .with_resource(resource)
        .with_create(true)
        .with_create_in_parent_id(parent);
    Ok(client.volt().save_resource(request).await?.resource.unwrap_or_default().id)
}

async fn bulk_update(client: &Client, database: &str, statement: &str) -> Result<()> {
    let request =
        SqlBulkUpdateRequest::default().with_database_id(database).with_statement([statement]);
    client.sqlite_database().bulk_update(request).await.map(drop)
}

async fn copy(client: &Client, id: &str, to: &str, mode: CopyResourceMode) -> Result<()> {
    let request =
        CopyResourceRequest::default().with_resource_id(id).with_to_resource_id(to).with_mode(mode);
    client.volt().copy_resource(request).await.map(drop)
}

/// Runs a query that returns one large value, and reads it.
async fn read_large(client: &Client, database: &str) -> Result<()> {
    let start = SqlExecuteStart::default()
        .with_database_id(database)
        .with_statement("SELECT zeroblob(16000000)");
    let mut call = client.sqlite_database().execute().await?;
    call.send(SqlExecuteRequest::default().with_start(start)).await?;
    call.half_close();
    while call.message().await?.is_some() {}
    Ok(())
}

/// A client that calls `GetResource`, on its own runtime.
struct Probe {
    runtime: Runtime,
    client: Client,
    id: String,
}

impl Probe {
    async fn latencies(client: Client, id: String, until: Instant) -> Vec<Duration> {
        let mut latencies = Vec::new();
        while Instant::now() < until {
            let begin = Instant::now();
            let request = GetResourceRequest::default().with_resource_id(&id);
            client.volt().get_resource(request).await.unwrap();
            latencies.push(begin.elapsed());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        latencies.sort_unstable();
        latencies
    }

    /// Measures the latency while `work` runs repeatedly.
    async fn measure(&self, name: &str, work: impl AsyncFn()) {
        if std::env::args().nth(2).is_some_and(|chosen| !name.contains(&chosen)) {
            return;
        }
        let until = Instant::now() + TIME;
        let probe = Self::latencies(self.client.clone(), self.id.clone(), until);
        let probe = self.runtime.spawn(probe);
        let load = async {
            while Instant::now() < until {
                work().await;
            }
            std::future::pending::<()>().await;
        };
        // The load may outlast the measurement.
        tokio::select! {
            latencies = probe => {
                let latencies = latencies.unwrap();
                let (p99, worst) =
                    (latencies[latencies.len() * 99 / 100], latencies[latencies.len() - 1]);
                let calls = latencies.len();
                println!("{name:<40} {calls:>6} calls, p99 {p99:>10.1?}, worst {worst:>10.1?}");
            }
            () = load => {}
        }
    }
}

/// The role of the Volt's process: it prints the configurations of its owner and of a guest.
async fn serve() {
    let builder = EmbeddedVolt::builder().query_timeout(Duration::from_secs(2));
    let volt = builder.start().await.unwrap();
    for config in [volt.config(), volt.guest("other").unwrap()] {
        println!("{}", serde_json::to_string(&config).unwrap());
    }
    std::future::pending::<()>().await;
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("serve") {
        serve().await;
    }
    let count: usize = argument.map_or(Ok(20_000), |text| text.parse())?;
    let mut volt = Process::start(&["serve"])?;
    let runtime = Runtime::new()?;
    let config: ClientConfig = serde_json::from_str(&volt.line()?)?;
    let client = runtime.spawn(async { Client::connect(config).await }).await??;
    let config: ClientConfig = serde_json::from_str(&volt.line()?)?;
    let home = config.credential.as_ref().unwrap().identity_did.clone().unwrap();
    let other = Client::connect(config).await?;
    let id = save(&client, "", "probe", "volt:folder").await?;
    let probe = Probe { runtime, client, id };

    let many = save(&other, &home, "many", "volt:folder").await?;
    for begin in (0..count).step_by(100) {
        let saves = (begin..(begin + 100).min(count)).map(|number| {
            let other = &other;
            let many = &many;
            async move { save(other, many, &format!("file {number}"), "volt:file").await }
        });
        join_all(saves).await.into_iter().collect::<Result<Vec<_>>>()?;
    }
    let top = save(&other, &home, "diamonds", "volt:folder").await?;
    let mut above = vec![top.clone()];
    for layer in 0..28 {
        let mut below = Vec::new();
        for side in 0..2 {
            let id = save(&other, &above[0], &format!("{layer}-{side}"), "volt:folder").await?;
            for parent in above.iter().skip(1) {
                copy(&other, &id, parent, CopyResourceMode::Link).await?;
            }
            below.push(id);
        }
        above = below;
    }
    let file = save(&other, &home, "large", "volt:file").await?;
    let content =
        SetFileContentRequest::default().with_resource_id(&file).with_content(vec![0; 48 << 20]);
    other.file().set_file_content(content).await?;
    let request = CreateDatabaseRequest::default().with_name("db");
    let created = other.sqlite_server().create_database(request).await?;
    let database = created.resource.unwrap_or_default().id;
    bulk_update(&other, &database, "CREATE TABLE t (x)").await?;

    probe.measure("nothing", async || tokio::time::sleep(TIME).await).await;
    probe
        .measure("listing everything", async || {
            other.volt().get_resources(GetResourcesRequest::default()).await.unwrap();
        })
        .await;
    probe
        .measure("1,000 BulkUpdates at once", async || {
            let updates =
                (0..1000).map(|_| bulk_update(&other, &database, "INSERT INTO t VALUES (1)"));
            join_all(updates).await;
        })
        .await;
    let endless = format!("INSERT INTO t {ENDLESS} SELECT max(n) FROM n");
    probe
        .measure("100 endless BulkUpdates", async || {
            join_all((0..100).map(|_| bulk_update(&other, &database, &endless))).await;
        })
        .await;
    probe
        .measure("walking diamonds", async || {
            let request = GetFileDescendantsRequest::default().with_resource_id(&top);
            other.file().get_file_descendants(request).await.unwrap();
        })
        .await;
    probe
        .measure("copying 48 MiB", async || {
            copy(&other, &file, &home, CopyResourceMode::Copy).await.unwrap();
        })
        .await;
    probe
        .measure("reading values of 16 MB", async || {
            join_all((0..4).map(|_| read_large(&other, &database))).await;
        })
        .await;
    // The subscriber never reads its events.
    let mut subscriber = other.volt().connect().await?;
    let hello = ConnectHello::default().with_subscribe_resource_events(true);
    subscriber.send(ConnectRequest::default().with_hello(hello)).await?;
    let name = "n".repeat(1000);
    probe
        .measure("saving, with unread events", async || {
            let saves = (0..100).map(|_| save(&other, &home, &name, "volt:file"));
            join_all(saves).await;
        })
        .await;
    drop((subscriber, other, volt));
    // A runtime cannot be dropped where it would have to wait.
    probe.runtime.shutdown_background();
    Ok(())
}
