//! The same work as `bench/load/src/bin/sdk`.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinSet,
    time::sleep,
};
use volt_bench_measure::{Load, Measured, Span, closed_loop, resident};
use volt_client_rs::volt_client::VoltClient;
use volt_interop_rust_client::{Call, Result};

const GET_RESOURCE: &str = "/tdx.volt_api.volt.v1.VoltAPI/GetResource";
const CONNECT: &str = "/tdx.volt_api.volt.v1.VoltAPI/Connect";
const EXECUTE: &str = "/tdx.volt_api.data.v1.SqliteDatabaseAPI/Execute";
const DOWNLOAD: &str = "/tdx.volt_api.volt.v1.FileAPI/DownloadFile";
const UPLOAD: &str = "/tdx.volt_api.volt.v1.FileAPI/UploadFile";
const SUBSCRIBE: &str = "/tdx.volt_api.volt.v1.WireAPI/SubscribeWire";
const PUBLISH: &str = "/tdx.volt_api.volt.v1.WireAPI/PublishWire";

/// The client, whose methods require `&mut self`. It is locked only while a call is opened.
pub type Shared = Arc<Mutex<VoltClient>>;

async fn open(client: &Shared, path: &str) -> Result<Call> {
    let call = client.lock().await.streaming_call(path, &Value::Null, "").await;
    Call::new(call).await
}

/// Makes unary calls with the client's own method, which locks the client until the call ends.
pub async fn unary_alone(load: &Load, client: Shared) -> Result<Measured> {
    let (request, size) = (Arc::new(json!({ "resource_id": load.text() })), load.size);
    let call = move || {
        let (client, request) = (Arc::clone(&client), Arc::clone(&request));
        async move {
            let answer = client.lock().await.get_resource(&request).await?;
            check(answer["resource"]["id"].as_str().map_or(0, str::len), size)
        }
    };
    closed_loop(load, call).await
}

/// Makes unary calls as streaming calls, of which many can run at a time.
pub async fn unary(load: &Load, client: Shared) -> Result<Measured> {
    let (request, size) = (Arc::new(json!({ "resource_id": load.text() })), load.size);
    let call = move || {
        let (client, request) = (Arc::clone(&client), Arc::clone(&request));
        async move {
            let mut call = open(&client, GET_RESOURCE).await?;
            call.send(&request).await?;
            call.half_close().await?;
            let mut answered = 0;
            while let Some(answer) = call.message().await? {
                answered = answer["resource"]["id"].as_str().map_or(0, str::len);
            }
            check(answered, size)
        }
    };
    closed_loop(load, call).await
}

pub async fn open_close(load: &Load, client: Shared) -> Result<Measured> {
    let call = move || {
        let client = Arc::clone(&client);
        async move {
            let mut call = open(&client, CONNECT).await?;
            call.send(&json!({})).await?;
            call.half_close().await?;
            while call.message().await?.is_some() {}
            Ok(())
        }
    };
    closed_loop(load, call).await
}

/// Opens connections. They stay open, because the client cannot close them.
pub async fn connect(load: &Load, config: &str) -> Result<Measured> {
    let (at_a_time, span) = (Arc::new(Semaphore::new(load.in_flight)), Span::start(load));
    let mut tasks = JoinSet::new();
    for _ in 0..load.count {
        let permit = Arc::clone(&at_a_time).acquire_owned().await;
        let config = config.to_owned();
        tasks.spawn(async move {
            let _permit = permit;
            let mut client = VoltClient::create(&config).await?;
            client.get_resource(&json!({})).await?;
            Ok::<_, String>(client)
        });
    }
    let mut clients = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        clients.push(outcome.map_err(|error| error.to_string())??);
    }
    Ok(span.finish(load.count, 0))
}

pub async fn idle(load: &Load, client: Shared) -> Result<Measured> {
    let open_idle = async || {
        let mut call = open(&client, CONNECT).await?;
        call.send(&json!({ "hello": {} })).await?;
        call.message().await?;
        Ok::<_, String>(call)
    };
    let first = open_idle().await?;
    let (before, span) = (resident(), Span::start(load));
    let mut calls = Vec::new();
    for _ in 0..load.count {
        calls.push(open_idle().await?);
    }
    let mut measured = span.finish(load.count, 0);
    measured.memory_each = Some(resident().saturating_sub(before) / load.count.max(1));
    drop((first, calls));
    Ok(measured)
}

