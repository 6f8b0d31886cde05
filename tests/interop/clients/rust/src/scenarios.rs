//! The scenarios.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use volt_client_rs::volt_client::VoltClient;
use volt_interop_rust_client::{Call, Result};

const UNKNOWN_ID: &str = "did:volt:00000000-0000-4000-8000-000000000000";

/// Runs the scenario with this name.
pub async fn run(name: &str, client: &mut VoltClient, config: &Value) -> Result<Value> {
    match name {
        "unary" => unary(client, config).await,
        "refused" => refused(client).await,
        "connect" => connect(client).await,
        "download" => download(client).await,
        "refused-stream" => refused_stream(client).await,
        "upload" => upload(client).await,
        "wire" => wire(client).await,
        "sql" => sql(client).await,
        "sql-helper" => sql_helper(client).await,
        _ => Err(format!("no scenario is called {name:?}")),
    }
}

async fn unary(client: &mut VoltClient, config: &Value) -> Result<Value> {
    let id = &config["volt"]["id"];
    let answer = client.get_resource(&json!({ "resource_id": id })).await?;
    let resource = &answer["resource"];
    if resource["id"] != *id {
        return Err(format!("the resource is {}", resource["id"]));
    }
    Ok(json!({ "resource": resource }))
}

async fn refused(client: &mut VoltClient) -> Result<Value> {
    refusal(client.get_resource(&json!({ "resource_id": UNKNOWN_ID })).await)
}

async fn connect(client: &mut VoltClient) -> Result<Value> {
    let mut call = Call::new(client.connect(&Value::Null).await).await?;
    let now = SystemTime::UNIX_EPOCH.elapsed().map_err(|error| error.to_string())?;
    let timestamp = u64::try_from(now.as_millis()).map_err(|error| error.to_string())?;
    call.send(&json!({ "hello": { "ping_interval": 10000, "timestamp": timestamp } })).await?;
    let (mut acknowledged, mut pinged) = (false, false);
    while let Some(answer) = call.message().await? {
        if let Some(acknowledge) = answer.get("acknowledge") {
            acknowledged = acknowledge["connection_id"].is_string();
            call.send(&json!({ "ping": {} })).await?;
        } else if answer.get("ping").is_some() {
            pinged = true;
            call.send(&json!({ "goodbye": {} })).await?;
            call.half_close().await?;
        }
    }
    Ok(json!({ "acknowledged": acknowledged, "pinged": pinged, "ended": true }))
}

async fn download(client: &mut VoltClient) -> Result<Value> {
    let file = create(client, "volt:file", "download.bin").await?;
    let content = pattern(200_000);
    // This client calls the unary method as a stream.
    let mut call = Call::new(client.set_file_content(&Value::Null).await).await?;
    call.send(&json!({ "resource_id": file, "content": BASE64.encode(&content) })).await?;
    call.all().await?;

    let mut call = open_download(client).await?;
    call.send(&json!({ "resource_id": file })).await?;
    call.half_close().await?;
    let mut received = Vec::new();
    let mut blocks = 0;
    while let Some(message) = call.message().await? {
        received.extend(bytes(&message["block"])?);
        blocks += 1;
    }
    Ok(json!({ "blocks": blocks, "length": received.len(), "intact": received == content }))
}

async fn refused_stream(client: &mut VoltClient) -> Result<Value> {
    let mut call = open_download(client).await?;
    call.send(&json!({ "resource_id": UNKNOWN_ID })).await?;
    call.half_close().await?;
    refusal(call.all().await)
}

/// The client's own `download_file` sends the request before a listener can be attached.
async fn open_download(client: &mut VoltClient) -> Result<Call> {
    let path = "/tdx.volt_api.volt.v1.FileAPI/DownloadFile";
    Call::new(client.streaming_call(path, &Value::Null, "").await).await
}

async fn upload(client: &mut VoltClient) -> Result<Value> {
    let file = create(client, "volt:file", "upload.txt").await?;
    let mut call = Call::new(client.upload_file(&Value::Null).await).await?;
    call.send(&json!({ "start": { "resource_id": file, "truncate": true } })).await?;
    for part in ["one, ", "two, ", "three"] {
        call.send(&json!({ "block": BASE64.encode(part) })).await?;
    }
    call.half_close().await?;
    let acks: Vec<Value> =
        call.all().await?.into_iter().map(|mut answer| answer["ack"].take()).collect();

    // The client offers this unary method only as a stream; its generic call works better.
    let path = "/tdx.volt_api.volt.v1.FileAPI/GetFileContent";
    let answer = client.unary_rpc(path, &json!({ "resource_id": file }), "").await?;
    let content = bytes(&answer["content"])?;
    Ok(json!({ "acks": acks, "content": String::from_utf8_lossy(&content) }))
}

