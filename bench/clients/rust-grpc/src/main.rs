//! Runs the work of the benchmarks with the published Rust client for gRPC, `volt-client-grpc`.
//!
//! It is the same work as in `bench/load/src/bin/sdk`, as far as the client has methods for it: unary calls,
//! and connections with one call each.

use std::{
    fs, process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use clap::Parser as _;
use serde_json::Value;
use tokio::task::JoinSet;
use volt_bench_measure::{Load, Measured, Span, Work, closed_loop};
use volt_client_grpc::VoltClient;
use volt_interop_rust_grpc_client::{Result, connect, request, text};

#[tokio::main]
async fn main() {
    let load = Load::parse();
    let written = match run(&load).await {
        Ok(measured) => load.finish(&measured).map_err(text),
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        eprintln!("{error}");
        process::exit(1);
    }
}

async fn run(load: &Load) -> Result<Measured> {
    let config = fs::read(&load.config).map_err(text)?;
    let config = serde_json::from_slice(&config).map_err(text)?;
    match load.work {
        Work::Unary => unary(load, connect(config).await?).await,
        Work::Connect => connections(load, config).await,
        work => Err(format!("this program does not support {work:?}")),
    }
}

async fn unary(load: &Load, client: VoltClient) -> Result<Measured> {
    let (client, id, size) = (Arc::new(client), load.text(), load.size);
    let call = move || {
        let (client, request) = (Arc::clone(&client), request(&id));
        async move { get(&client, request, size).await }
    };
    closed_loop(load, call).await
}

/// Opens connections, makes one call on each, and closes them.
async fn connections(load: &Load, config: Value) -> Result<Measured> {
    let (left, span) = (Arc::new(AtomicU64::new(load.count)), Span::start(load));
    let mut tasks = JoinSet::new();
    for _ in 0..load.in_flight {
        let (left, config) = (Arc::clone(&left), config.clone());
        tasks.spawn(async move {
            let next = |left: u64| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok() {
                let mut client = connect(config.clone()).await?;
                get(&client, request(""), 0).await?;
                client.close().await;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.map_err(text)??;
    }
    Ok(span.finish(load.count, 0))
}

/// Calls `GetResource` and checks the length of the id in the answer.
async fn get(client: &VoltClient, request: Value, size: usize) -> Result<()> {
    let answer = client.get_resource(request).await.map_err(text)?;
    if let Some(status) = answer.status {
        return Err(status.message);
    }
    let length = answer.payload["resource"]["id"].as_str().map_or(0, str::len);
    if length == size { Ok(()) } else { Err(format!("{length} bytes were returned")) }
}
