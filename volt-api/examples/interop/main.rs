//! Runs the interop scenarios with this SDK, for `cargo xtask interop`.
//!
//! Runs one scenario of `tests/interop/scenarios.json` and prints its result as `result: {…}`, as the
//! programs of the published clients in `tests/interop/` do. To learn the SDK, read `quickstart` instead.

mod echo;
mod shared;

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use volt_api::{
    Client, ClientConfig, Code, ConnectOptions, Status, Target, TransportKind,
    config::VoltConfig,
    data::{
        CreateDatabaseRequest, RowHeader, SqlExecuteRequest, SqlExecuteStart, VariantRow,
        sql_execute_response, variant,
    },
    server::{Context, Requests, Responses},
    volt::{
        AttributeValue, CommandStreamRequest, CommandStreamResponse, ConnectEvent, ConnectGoodbye,
        ConnectHello, ConnectPing, ConnectRequest, Control, DiscoverRequest, DiscoverResponse,
        DiscoverServicesRequest, DiscoveryApi, DiscoveryApiClient, DiscoveryApiServer,
        DownloadFileRequest, GetFileContentRequest, GetResourceRequest, ProtoFile,
        PublishWireRequest, Resource, SaveResourceRequest, SaveWireRequest, SetFileContentRequest,
        SignedEndpoint, SubscribeWireRequest, TerminalApi, TerminalApiClient, TerminalApiServer,
        UploadFileRequest, UploadFileStart, command_stream_request, connect_event,
        connect_response, download_file_response, subscribe_wire_response,
    },
};

/// The `.proto` files of the hosted service.
const PROTOS: [(&str, &str); 4] = [
    ("status.proto", include_str!("../../../proto/0.20.34/tdx/volt_api/volt/v1/status.proto")),
    ("volt.proto", include_str!("../../../proto/0.20.34/tdx/volt_api/volt/v1/volt.proto")),
    (
        "discovery_api.proto",
        include_str!("../../../proto/0.20.34/tdx/volt_api/volt/v1/discovery_api.proto"),
    ),
    (
        "terminal_api.proto",
        include_str!("../../../proto/0.20.34/tdx/volt_api/volt/v1/terminal_api.proto"),
    ),
];

const UNKNOWN_ID: &str = "did:volt:00000000-0000-4000-8000-000000000000";

/// Runs one interop scenario.
#[derive(Parser)]
struct Args {
    /// The client configuration.
    config: PathBuf,
    /// The name of the scenario; `host` is the other end of the scenarios `hosted` and
    /// `shared-document` until it is killed.
    scenario: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let config = ClientConfig::from_file(args.config)?;
    let volt_id = config.volt_id()?.to_owned();
    let volt = config.volt.clone();
    let client = Client::connect_with(config, options()?).await?;
    let result = match args.scenario.as_str() {
        "unary" => unary(&client, &volt_id).await,
        "refused" => refused(&client).await,
        "authenticate" => authenticate(volt).await,
        "connect" => connect(&client).await,
        "events" => events(&client).await,
        "download" => download(&client).await,
        "refused-stream" => refused_stream(&client).await,
        "upload" => upload(&client).await,
        "wire" => wire(&client).await,
        "sql" => sql(&client).await,
        "sql-helper" => sql_helper(&client).await,
        "hosted" => hosted(&client).await,
        "hosted-by-grpc" => echo::run(&client).await,
        "shared-document" => shared::run(&client).await,
        "host" => {
            let document = shared::Host::start(&client).await?;
            tokio::select! {
                outcome = host(&client) => return outcome,
                outcome = document.answer() => outcome,
            }
        }
        name => bail!("no scenario is called {name:?}"),
    };
    println!("result: {}", result?);
    client.close().await;
    Ok(())
}

/// Options with the transport in `VOLT_TRANSPORT`.
fn options() -> Result<ConnectOptions> {
    let mut options = ConnectOptions::default();
    options.transport = match std::env::var("VOLT_TRANSPORT").as_deref() {
        Ok("grpc") => TransportKind::Grpc,
        Ok("websocket") => TransportKind::Websocket,
        Ok(other) => bail!("`VOLT_TRANSPORT` is {other:?}; expected grpc or websocket"),
        Err(_) => TransportKind::Automatic,
    };
    Ok(options)
}

async fn unary(client: &Client, volt_id: &str) -> Result<Value> {
    let request = GetResourceRequest::default().with_resource_id(volt_id);
    let answer = client.volt().get_resource(request).await?;
    let resource = answer.resource.context("the Volt returned no resource")?;
    ensure!(resource.id == volt_id, "the resource is {}", resource.id);
    Ok(json!({ "resource": resource }))
}