async fn wire(client: &mut VoltClient) -> Result<Value> {
    let path = "/tdx.volt_api.volt.v1.WireAPI/SaveWire";
    let wire = json!({ "name": "interop", "kind": ["volt:wire"] });
    let saved = client.unary_rpc(path, &json!({ "resource": wire, "create": true }), "").await?;
    let wire = &saved["resource"]["id"];

    let mut subscription = Call::new(client.subscribe_wire(&Value::Null).await).await?;
    subscription.send(&json!({ "wire_id": wire })).await?;
    let mut publication = Call::new(client.publish_wire(&Value::Null).await).await?;
    publication.send(&json!({ "wire_id": wire })).await?;

    // A subscription is not acknowledged, so publish the chunk until it arrives.
    let chunk = BASE64.encode("hello, wire");
    let mut ticks = interval(Duration::from_millis(50));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let message = loop {
        tokio::select! {
            message = subscription.message() => break message?,
            _ = ticks.tick() => publication.send(&json!({ "wire_id": wire, "chunk": chunk })).await?,
        }
    };
    let received = match message {
        Some(message) => bytes(&message["chunk"])?,
        None => return Err("the subscription ended before a chunk came".to_owned()),
    };
    subscription.send(&json!({ "stop": true })).await?;
    subscription.all().await?;
    publication.half_close().await?;
    publication.all().await?;
    Ok(json!({
        "received": String::from_utf8_lossy(&received),
        "subscription_ended": true,
        "publication_ended": true,
    }))
}

async fn sql(client: &mut VoltClient) -> Result<Value> {
    let database = create_database(client).await?;
    for statement in [
        "CREATE TABLE bird (id INTEGER, name TEXT, weight REAL, data BLOB)",
        "INSERT INTO bird VALUES (0, '', 0.0, x''), (1, NULL, NULL, NULL)",
    ] {
        execute(client, json!({ "database_id": database, "statement": statement })).await?;
    }
    let insert = json!({
        "database_id": database,
        "statement": "INSERT INTO bird VALUES (9007199254740993, $name, 0.1, x'00ff80')",
        "parameter": { "$name": { "string": "naïve ☃" } },
    });
    execute(client, insert).await?;
    let statement = "SELECT id, name, weight, data FROM bird ORDER BY id";
    let answers =
        execute(client, json!({ "database_id": database, "statement": statement })).await?;

    let header = answers.iter().find_map(|answer| answer["header"]["column"].as_array());
    let columns: Vec<Value> = header
        .ok_or("no header came")?
        .iter()
        .map(|column| json!([column["name"], column["type"]]))
        .collect();
    let rows: Vec<&Value> =
        answers.iter().filter_map(|answer| answer["row"].get("column")).collect();
    Ok(json!({ "columns": columns, "rows": rows }))
}

/// The statement's raw answers: the caller parses the cells, because a REAL may be a JSON number,
/// which the client's own helper does not support.
async fn execute(client: &mut VoltClient, start: Value) -> Result<Vec<Value>> {
    let mut call = Call::new(client.sql_execute(&Value::Null, "").await).await?;
    call.send(&json!({ "start": start })).await?;
    call.all().await
}

/// The client's own helper panics if a REAL is a number, as in canonical JSON; there is none here.
/// It also sends every statement twice, and the rows show that each ran once.
async fn sql_helper(client: &mut VoltClient) -> Result<Value> {
    let database = create_database(client).await?;
    let mut rows = Value::Null;
    for statement in [
        "CREATE TABLE bird (id INTEGER, name TEXT, data BLOB)",
        "INSERT INTO bird VALUES (1, 'wren', x'00ff80'), (2, 'heron', x'ff')",
        "SELECT id, name, data FROM bird ORDER BY id",
    ] {
        let start = json!({ "database_id": database, "statement": statement });
        rows = client.sql_execute_json(&json!({ "start": start }), "").await?;
    }
    Ok(json!({ "rows": rows }))
}

/// Creates a resource and returns its id.
async fn create(client: &mut VoltClient, kind: &str, name: &str) -> Result<Value> {
    let request = json!({ "resource": { "name": name, "kind": [kind] }, "create": true });
    Ok(client.save_resource(&request).await?["resource"]["id"].take())
}

async fn create_database(client: &mut VoltClient) -> Result<Value> {
    Ok(client.create_database(&json!({ "name": "interop" })).await?["resource"]["id"].take())
}

/// The error with which the Volt rejected the call. The client keeps only the message.
fn refusal<T>(answer: Result<T>) -> Result<Value> {
    match answer {
        Ok(_) => Err("the call was not refused".to_owned()),
        Err(message) => Ok(json!({ "code": null, "message": message })),
    }
}

fn bytes(base64: &Value) -> Result<Vec<u8>> {
    BASE64.decode(base64.as_str().unwrap_or_default()).map_err(|error| error.to_string())
}

/// Bytes in which a lost, duplicated or reordered block is detected.
fn pattern(length: usize) -> Vec<u8> {
    let byte = |index: usize| u8::try_from((index * 31 + (index >> 8)) % 251).unwrap_or(u8::MAX);
    (0..length).map(byte).collect()
}
