//! Connections and idle calls.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;
use volt_api::{
    Client, ClientConfig, ConnectOptions, Duplex,
    volt::{ConnectHello, ConnectRequest, ConnectResponse, GetResourceRequest},
};
use volt_bench_measure::{Load, Measured, Span, resident};

/// Opens connections, makes one call on each, and closes them.
pub async fn connect(
    load: &Load,
    config: ClientConfig,
    options: ConnectOptions,
) -> Result<Measured> {
    let (left, span) = (Arc::new(AtomicU64::new(load.count)), Span::start(load));
    let mut tasks = JoinSet::new();
    for _ in 0..load.in_flight {
        let (left, config, options) = (Arc::clone(&left), config.clone(), options.clone());
        tasks.spawn(async move {
            let next = |left: u64| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok() {
                let client = Client::connect_with(config.clone(), options.clone()).await?;
                client.volt().get_resource(GetResourceRequest::default()).await?;
                client.close().await;
            }
            anyhow::Ok(())
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome??;
    }
    Ok(span.finish(load.count, 0))
}

/// Opens calls, waits for the server's answer to each, and measures their memory.
pub async fn idle(load: &Load, client: &Client) -> Result<Measured> {
    // The first call initializes memory that all calls share.
    let first = open(client).await?;
    let (before, span) = (resident(), Span::start(load));
    let mut calls = Vec::new();
    for _ in 0..load.count {
        calls.push(open(client).await?);
    }
    let mut measured = span.finish(load.count, 0);
    measured.memory_each = Some(resident().saturating_sub(before) / load.count.max(1));
    drop((first, calls));
    Ok(measured)
}

async fn open(client: &Client) -> Result<Duplex<ConnectRequest, ConnectResponse>> {
    let mut call = client.volt().connect().await?;
    call.send(ConnectRequest::default().with_hello(ConnectHello::default())).await?;
    call.message().await?.context("the call ended")?;
    Ok(call)
}