async fn refused(client: &Client) -> Result<Value> {
    let request = GetResourceRequest::default().with_resource_id(UNKNOWN_ID);
    refusal(client.volt().get_resource(request).await)
}

async fn authenticate(volt: VoltConfig) -> Result<Value> {
    let mut config = ClientConfig::default().with_client_name("stranger");
    config.volt = volt;
    let client = Client::authenticate(config).await?;
    let config = client.config().context("the client has no configuration")?;
    let own = config.credential.clone().unwrap_or_default();
    let volt_id = config.volt_id()?.to_owned();
    let request = GetResourceRequest::default().with_resource_id(&volt_id);
    let resource = client.volt().get_resource(request).await?.resource.unwrap_or_default();
    client.close().await;
    // The websocket issues no certificate.
    let certificate = own.cert.is_some().then_some(true);
    Ok(json!({
        "session": own.session_id.is_some(),
        "certificate": certificate,
        "read": resource.id == volt_id,
    }))
}

async fn events(client: &Client) -> Result<Value> {
    let mut call = client.volt().connect().await?;
    let hello = ConnectHello::default().with_subscribe_resource_events(true);
    call.send(ConnectRequest::default().with_hello(hello)).await?;
    let mut id = String::new();
    while let Some(answer) = call.message().await? {
        match answer.payload {
            Some(connect_response::Payload::Acknowledge(_)) => {
                id = create(client, "volt:folder", "seen").await?;
            }
            Some(connect_response::Payload::Evt(ConnectEvent {
                event: Some(connect_event::Event::ConnectResource(seen)),
                ..
            })) => {
                let same = seen.resource.as_ref().is_some_and(|resource| resource.id == id);
                return Ok(json!({ "event": seen.event().as_str_name(), "same": same }));
            }
            _ => {}
        }
    }
    bail!("the call ended without an event");
}

async fn connect(client: &Client) -> Result<Value> {
    let mut call = client.volt().connect().await?;
    let now = u64::try_from(SystemTime::UNIX_EPOCH.elapsed()?.as_millis())?;
    let hello = ConnectHello::default().with_ping_interval(10_000).with_timestamp(now);
    call.send(ConnectRequest::default().with_hello(hello)).await?;
    let (mut acknowledged, mut pinged) = (false, false);
    while let Some(answer) = call.message().await? {
        match answer.payload {
            Some(connect_response::Payload::Acknowledge(acknowledge)) => {
                acknowledged = !acknowledge.connection_id.is_empty();
                call.send(ConnectRequest::default().with_ping(ConnectPing::default())).await?;
            }
            Some(connect_response::Payload::Ping(_)) => {
                pinged = true;
                let goodbye = ConnectGoodbye::default();
                call.send(ConnectRequest::default().with_goodbye(goodbye)).await?;
                call.half_close();
            }
            _ => {}
        }
    }
    Ok(json!({ "acknowledged": acknowledged, "pinged": pinged, "ended": true }))
}

async fn download(client: &Client) -> Result<Value> {
    let file = create(client, "volt:file", "download.bin").await?;
    let content = pattern(200_000);
    let request = SetFileContentRequest::default().with_resource_id(&file).with_content(&*content);
    client.file().set_file_content(request).await?;

    let request = DownloadFileRequest::default().with_resource_id(&file);
    let mut stream = client.file().download_file(request).await?;
    let mut received = Vec::new();
    let mut blocks = 0;
    while let Some(answer) = stream.message().await? {
        if let Some(download_file_response::Payload::Block(block)) = answer.payload {
            received.extend(block);
            blocks += 1;
        }
    }
    Ok(json!({ "blocks": blocks, "length": received.len(), "intact": received == content }))
}

async fn refused_stream(client: &Client) -> Result<Value> {
    let request = DownloadFileRequest::default().with_resource_id(UNKNOWN_ID);
    let mut stream = client.file().download_file(request).await?;
    refusal(stream.message().await)
}

async fn upload(client: &Client) -> Result<Value> {
    let file = create(client, "volt:file", "upload.txt").await?;
    let mut call = client.file().upload_file().await?;
    let start = UploadFileStart::default().with_resource_id(&file).with_truncate(true);
    call.send(UploadFileRequest::default().with_start(start)).await?;
    for part in ["one, ", "two, ", "three"] {
        call.send(UploadFileRequest::default().with_block(part)).await?;
    }
    call.half_close();
    let mut acks = Vec::new();
    while let Some(answer) = call.message().await? {
        acks.push(answer.ack);
    }
    let request = GetFileContentRequest::default().with_resource_id(&file);
    let content = client.file().get_file_content(request).await?.content;
    Ok(json!({ "acks": acks, "content": String::from_utf8(content)? }))
}

