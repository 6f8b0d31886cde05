//! Measures the latency of `GetResource` beside a stream that is read slowly, on the same client.
//!
//! ```text
//! cargo run --release -p volt-embedded --example slow_reader -- 20
//! cargo run --release -p volt-embedded --example slow_reader -- 20 grpc
//! ```
//!
//! The first argument is the duration of each measurement in seconds, the second the transport, which is the
//! websocket by default. The stream moves blocks of 64 KiB, one
//! each 200 milliseconds: first a download that the client reads slowly, then an upload that the
//! server's handler reads slowly. Each line shows the 99th percentile and the worst latency, the calls
//! that failed, how the stream ended, and the memory of the process, which holds both ends.

#![allow(clippy::unwrap_used)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, time::sleep};
use volt_api::{
    Client, ClientConfig, ConnectOptions, Result, Status, TransportKind,
    key::SigningKey,
    server::{Context, Requests, Responses, Router, ServiceHost, serve, serve_grpc},
    volt::{
        DownloadFileRequest, FileApi, FileApiServer, GetResourceRequest, GetResourceResponse,
        Resource, SaveResourceRequest, UploadFileRequest, UploadFileResponse, UploadFileStart,
        VoltApi, VoltApiServer,
    },
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::Anyone;

const BLOCK: usize = 64 << 10;
const PAUSE: Duration = Duration::from_millis(200);
/// The size of the file: more than all buffers hold.
const BLOCKS: usize = 2048;

/// A server whose upload handler is slow.
struct Slow;

impl VoltApi for Slow {
    async fn get_resource(
        &self,
        _: Context,
        _: GetResourceRequest,
    ) -> Result<GetResourceResponse, Status> {
        Ok(GetResourceResponse::default())
    }
}

impl FileApi for Slow {
    async fn upload_file(
        &self,
        _: Context,
        mut requests: Requests<UploadFileRequest>,
        _: Responses<UploadFileResponse>,
    ) -> Result<(), Status> {
        while requests.message().await?.is_some() {
            sleep(PAUSE).await;
        }
        Ok(())
    }
}

async fn connect(config: ClientConfig, transport: TransportKind) -> Result<Client> {
    let mut options = ConnectOptions::default();
    options.transport = transport;
    Client::connect_with(config, options).await
}

/// A client of a new server with these handlers.
async fn slow_server(transport: TransportKind) -> Client {
    let (volt, key) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = ClientConfig::new("did:volt:slow", "", volt.verifying_key().to_pem())
        .with_credential(key.to_pem().unwrap().as_str(), Some("session".to_owned()));
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().with(VoltApiServer::new(Slow)).with(FileApiServer::new(Slow));
    let host = Arc::new(ServiceHost::new("did:volt:slow", volt, router, Anyone));
    let server = if transport == TransportKind::Grpc {
        config.volt.address = Some(url);
        serve_grpc(listener, host)
    } else {
        config.volt.http_address = Some(url);
        serve(listener, host)
    };
    // The server runs until the process ends.
    std::mem::forget(server.unwrap());
    connect(config, transport).await.unwrap()
}

/// Saves a large file, and returns its id.
async fn large_file(client: &Client) -> Result<String> {
    let resource = Resource::default().with_name("large").with_kind(["volt:file"]);
    let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
    let id = client.volt().save_resource(request).await?.resource.unwrap_or_default().id;
    let mut call = client.file().upload_file().await?;
    let start = UploadFileStart::default().with_resource_id(&id);
    call.send(UploadFileRequest::default().with_start(start)).await?;
    for _ in 0..BLOCKS {
        call.send(UploadFileRequest::default().with_block(vec![7; BLOCK])).await?;
    }
    call.finish().await?;
    Ok(id)
}

async fn download(client: &Client, id: &str, own: Option<bool>) -> Result<()> {
    let request = DownloadFileRequest::default().with_resource_id(id);
    let call = client.file().download_file(request);
    let mut call = match own {
        Some(own) => call.own_connection(own).await?,
        None => call.await?,
    };
    while call.message().await?.is_some() {
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn upload(client: &Client, own: Option<bool>) -> Result<()> {
    let call = client.file().upload_file();
    let mut call = match own {
        Some(own) => call.own_connection(own).await?,
        None => call.await?,
    };
    loop {
        call.send(UploadFileRequest::default().with_block(vec![7; BLOCK])).await?;
    }
}

/// The resident memory of this process, as the system shows it.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap_or("unknown").trim().to_owned()
}

/// Measures the latency while the stream runs.
async fn measure(
    name: &str,
    time: Duration,
    client: &Client,
    id: &str,
    stream: impl Future<Output = Result<()>>,
) {
    let (mut latencies, mut failures, mut ended) = (Vec::new(), 0, "running".to_owned());
    let probe = async {
        let until = Instant::now() + time;
        while Instant::now() < until {
            let begin = Instant::now();
            let request = GetResourceRequest::default().with_resource_id(id);
            failures += usize::from(client.volt().get_resource(request).await.is_err());
            latencies.push(begin.elapsed());
            sleep(Duration::from_millis(100)).await;
        }
    };
    let stream = async {
        ended = match stream.await {
            Ok(()) => "complete".to_owned(),
            Err(error) => error.to_string(),
        };
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = probe => {}
        () = stream => {}
    }
    latencies.sort_unstable();
    let (p99, worst) = (latencies[latencies.len() * 99 / 100], latencies[latencies.len() - 1]);
    println!(
        "{name:<34} {:>4} calls, {failures} failed, p99 {p99:>8.1?}, worst {worst:>8.1?}, {}, stream: {ended}",
        latencies.len(),
        memory(),
    );
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let time = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let time = Duration::from_secs(time);
    let transport = match arguments.next().as_deref() {
        None | Some("websocket") => TransportKind::Websocket,
        Some("grpc") => TransportKind::Grpc,
        Some(other) => Err(format!("the transport is {other:?}; expected websocket or grpc"))?,
    };
    // The choice of a connection has no effect over gRPC.
    let has_own_connections = transport == TransportKind::Websocket;

    let volt = EmbeddedVolt::start().await?;
    let client = connect(volt.config(), transport).await?;
    let id = large_file(&client).await?;
    measure("nothing", time, &client, &id, std::future::pending()).await;
    measure("slow download, default", time, &client, &id, download(&client, &id, None)).await;
    if has_own_connections {
        let shared = download(&client, &id, Some(false));
        measure("slow download, shared connection", time, &client, &id, shared).await;
    }

    let client = slow_server(transport).await;
    measure("slow handler, default", time, &client, "id", upload(&client, None)).await;
    if has_own_connections {
        let shared = upload(&client, Some(false));
        measure("slow handler, shared connection", time, &client, "id", shared).await;
    }
    Ok(())
}