pub async fn rows(load: &Load, client: Shared) -> Result<Measured> {
    let span = Span::start(load);
    let mut call = open(&client, EXECUTE).await?;
    let statement = format!("SELECT id, name, weight, place FROM bird LIMIT {}", load.count);
    call.send(&json!({ "start": { "database_id": load.resource, "statement": statement } }))
        .await?;
    call.half_close().await?;
    let mut rows = 0;
    while let Some(answer) = call.message().await? {
        rows += u64::from(answer["row"]["column"].as_array().is_some_and(|row| row.len() == 4));
    }
    check(rows, load.count)?;
    Ok(span.finish(rows, 0))
}

pub async fn download(load: &Load, client: Shared) -> Result<Measured> {
    let span = Span::start(load);
    let mut call = open(&client, DOWNLOAD).await?;
    call.send(&json!({ "resource_id": load.file() })).await?;
    call.half_close().await?;
    let (mut blocks, mut bytes) = (0, 0);
    while let Some(answer) = call.message().await? {
        if let Some(block) = answer["block"].as_str() {
            blocks += 1;
            bytes += BASE64.decode(block).map_err(|error| error.to_string())?.len() as u64;
        }
    }
    check(blocks, load.blocks())?;
    Ok(span.finish(blocks, bytes))
}

pub async fn upload(load: &Load, client: Shared) -> Result<Measured> {
    let block: Vec<u8> = (0..=u8::MAX).cycle().take(load.size).collect();
    let span = Span::start(load);
    let mut call = open(&client, UPLOAD).await?;
    call.send(&json!({ "start": { "resource_id": load.file() } })).await?;
    for _ in 0..load.blocks() {
        call.send(&json!({ "block": BASE64.encode(&block) })).await?;
    }
    call.half_close().await?;
    let mut acks = 0;
    while call.message().await?.is_some() {
        acks += 1;
    }
    check(acks, load.blocks())?;
    Ok(span.finish(acks, acks * load.size as u64))
}

pub async fn wire(load: &Load, client: Shared) -> Result<Measured> {
    let wire = &load.resource;
    let publication = open(&client, PUBLISH).await?;
    publication.send(&json!({ "wire_id": wire })).await?;
    let begin = json!({ "wire_id": wire, "chunk": BASE64.encode("begin") });
    let mut subscriptions = Vec::new();
    for _ in 0..load.in_flight {
        let mut subscription = open(&client, SUBSCRIBE).await?;
        subscription.send(&json!({ "wire_id": wire })).await?;
        // The Volt does not acknowledge a subscription: publish until a message arrives.
        loop {
            tokio::select! {
                _ = subscription.message() => break,
                () = sleep(Duration::from_millis(20)) => publication.send(&begin).await?,
            }
        }
        subscriptions.push(subscription);
    }

    let span = Span::start(load);
    let (count, size) = (load.count, load.size);
    let mut tasks = JoinSet::new();
    for mut subscription in subscriptions {
        tasks.spawn(async move {
            let mut heard = 0;
            while heard < count {
                let message = subscription.message().await?.ok_or("the subscription ended")?;
                let chunk = BASE64.decode(message["chunk"].as_str().unwrap_or_default());
                heard += u64::from(chunk.map_err(|error| error.to_string())?.len() == size);
            }
            Ok::<_, String>(heard)
        });
    }
    let text = load.text();
    for _ in 0..count {
        let chunk = Value::String(BASE64.encode(&text));
        publication.send(&json!({ "wire_id": wire, "chunk": chunk })).await?;
    }
    let mut heard = 0;
    while let Some(outcome) = tasks.join_next().await {
        heard += outcome.map_err(|error| error.to_string())??;
    }
    Ok(span.finish(heard, heard * size as u64))
}

fn check<T: Copy + PartialEq + std::fmt::Display>(got: T, expected: T) -> Result<()> {
    if got == expected { Ok(()) } else { Err(format!("{got} came instead of {expected}")) }
}