async fn wire(client: &Client) -> Result<Value> {
    let wire = Resource::default().with_name("interop").with_kind(["volt:wire"]);
    let request = SaveWireRequest::default().with_resource(wire).with_create(true);
    let saved = client.wire().save_wire(request).await?;
    let wire = saved.resource.context("the Volt returned no wire")?.id;

    let mut subscription = client.wire().subscribe_wire().await?;
    subscription.send(SubscribeWireRequest::default().with_wire_id(&wire)).await?;
    let mut publication = client.wire().publish_wire().await?;
    let request = PublishWireRequest::default().with_wire_id(&wire);
    publication.send(request.clone()).await?;

    // A subscription is not acknowledged, so publish the chunk until it arrives.
    let message = loop {
        tokio::select! {
            message = subscription.message() => break message?,
            () = sleep(Duration::from_millis(50)) => {
                publication.send(request.clone().with_chunk("hello, wire")).await?;
            }
        }
    };
    let payload = message.context("the subscription ended before a chunk came")?.payload;
    let Some(subscribe_wire_response::Payload::Chunk(received)) = payload else {
        bail!("the first message has no chunk");
    };
    subscription.send(SubscribeWireRequest::default().with_stop(true)).await?;
    while subscription.message().await?.is_some() {}
    publication.half_close();
    while publication.message().await?.is_some() {}
    Ok(json!({
        "received": String::from_utf8(received)?,
        "subscription_ended": true,
        "publication_ended": true,
    }))
}

