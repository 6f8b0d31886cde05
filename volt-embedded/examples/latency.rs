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

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{io::AsyncReadExt as _, runtime::Runtime, time::sleep};
use volt_api::{
    Client, ClientConfig, Duplex, Result,
    data::{
        CreateDatabaseRequest, SqlBulkUpdateRequest, SqlExecuteRequest, SqlExecuteResponse,
        SqlExecuteStart,
    },
    volt::{
        ConnectHello, ConnectRequest, CopyResourceMode, CopyResourceRequest, DeleteResourceRequest,
        GetFileDescendantsRequest, GetResourceDescendantsRequest, GetResourceRequest,
        GetResourcesRequest, PublishWireRequest, Resource, SaveResourceRequest, SaveWireRequest,
    },
};
use volt_embedded::EmbeddedVolt;

use self::support::{Process, address, websockets};

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

async fn create_database(client: &Client, name: &str) -> Result<String> {
    let request = CreateDatabaseRequest::default().with_name(name);
    let database = client.sqlite_server().create_database(request).await?.resource;
    let id = database.unwrap_or_default().id;
    bulk_update(client, &id, "CREATE TABLE t (x)").await?;
    Ok(id)
}

async fn delete(client: &Client, id: &str) -> Result<()> {
    let request = DeleteResourceRequest::default().with_resource_id(id).with_recursive(true);
    client.volt().delete_resource(request).await.map(drop)
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

/// Opens a query and leaves it open, with its transaction.
async fn hold_query(
    client: &Client,
    database: &str,
) -> Result<Duplex<SqlExecuteRequest, SqlExecuteResponse>> {
    let start = SqlExecuteStart::default()
        .with_database_id(database)
        .with_statement("SELECT 1")
        .with_transaction(true);
    let mut call = client.sqlite_database().execute().await?;
    call.send(SqlExecuteRequest::default().with_start(start)).await?;
    call.message().await?;
    Ok(call)
}

async fn publish(client: &Client, wire: &str) -> Result<()> {
    let mut call = client.wire().publish_wire().await?;
    call.send(PublishWireRequest::default().with_wire_id(wire).with_chunk("x")).await?;
    call.half_close();
    while call.message().await?.is_some() {}
    Ok(())
}

/// Returns whether the second argument selects this load.
fn is_chosen(name: &str) -> bool {
    std::env::args().nth(2).is_none_or(|chosen| name.contains(&chosen))
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
            sleep(Duration::from_millis(2)).await;
        }
        latencies.sort_unstable();
        latencies
    }

    /// Measures the latency while `work` runs repeatedly.
    async fn measure(&self, name: &str, work: impl AsyncFn()) {
        if !is_chosen(name) {
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

/// The client that puts the Volt under load.
struct Load {
    client: Client,
    /// The folder of its identity.
    home: String,
}

impl Load {
    /// Lists and walks many resources.
    async fn trees(&self, probe: &Probe, count: usize) -> Result<()> {
        let (client, home) = (&self.client, &self.home);
        let many = &save(client, home, "many", "volt:folder").await?;
        for begin in (0..count).step_by(100) {
            let saves = (begin..(begin + 100).min(count)).map(|number| async move {
                save(client, many, &format!("file {number}"), "volt:file").await
            });
            join_all(saves).await.into_iter().collect::<Result<Vec<_>>>()?;
        }
        let top = save(client, home, "diamonds", "volt:folder").await?;
        let mut above = vec![top.clone()];
        for layer in 0..28 {
            let mut below = Vec::new();
            for side in 0..2 {
                let id = save(client, &above[0], &format!("{layer}-{side}"), "volt:folder").await?;
                for parent in above.iter().skip(1) {
                    copy(client, &id, parent, CopyResourceMode::Link).await?;
                }
                below.push(id);
            }
            above = below;
        }
        probe.measure("nothing", async || sleep(TIME).await).await;
        probe
            .measure("listing everything", async || {
                client.volt().get_resources(GetResourcesRequest::default()).await.unwrap();
            })
            .await;
        probe
            .measure("all descendants with one `parent_id`", async || {
                let request = GetResourceDescendantsRequest::default()
                    .with_resource_id(home)
                    .with_parent_id(many);
                let answer = client.volt().get_resource_descendants(request).await.unwrap();
                assert_eq!(answer.descendant.len(), count);
            })
            .await;
        probe
            .measure("walking diamonds", async || {
                let request = GetFileDescendantsRequest::default().with_resource_id(&top);
                client.file().get_file_descendants(request).await.unwrap();
            })
            .await;
        Ok(())
    }

    /// Runs SQL, which the Volt limits.
    async fn databases(&self, probe: &Probe) -> Result<()> {
        let client = &self.client;
        let database = create_database(client, "db").await?;
        let insert = "INSERT INTO t VALUES (1)";
        for (name, count) in
            [("1,000 BulkUpdates at once", 1000), ("4,000 BulkUpdates at once", 4000)]
        {
            probe
                .measure(name, async || {
                    join_all((0..count).map(|_| bulk_update(client, &database, insert))).await;
                })
                .await;
        }
        let endless = format!("INSERT INTO t {ENDLESS} SELECT max(n) FROM n");
        probe
            .measure("100 endless BulkUpdates", async || {
                join_all((0..100).map(|_| bulk_update(client, &database, &endless))).await;
            })
            .await;
        probe
            .measure("reading values of 16 MB", async || {
                join_all((0..4).map(|_| read_large(client, &database))).await;
            })
            .await;
        // The Volt refuses queries beyond its limit; the client keeps trying, and holds the others.
        let other = create_database(client, "held").await?;
        let name = "holding all queries, trying 128";
        if is_chosen(name) {
            let held = join_all((0..128).map(|_| hold_query(client, &other))).await;
            let held: Vec<_> = held.into_iter().flatten().collect();
            probe
                .measure(name, async || {
                    join_all((held.len()..128).map(|_| hold_query(client, &other))).await;
                })
                .await;
        }
        Ok(())
    }

    /// Publishes to a wire, whose trigger never ends.
    async fn wires(&self, probe: &Probe) -> Result<()> {
        let client = &self.client;
        let request = SaveWireRequest::default()
            .with_resource(Resource::default().with_name("wire"))
            .with_create(true)
            .with_persist(true);
        let wire = client.wire().save_wire(request).await?.resource.unwrap_or_default().id;
        let trigger = format!(
            "CREATE TRIGGER endless AFTER INSERT ON wire_data BEGIN
                 DELETE FROM wire_data WHERE id IN (SELECT max(n) FROM ({ENDLESS} SELECT n FROM n));
             END"
        );
        bulk_update(client, &wire, &trigger).await?;
        probe
            .measure("16 publishers, an endless trigger", async || {
                join_all((0..16).map(|_| publish(client, &wire))).await;
            })
            .await;
        Ok(())
    }

    /// Copies a large file, which the Volt links, and a large database, which it copies.
    async fn copies(&self, probe: &Probe) -> Result<()> {
        let (client, home) = (&self.client, &self.home);
        let name = "copying a file of 1 GiB";
        if is_chosen(name) {
            let folder = save(client, home, "copies", "volt:folder").await?;
            let file = save(client, &folder, "large", "volt:file").await?;
            let content = tokio::io::repeat(0).take(1 << 30);
            client.file().upload(&*file).from_reader(content).await?;
            probe
                .measure(name, async || {
                    copy(client, &file, &folder, CopyResourceMode::Copy).await.unwrap();
                })
                .await;
            delete(client, &folder).await?;
        }
        let name = "copying a database of 256 MB";
        if is_chosen(name) {
            let folder = save(client, home, "databases", "volt:folder").await?;
            let database = create_database(client, "large").await?;
            for _ in 0..16 {
                bulk_update(client, &database, "INSERT INTO t VALUES (zeroblob(16000000))").await?;
            }
            probe
                .measure(name, async || {
                    copy(client, &database, &folder, CopyResourceMode::Copy).await.unwrap();
                })
                .await;
            delete(client, &database).await?;
            delete(client, &folder).await?;
        }
        Ok(())
    }

    /// Keeps connections open without using them.
    async fn connections(&self, probe: &Probe, peer: SocketAddr) -> Result<()> {
        let client = &self.client;
        let name = "4,096 idle sockets";
        if is_chosen(name) {
            let open = websockets(peer, 4096).await;
            probe.measure(name, async || sleep(TIME).await).await;
            drop(open);
        }
        // The subscriber never reads its events.
        let mut subscriber = client.volt().connect().await?;
        let hello = ConnectHello::default().with_subscribe_resource_events(true);
        subscriber.send(ConnectRequest::default().with_hello(hello)).await?;
        let name = "n".repeat(1000);
        probe
            .measure("saving, with unread events", async || {
                let saves = (0..100).map(|_| save(client, &self.home, &name, "volt:file"));
                join_all(saves).await;
            })
            .await;
        Ok(())
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
    let peer = address(&config);
    let client = runtime.spawn(async { Client::connect(config).await }).await??;
    let config: ClientConfig = serde_json::from_str(&volt.line()?)?;
    let home = config.credential.as_ref().unwrap().identity_did.clone().unwrap();
    let load = Load { client: Client::connect(config).await?, home };
    let id = save(&client, "", "probe", "volt:folder").await?;
    let probe = Probe { runtime, client, id };
    load.trees(&probe, count).await?;
    load.databases(&probe).await?;
    load.wires(&probe).await?;
    load.copies(&probe).await?;
    load.connections(&probe, peer).await?;
    drop((load, volt));
    // A runtime cannot be dropped where it would have to wait.
    probe.runtime.shutdown_background();
    Ok(())
}
