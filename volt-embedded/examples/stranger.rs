//! Measures the load that one client without a session can put on a Volt.
//!
//! ```text
//! cargo run --release -p volt-embedded --example stranger -- 15
//! ```
//!
//! The argument is the duration of each attack in seconds; a second one selects the attacks whose names
//! contain it. Each line shows one attack, the sockets of the
//! Volt at its end, the Volt's processor time for each second, its resident memory before, at most, and
//! ten seconds after the attack, and the latency of another client's `GetResource` calls meanwhile. The
//! Volt runs in its own process. The Volt does not limit connections from this machine by their
//! address. `VOLT_SERVER` attacks the Volt of another program, for example an earlier version of this
//! one: it is started with the argument `serve`, and prints the owner's configuration.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    net::TcpStream,
    time::{sleep, timeout},
};
use volt_api::{
    __private::prost::Message as _,
    Client, ClientConfig, ConnectOptions, TransportKind,
    key::SigningKey,
    volt::{
        AuthenticateRequest, GetResourceRequest, InvokeRequest,
        authenticate_request::ClientIdentifier,
    },
};
use volt_embedded::{EmbeddedVolt, UnknownClients};
use volt_runtime::__core::{
    crypto::Ephemeral,
    frame::Frame,
    handshake::{ClientHandshake, Route, ServerHandshake, Via},
};

use self::support::{Process, address, connections, frame, http2, websocket, websockets};

const AUTHENTICATE: &str = "/tdx.volt_api.volt.v1.VoltAPI/Authenticate";
const INVOKE: &str = "/tdx.volt_api.volt.v1.VoltAPI/Invoke";

/// The role of the Volt's process: it prints its configuration.
async fn serve() {
    let builder = EmbeddedVolt::builder().unknown_clients(UnknownClients::Prompt);
    let volt = builder.start().await.unwrap();
    println!("{}", serde_json::to_string(&volt.config()).unwrap());
    std::future::pending::<()>().await;
}

/// The target of the attacks.
struct Target {
    volt: Process,
    config: ClientConfig,
    address: SocketAddr,
    time: Duration,
}

impl Target {
    fn start(time: Duration) -> io::Result<Self> {
        let mut volt = Process::start(&["serve"])?;
        let config: ClientConfig = serde_json::from_str(&volt.line()?)?;
        let address = address(&config);
        Ok(Self { volt, config, address, time })
    }

    /// Runs an attack and prints its line. `attack` must hold what it has opened until it ends.
    async fn measure<F: Future<Output = ()>>(
        name: &str,
        time: Duration,
        attack: impl FnOnce(Attack) -> F,
    ) {
        if std::env::args().nth(2).is_some_and(|chosen| !name.contains(&chosen)) {
            return;
        }
        let target = Self::start(time).unwrap();
        let client = Client::connect(target.config.clone()).await.unwrap();
        let id = target.config.volt.id.clone().unwrap();
        let (mut latencies, mut failed) = (Vec::new(), 0);
        let probe = async {
            loop {
                let begin = Instant::now();
                let request = GetResourceRequest::default().with_resource_id(&id);
                failed += usize::from(client.volt().get_resource(request).await.is_err());
                latencies.push(begin.elapsed());
                sleep(Duration::from_millis(20)).await;
            }
        };
        sleep(Duration::from_secs(1)).await;
        let (before, cpu, begin) = (target.volt.memory(), target.volt.cpu(), Instant::now());
        let attack = attack(Attack {
            address: target.address,
            config: target.config.clone(),
            until: begin + target.time,
        });
        let mut most = before;
        let sampling = async {
            while begin.elapsed() < target.time {
                most = most.max(target.volt.memory());
                sleep(Duration::from_millis(50)).await;
            }
            (target.volt.sockets(), target.volt.cpu().saturating_sub(cpu), begin.elapsed())
        };
        let (sockets, used, elapsed) = tokio::select! {
            sampled = sampling => sampled,
            () = probe => return,
            () = async { attack.await; std::future::pending().await } => return,
        };
        sleep(Duration::from_secs(10)).await;
        latencies.sort_unstable();
        let p99 = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default();
        println!(
            "| {name} | {sockets} | {:.2} | {before:.1} | {most:.1} | {:.1} | {:.1} ms | {failed} |",
            used.as_secs_f64() / elapsed.as_secs_f64(),
            target.volt.memory(),
            p99.as_secs_f64() * 1000.0,
        );
    }
}