async fn sql(client: &Client) -> Result<Value> {
    let start = SqlExecuteStart::default().with_database_id(create_database(client).await?);
    for statement in [
        "CREATE TABLE bird (id INTEGER, name TEXT, weight REAL, data BLOB)",
        "INSERT INTO bird VALUES (0, '', 0.0, x''), (1, NULL, NULL, NULL)",
    ] {
        execute(client, start.clone().with_statement(statement)).await?;
    }
    let insert = start
        .clone()
        .with_statement("INSERT INTO bird VALUES (9007199254740993, $name, 0.1, x'00ff80')")
        .with_parameter([("$name", AttributeValue::default().with_string("naïve ☃"))]);
    execute(client, insert).await?;

    let query = start.with_statement("SELECT id, name, weight, data FROM bird ORDER BY id");
    let (header, rows) = execute(client, query).await?;
    let columns: Vec<_> = header
        .column
        .iter()
        .map(|column| json!([column.name, column.r#type().as_str_name()]))
        .collect();
    let rows: Vec<_> = rows.into_iter().map(|row| row.column).collect();
    Ok(json!({ "columns": columns, "rows": rows }))
}

async fn sql_helper(client: &Client) -> Result<Value> {
    let start = SqlExecuteStart::default().with_database_id(create_database(client).await?);
    for statement in [
        "CREATE TABLE bird (id INTEGER, name TEXT, data BLOB)",
        "INSERT INTO bird VALUES (1, 'wren', x'00ff80'), (2, 'heron', x'ff')",
    ] {
        execute(client, start.clone().with_statement(statement)).await?;
    }
    let query = start.with_statement("SELECT id, name, data FROM bird ORDER BY id");
    let (header, rows) = execute(client, query).await?;
    let mut objects = Vec::new();
    for row in rows {
        let mut object = Map::new();
        for (column, cell) in header.column.iter().zip(row.column) {
            let value = match cell.data {
                Some(variant::Data::Integer(number)) => json!(number),
                // The other cells are plain JSON values.
                _ => serde_json::to_value(&cell)?
                    .as_object()
                    .and_then(|cell| cell.values().next().cloned())
                    .unwrap_or_default(),
            };
            object.insert(column.name.clone(), value);
        }
        objects.push(object);
    }
    Ok(json!({ "rows": objects }))
}

/// Runs a statement and returns its columns and rows.
async fn execute(client: &Client, start: SqlExecuteStart) -> Result<(RowHeader, Vec<VariantRow>)> {
    let mut call = client.sqlite_database().execute().await?;
    call.send(SqlExecuteRequest::default().with_start(start)).await?;
    call.half_close();
    let (mut columns, mut rows) = (RowHeader::default(), Vec::new());
    while let Some(answer) = call.message().await? {
        match answer.payload {
            Some(sql_execute_response::Payload::Header(header)) => columns = header,
            Some(sql_execute_response::Payload::Row(row)) => rows.push(row),
            _ => {}
        }
    }
    Ok((columns, rows))
}

/// Creates a resource and returns its id.
async fn create(client: &Client, kind: &str, name: &str) -> Result<String> {
    let resource = Resource::default().with_name(name).with_kind([kind]);
    let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
    let saved = client.volt().save_resource(request).await?;
    Ok(saved.resource.context("the Volt returned no resource")?.id)
}

async fn create_database(client: &Client) -> Result<String> {
    let request = CreateDatabaseRequest::default().with_name("interop");
    let created = client.sqlite_server().create_database(request).await?;
    Ok(created.resource.context("the Volt returned no database")?.id)
}

/// Calls a service that a client hosts.
async fn hosted(client: &Client) -> Result<Value> {
    let request = DiscoverServicesRequest::default().with_service_api([TerminalApiClient::NAME]);
    let found = client.volt().discover_services(request).await?.resource;
    let service = Target::from(found.last().context("no service has been found")?);
    let request = DiscoverRequest::default();
    let answer = client.discovery().discover(request).service(service.clone()).await?;
    let caller = &answer.endpoint.first().context("no endpoint")?.challenge_signature;
    let request = request.with_require_relay(true);
    let refused = refusal(client.discovery().discover(request).service(service.clone()).await)?;
    let mut call = client.terminal().command_stream().service(service).await?;
    for (command, arguments) in [("one", &["two"][..]), ("three", &[])] {
        let control = Control::default().with_command(command).with_arg(arguments.iter().copied());
        call.send(CommandStreamRequest::default().with_control(control)).await?;
    }
    call.half_close();
    let mut echoed = Vec::new();
    while let Some(answer) = call.message().await? {
        echoed.push(String::from_utf8(answer.data)?);
    }
    Ok(json!({ "caller": caller, "code": refused["code"], "echoed": echoed }))
}

/// Hosts the service of the scenario `hosted` until the process is killed.
async fn host(client: &Client) -> Result<()> {
    let server = TerminalApiServer::new(Host);
    let mut resource = Resource::hosted_service("interop host", &server);
    let description = resource.service_description.get_or_insert_default();
    description.service_api.push(DiscoveryApiClient::NAME.to_owned());
    // A published client learns the methods from them.
    description.proto_file = PROTOS
        .map(|(path, text)| ProtoFile::default().with_file_path(path).with_protobuf(text))
        .into();
    let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
    let resource = client.volt().save_resource(request).await?.resource.context("no resource")?;
    let discovery = DiscoveryApiServer::new(Host);
    let going = client.presence().host(&resource, server).host(&resource, discovery);
    let mut presence = going.await?;
    println!("online");
    while presence.event().await?.is_some() {}
    bail!("the Volt ended the connect call");
}

struct Host;

impl DiscoveryApi for Host {
    async fn discover(
        &self,
        context: Context,
        request: DiscoverRequest,
    ) -> Result<DiscoverResponse, Status> {
        if request.require_relay {
            return Err(Status::new(Code::NotFound, "there is none"));
        }
        let caller = context.caller().identity.clone().unwrap_or_default();
        let endpoint = SignedEndpoint::default().with_challenge_signature(caller);
        Ok(DiscoverResponse::default().with_endpoint([endpoint]))
    }
}

impl TerminalApi for Host {
    /// Echoes each command.
    async fn command_stream(
        &self,
        _: Context,
        mut requests: Requests<CommandStreamRequest>,
        mut responses: Responses<CommandStreamResponse>,
    ) -> Result<(), Status> {
        while let Some(request) = requests.message().await? {
            if let Some(command_stream_request::Payload::Control(control)) = request.payload {
                let words: Vec<_> = [control.command].into_iter().chain(control.arg).collect();
                let echo = CommandStreamResponse::default().with_data(words.join(" "));
                responses.send(echo).await?;
            }
        }
        Ok(())
    }
}

/// The error with which the Volt rejected the call.
fn refusal<T>(answer: volt_api::Result<T>) -> Result<Value> {
    let Err(error) = answer else { bail!("the call was not refused") };
    let Some(status) = error.status() else { return Err(error.into()) };
    Ok(json!({ "code": i32::from(status.code()), "message": status.message() }))
}

/// Bytes in which a lost, duplicated or reordered block is detected.
fn pattern(length: usize) -> Vec<u8> {
    let byte = |index: usize| u8::try_from((index * 31 + (index >> 8)) % 251).unwrap_or(u8::MAX);
    (0..length).map(byte).collect()
}
