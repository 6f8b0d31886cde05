//! Shows over time the resources that misbehaving peers hold.
//!
//! ```text
//! cargo run --release -p volt-embedded --example faults -- 60
//! ```
//!
//! The argument is the duration of the first part in seconds. First a peer pings without reading the
//! pongs: a client that pings a Volt, and a Volt that pings a client, each in its own process, with their
//! memory. Then a client vanishes, without closing its connection, in the midst of 20 streams and a
//! transaction, with the Volt's tasks, connections and the lock of the database, until the keepalive
//! (2 s, and 2 s without an answer) ends them.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::watch,
    time::sleep,
};
use volt_api::{
    Client, ClientConfig,
    data::{CreateDatabaseRequest, SqlBulkUpdateRequest, SqlExecuteRequest, SqlExecuteStart},
    volt::{ConnectHello, ConnectRequest, Resource, SaveWireRequest, SubscribeWireRequest},
};
use volt_embedded::EmbeddedVolt;
use volt_runtime::{Keepalive, server::ServerOptions};

use self::support::{Process, accept, address, frame, memory, websocket};

/// Pings a peer for as long as it reads.
async fn ping(mut stream: TcpStream, masked: bool) {
    let pings = frame(0x89, &[7; 125], masked).repeat(500);
    while stream.write_all(&pings).await.is_ok() {}
    // The peer has closed the connection.
    std::future::pending::<()>().await;
}

/// Prints the memory of a process at times while a peer pings it.
async fn sample(name: &str, time: Duration, process: &Process, peer: impl Future<Output = ()>) {
    let begin = Instant::now();
    let sampling = async {
        let mut at = Duration::ZERO;
        while at <= time {
            sleep(at.saturating_sub(begin.elapsed())).await;
            println!(
                "| {name} | {:.0} s | {:.1} | {:.1} |",
                at.as_secs_f64(),
                process.memory(),
                memory("self")
            );
            at += time / 6;
        }
    };
    tokio::select! {
        () = sampling => {}
        () = peer => {}
    }
}

/// A network between a client and a Volt that can stop carrying data without closing.
struct Network {
    address: SocketAddr,
    carries: watch::Sender<bool>,
}

impl Network {
    async fn to(far: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let carries = watch::Sender::new(true);
        let mut carrying = carries.subscribe();
        tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = TcpStream::connect(far).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = carrying.wait_for(|carries| !carries) => held.push((near, far)),
                }
            }
        });
        Self { address, carries }
    }
}

/// The number of established connections of a server on this machine.
fn connections(server: SocketAddr) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let port = format!(":{:04X}", server.port());
    let is_its = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("01")
    };
    table.lines().filter(is_its).count()
}

/// Returns whether the lock of a database is held.
fn is_locked(path: &Path) -> bool {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::ZERO).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_err()
}

/// A database, and its file.
async fn database(client: &Client, folder: &Path) -> (String, PathBuf) {
    let request = CreateDatabaseRequest::default().with_name("db");
    let created = client.sqlite_server().create_database(request).await.unwrap();
    let id = created.resource.unwrap().id;
    let request = SqlBulkUpdateRequest::default()
        .with_database_id(&id)
        .with_statement(["CREATE TABLE t (x)"]);
    client.sqlite_database().bulk_update(request).await.unwrap();
    let mut files = fs::read_dir(folder.join("databases")).unwrap().flatten();
    let file = files.find(|file| file.path().extension().is_some_and(|end| end == "db"));
    (id, file.unwrap().path())
}