/// The addresses and keys that an attack needs.
struct Attack {
    address: SocketAddr,
    config: ClientConfig,
    until: Instant,
}

impl Attack {
    /// The frame of a key exchange, without its websocket.
    fn exchange(&self, call: u64) -> Vec<u8> {
        let signer = self.config.volt_key().unwrap();
        let audience = self.config.volt.id.clone().unwrap();
        let route = Route { audience, signer, via: Via::default() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (key, sent) = (SigningKey::generate().unwrap(), Ephemeral::generate().unwrap());
        ClientHandshake::begin(call, &route, &key, None, sent, now).unwrap().1
    }

    /// Sends key exchanges on a connection, with one token, and reads the answers if `read` is set.
    async fn exchanges(&self, stream: TcpStream, read: bool) {
        let mut exchange = self.exchange(0);
        let (mut near, mut far) = stream.into_split();
        let send = async {
            for call in 0u64.. {
                exchange[2..10].copy_from_slice(&call.to_be_bytes());
                if Instant::now() >= self.until
                    || far.write_all(&frame(0x82, &exchange, true)).await.is_err()
                {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let drain = async {
            let mut buffer = vec![0; 64 << 10];
            while read && near.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
            std::future::pending::<()>().await;
        };
        tokio::join!(send, drain);
    }

    /// Opens streams of a method on a gRPC connection, one after another, each with this content, and
    /// reads the answers.
    async fn streams(&self, connection: impl AsyncRead + AsyncWrite, method: &str, content: &[u8]) {
        let (mut near, mut far) = split(connection);
        let send = async {
            for stream in (1..).step_by(2) {
                let frames = [http2::open(stream, method), http2::data(stream, content)].concat();
                if Instant::now() >= self.until || far.write_all(&frames).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let drain = async {
            let mut buffer = vec![0; 64 << 10];
            while near.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
            std::future::pending::<()>().await;
        };
        tokio::join!(send, drain);
    }

    /// The first message of a call within a stream of `Invoke`, whose caller has no session.
    fn invoke(&self) -> Vec<u8> {
        let opening = Frame::decode(self.exchange(1).into()).unwrap();
        let opened = ServerHandshake::accept(&opening).unwrap();
        let request = InvokeRequest::default()
            .with_token(opened.token.to_jwt())
            .with_target_did(opened.via.destinations)
            .encode_to_vec();
        http2::message(u32::try_from(request.len()).unwrap(), &request)
    }

    /// Calls `Authenticate` with 64 new keys at a time.
    async fn authenticate(&self, transport: TransportKind) {
        let callers = (0..64).map(|_| async {
            let key = SigningKey::generate().unwrap();
            let pem = key.to_pem().unwrap();
            let config = self.config.clone().with_credential(pem.as_str(), None);
            let mut options = ConnectOptions::default();
            options.transport = transport;
            let client = Client::connect_with(config, options).await.unwrap();
            while Instant::now() < self.until {
                let key = ClientIdentifier::PublicKey(key.verifying_key().to_pem());
                let request = AuthenticateRequest {
                    client_identifier: Some(key),
                    ..AuthenticateRequest::default()
                };
                let _ = client.volt().authenticate(request).await;
            }
            std::future::pending::<()>().await;
        });
        join_all(callers).await;
    }

    async fn each(&self, streams: Vec<TcpStream>, content: &[u8], every: Duration) {
        let mut streams = streams;
        loop {
            for stream in &mut streams {
                stream.try_write(content).ok();
            }
            sleep(every).await;
        }
    }
}

/// The attacks over gRPC.
async fn grpc(time: Duration) {
    let name = "gRPC: TCP connections that send nothing";
    Target::measure(name, time, async |attack: Attack| {
        let address = attack.config.volt.address.as_deref().unwrap_or_default();
        let open = connections(6000, || TcpStream::connect(address)).await;
        sleep(time * 2).await;
        drop(open);
    })
    .await;
    Target::measure("gRPC: idle connections", time, async |attack: Attack| {
        let open = connections(6000, || http2::connect(&attack.config)).await;
        sleep(time * 2).await;
        drop(open);
    })
    .await;
    let name = "gRPC: connections with half a message of 256 KiB";
    Target::measure(name, time, async |attack: Attack| {
        let mut open = connections(6000, || http2::connect(&attack.config)).await;
        let half = http2::message(256 << 10, &vec![0; 200 << 10]);
        let frames = [http2::open(1, AUTHENTICATE), http2::data(1, &half)].concat();
        let frames = &frames;
        join_all(open.iter_mut().map(|connection| async move {
            connection.write_all(frames).await.ok();
            connection.flush().await.ok();
        }))
        .await;
        sleep(time * 2).await;
    })
    .await;
    let name = "gRPC: streams without a request on 64 connections";
    Target::measure(name, time, async |attack: Attack| {
        let open = connections(64, || http2::connect(&attack.config)).await;
        join_all(open.into_iter().map(|one| attack.streams(one, AUTHENTICATE, &[]))).await;
    })
    .await;
    let name = "gRPC: `Authenticate` with 64 new keys at a time";
    Target::measure(name, time, async |attack: Attack| {
        attack.authenticate(TransportKind::Grpc).await;
    })
    .await;
    let name = "gRPC: streams of `Invoke` on 64 connections";
    Target::measure(name, time, async |attack: Attack| {
        let open = connections(64, || http2::connect(&attack.config)).await;
        let first = attack.invoke();
        join_all(open.into_iter().map(|one| attack.streams(one, INVOKE, &first))).await;
    })
    .await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("serve") {
        serve().await;
    }
    let time = Duration::from_secs(argument.map_or(Ok(15), |text| text.parse())?);
    println!(
        "| attack | sockets | CPU | MiB before | most | after | p99 of another client | failed |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    Target::measure("none", time, async |_| sleep(time * 2).await).await;
    Target::measure("TCP connections that send nothing", time, async |attack: Attack| {
        let mut open = Vec::new();
        while Instant::now() < attack.until {
            if let Ok(stream) = TcpStream::connect(attack.address).await {
                open.push(stream);
            }
            open.truncate(6000);
            tokio::task::yield_now().await;
        }
        sleep(time).await;
    })
    .await;
    Target::measure("idle websockets", time, async |attack: Attack| {
        let open = websockets(attack.address, 6000).await;
        sleep(time * 2).await;
        drop(open);
    })
    .await;
    Target::measure("websockets with half a message of 256 KiB", time, async |attack: Attack| {
        let open = websockets(attack.address, 6000).await;
        let message = frame(0x82, &vec![0; 256 << 10], true);
        attack.each(open, &message[..200 << 10], time * 3).await;
    })
    .await;
    Target::measure("key exchanges on one connection", time, async |attack: Attack| {
        let stream = websocket(attack.address).await.unwrap();
        attack.exchanges(stream, true).await;
    })
    .await;
    Target::measure("the same, answers unread", time, async |attack: Attack| {
        let stream = websocket(attack.address).await.unwrap();
        attack.exchanges(stream, false).await;
    })
    .await;
    Target::measure("key exchanges on 64 connections", time, async |attack: Attack| {
        let streams = websockets(attack.address, 64).await;
        join_all(streams.into_iter().map(|stream| attack.exchanges(stream, true))).await;
    })
    .await;
    Target::measure("`Authenticate` with 64 new keys at a time", time, async |attack: Attack| {
        attack.authenticate(TransportKind::Websocket).await;
    })
    .await;
    Target::measure("new websockets, each closed at once", time, async |attack: Attack| {
        let callers = (0..64).map(|_| async {
            while Instant::now() < attack.until {
                drop(timeout(Duration::from_secs(2), websocket(attack.address)).await);
            }
            sleep(time).await;
        });
        join_all(callers).await;
    })
    .await;
    Target::measure("pings on 64 connections, pongs unread", time, async |attack: Attack| {
        let streams = websockets(attack.address, 64).await;
        let pings = frame(0x89, &[0; 125], true).repeat(100);
        attack.each(streams, &pings, Duration::from_millis(1)).await;
    })
    .await;
    grpc(time).await;
    Ok(())
}
