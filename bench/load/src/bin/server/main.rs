//! The load server: all servers of the benchmarks in one process.
//!
//! - an embedded Volt, for `Execute` and wires;
//! - a mock of a Volt on this SDK's server, whose handlers take no time: `GetResource` returns its
//!   `resource_id`, `Connect` only stays open, files have generated contents; over a websocket and over gRPC;
//! - the same unary call, download and upload with tonic over TLS;
//! - a websocket echo.
//!
//! It writes the client configurations of the first two and [`Peers`] for the others to a folder,
//! `peers.json` last.

mod echo;
#[cfg(feature = "tonic")]
mod grpc;
mod mock;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::Parser;
use tokio::net::TcpListener;
use volt_api::{
    Client,
    data::{CreateDatabaseRequest, SqlExecuteRequest, SqlExecuteStart},
    volt::{Resource, SaveWireRequest},
};
use volt_bench_load::Peers;
use volt_embedded::EmbeddedVolt;

/// Runs the load server until it is killed.
#[derive(Parser)]
struct Args {
    /// The folder for the configurations.
    folder: PathBuf,
    /// The number of rows for `Execute`.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    fs::create_dir_all(&args.folder)?;

    let volt = EmbeddedVolt::builder().data_dir(args.folder.join("data")).start().await?;
    volt.config().write(args.folder.join("volt.json"))?;
    let legacy = volt.legacy_config("legacy")?;
    legacy.write(args.folder.join("volt-legacy.json"))?;

    // The configuration for gRPC has the same address and content here.
    volt.config().write(args.folder.join("volt-grpc.json"))?;

    #[cfg(feature = "tonic")]
    let certificate = Some(grpc::certify()?);
    #[cfg(not(feature = "tonic"))]
    let certificate = None;
    let mock = mock::start(&volt.config(), &legacy, certificate.as_ref()).await?;
    mock.config.write(args.folder.join("mock.json"))?;
    mock.grpc_config.write(args.folder.join("mock-grpc.json"))?;
    mock.legacy_config.write(args.folder.join("mock-legacy.json"))?;

    let client = Client::connect(volt.config()).await?;
    let echo = TcpListener::bind("127.0.0.1:0").await?;
    let echo_port = echo.local_addr()?.port();
    tokio::spawn(echo::run(echo));
    #[cfg(feature = "tonic")]
    let grpc = match &certificate {
        Some(certificate) => Some(grpc::start(certificate).await?),
        None => None,
    };
    #[cfg(not(feature = "tonic"))]
    let grpc = None;
    let peers = Peers {
        database: database(&client, args.rows).await?,
        wire: wire(&client).await?,
        echo_port,
        grpc,
    };
    client.close().await;
    // Rename, so that the waiting runner never reads a partial file.
    let (part, whole) = (args.folder.join("peers.part"), args.folder.join("peers.json"));
    fs::write(&part, serde_json::to_vec_pretty(&peers)?)?;
    fs::rename(part, whole)?;
    std::future::pending().await
}

/// Creates a database with a table of this many rows.
async fn database(client: &Client, rows: u64) -> Result<String> {
    let request = CreateDatabaseRequest::default().with_name("load");
    let created = client.sqlite_server().create_database(request).await?;
    let database = created.resource.context("no database came back")?.id;
    for statement in [
        "CREATE TABLE bird (id INTEGER, name TEXT, weight REAL, place TEXT)".to_owned(),
        format!(
            "INSERT INTO bird WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {rows}) \
             SELECT i, 'bird ' || i, i * 0.25, 'between the lake and the wood' FROM n"
        ),
    ] {
        let mut call = client.sqlite_database().execute().await?;
        let start =
            SqlExecuteStart::default().with_database_id(&database).with_statement(statement);
        call.send(SqlExecuteRequest::default().with_start(start)).await?;
        call.half_close();
        while call.message().await?.is_some() {}
    }
    Ok(database)
}

async fn wire(client: &Client) -> Result<String> {
    let wire = Resource::default().with_name("load").with_kind(["volt:wire"]);
    let request = SaveWireRequest::default().with_resource(wire).with_create(true);
    let saved = client.wire().save_wire(request).await?;
    Ok(saved.resource.context("no wire came back")?.id)
}