/// Opens 20 streams and a transaction, and returns them.
async fn open(client: &Client, database: &str) -> Vec<Box<dyn std::any::Any>> {
    let mut held = Vec::<Box<dyn std::any::Any>>::new();
    let wire = SaveWireRequest::default()
        .with_resource(Resource::default().with_name("wire"))
        .with_create(true);
    let wire = client.wire().save_wire(wire).await.unwrap().resource.unwrap().id;
    for _ in 0..10 {
        let mut connect = client.volt().connect().await.unwrap();
        let hello = ConnectRequest::default().with_hello(ConnectHello::default());
        connect.send(hello).await.unwrap();
        connect.message().await.unwrap();
        held.push(Box::new(connect));
        let mut subscription = client.wire().subscribe_wire().await.unwrap();
        let request = SubscribeWireRequest::default().with_wire_id(&wire);
        subscription.send(request).await.unwrap();
        held.push(Box::new(subscription));
    }
    let start = SqlExecuteStart::default()
        .with_database_id(database)
        .with_statement("INSERT INTO t VALUES (1)")
        .with_transaction(true);
    let mut transaction = client.sqlite_database().execute().await.unwrap();
    transaction.send(SqlExecuteRequest::default().with_start(start)).await.unwrap();
    transaction.message().await.unwrap();
    held.push(Box::new(transaction));
    held
}

/// A client vanishes.
async fn vanish() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("volt");
    let mut limits = ServerOptions::default();
    limits.keepalive = Some(Keepalive::new(Duration::from_secs(2), Duration::from_secs(2)));
    // The Volt's tasks are counted on their own runtime.
    let server = Runtime::new().unwrap();
    let start = EmbeddedVolt::builder().data_dir(&data).limits(limits).start();
    let volt = server.spawn(start).await.unwrap().unwrap();
    let at = address(&volt.config());
    let client = Client::connect(volt.config()).await.unwrap();
    let (id, file) = database(&client, &data).await;
    client.close().await;

    let network = Network::to(at).await;
    let mut config = volt.config();
    config.volt.http_address = Some(format!("http://{}", network.address));
    let client = Client::connect(config).await.unwrap();
    let held = open(&client, &id).await;
    sleep(Duration::from_millis(300)).await;
    println!("| seconds | tasks of the Volt | connections | lock |");
    println!("|---:|---:|---:|---|");
    let begin = Instant::now();
    for second in -1i32..8 {
        let tasks = server.metrics().num_alive_tasks();
        let lock = if is_locked(&file) { "held" } else { "free" };
        println!("| {second} | {tasks} | {} | {lock} |", connections(at));
        if second == -1 {
            network.carries.send_replace(false);
        }
        let next = Duration::from_secs(u64::try_from(second + 1).unwrap_or_default());
        sleep(next.saturating_sub(begin.elapsed())).await;
    }
    drop((held, client));
    server.spawn(volt.shutdown()).await.unwrap();
    server.shutdown_background();
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    match first.as_deref() {
        Some("serve") => {
            let volt = EmbeddedVolt::start().await?;
            println!("{}", serde_json::to_string(&volt.config())?);
            return std::future::pending().await;
        }
        Some("connect") => {
            let config: ClientConfig = serde_json::from_str(&arguments.next().unwrap_or_default())?;
            let _client = Client::connect(config).await?;
            return std::future::pending().await;
        }
        _ => {}
    }
    let time = Duration::from_secs(first.map_or(Ok(60), |text| text.parse())?);
    println!("| peer | after | its MiB | MiB of the pinging one |");
    println!("|---|---:|---:|---:|");
    let mut volt = Process::start(&["serve"])?;
    let config: ClientConfig = serde_json::from_str(&volt.line()?)?;
    let stream = websocket(address(&config)).await?;
    sample("a Volt", time, &volt, ping(stream, true)).await;
    drop(volt);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut pinging = config;
    pinging.volt.http_address = Some(format!("http://{}", listener.local_addr()?));
    let client = Process::start(&["connect", &serde_json::to_string(&pinging)?])?;
    let stream = accept(&listener).await?;
    // It may reconnect.
    let again = async {
        let mut streams = tokio::task::JoinSet::new();
        streams.spawn(ping(stream, false));
        while let Ok(stream) = accept(&listener).await {
            println!("the client has reconnected");
            streams.spawn(ping(stream, false));
        }
    };
    sample("a client", time, &client, again).await;
    drop(client);
    println!();
    vanish().await;
    Ok(())
}
