//! A service with all four kinds of method, written by hand in the form of generated code, and a
//! server for it.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpListener, sync::Notify};
use volt_runtime::{
    __core::Encoding,
    BidiCall, Channel, ClientConfig, ClientStreamingCall, Code, ConnectOptions, Method, MethodKind,
    Reconnect, ServerStreamingCall, Status, TransportKind, TypedMethod, UnaryCall,
    call::{Bidi, ClientStreaming, ServerStreaming, Unary},
    connect,
    key::SigningKey,
    server::{
        self, Authenticator, Caller, IncomingCall, Router, Server, ServerOptions, Service,
        ServiceHost, Token, serve, serve_grpc,
    },
};
use volt_test_support::{Note, soon};

pub(crate) const TRANSPORTS: [TransportKind; 2] = [TransportKind::Websocket, TransportKind::Grpc];

pub(crate) const VOLT_ID: &str = "did:volt:test";
const SESSION: &str = "session-1";

static METHODS: [Method; 4] = [
    Method { path: "/test.Notes/Get", kind: MethodKind::Unary },
    Method { path: "/test.Notes/List", kind: MethodKind::ServerStreaming },
    Method { path: "/test.Notes/Sum", kind: MethodKind::ClientStreaming },
    Method { path: "/test.Notes/Echo", kind: MethodKind::Bidi },
];
pub(crate) const GET: TypedMethod<Unary<Note, Note>> = TypedMethod::new(&METHODS[0]);
pub(crate) const LIST: TypedMethod<ServerStreaming<Note, Note>> = TypedMethod::new(&METHODS[1]);
pub(crate) const SUM: TypedMethod<ClientStreaming<Note, Note>> = TypedMethod::new(&METHODS[2]);
pub(crate) const ECHO: TypedMethod<Bidi<Note, Note>> = TypedMethod::new(&METHODS[3]);
static UNKNOWN: Method = Method { path: "/test.Notes/Nothing", kind: MethodKind::Unary };

/// The client, as the generator would write it.
#[derive(Clone)]
pub(crate) struct NotesClient(pub(crate) Channel);

impl NotesClient {
    pub(crate) fn get(&self, request: Note) -> UnaryCall<Note, Note> {
        UnaryCall::new(&self.0, &METHODS[0], request)
    }
    pub(crate) fn list(&self, request: Note) -> ServerStreamingCall<Note, Note> {
        ServerStreamingCall::new(&self.0, &METHODS[1], request)
    }
    pub(crate) fn sum(&self) -> ClientStreamingCall<Note, Note> {
        ClientStreamingCall::new(&self.0, &METHODS[2])
    }
    pub(crate) fn echo(&self) -> BidiCall<Note, Note> {
        BidiCall::new(&self.0, &METHODS[3])
    }
    pub(crate) fn unknown(&self) -> UnaryCall<Note, Note> {
        UnaryCall::new(&self.0, &UNKNOWN, Note::default())
    }
}

/// The observable state of the service.
#[derive(Clone, Default)]
pub(crate) struct Probe {
    running: Arc<AtomicUsize>,
    changed: Arc<Notify>,
    /// Releases handlers that were asked to wait at the gate.
    pub(crate) gate: Arc<Notify>,
    /// The number of calls that asked to wait the first time.
    first: Arc<AtomicUsize>,
    /// The number of requests that were taken without an answer.
    pub(crate) taken: Arc<AtomicUsize>,
}

impl Probe {
    fn enter(&self) -> Running {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        Running(self.clone())
    }

    /// Waits until this many handlers run.
    pub(crate) async fn running(&self, count: usize) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if self.running.load(Ordering::SeqCst) == count {
                return;
            }
            changed.await;
        }
    }
}

struct Running(Probe);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

pub(crate) struct Notes(pub(crate) Probe);

impl Service for Notes {
    fn name(&self) -> &'static str {
        "test.Notes"
    }

    fn methods(&self) -> &'static [Method] {
        &METHODS
    }

    fn call(&self, index: usize, call: IncomingCall) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let probe = self.0.clone();
        match index {
            0 => server::unary(call, move |_, note: Note| async move {
                let _running = probe.enter();
                match &*note.text {
                    "refuse" => Err(Status::new(Code::NotFound, "no such note")),
                    "wait" => std::future::pending().await,
                    "gate" => {
                        probe.gate.notified().await;
                        Ok(note)
                    }
                    "first" if probe.first.fetch_add(1, Ordering::SeqCst) == 0 => {
                        std::future::pending().await
                    }
                    "panic" => panic!("a handler that panics"),
                    _ => Ok(note),
                }
            }),
            1 => server::server_streaming(call, move |_, note: Note, mut responses| async move {
                let _running = probe.enter();
                for number in 0..note.number {
                    responses.send(Note::new(&note.text, number)).await?;
                }
                match &*note.text {
                    "refuse" => Err(Status::new(Code::DataLoss, "the rest is discarded")),
                    "wait" => std::future::pending().await,
                    "once" if probe.first.fetch_add(1, Ordering::SeqCst) == 0 => {
                        std::future::pending().await
                    }
                    "once" => Err(Status::new(Code::PermissionDenied, "only once")),
                    _ => Ok(()),
                }
            }),
            2 => server::client_streaming(
                call,
                move |_, mut requests: server::Requests<Note>| async move {
                    let _running = probe.enter();
                    let mut sum = 0;
                    while let Some(note) = requests.message().await? {
                        if note.text == "refuse" {
                            return Err(Status::new(Code::InvalidArgument, "not this one"));
                        }
                        sum += note.number;
                        if note.text == "enough" {
                            break;
                        }
                    }
                    Ok(Note::new("sum", sum))
                },
            ),
            _ => server::bidi(
                call,
                move |_, mut requests: server::Requests<Note>, mut responses| async move {
                    let _running = probe.enter();
                    while let Some(note) = requests.message().await? {
                        match &*note.text {
                            "wait" => std::future::pending().await,
                            "gate" => probe.gate.notified().await,
                            "take" => _ = probe.taken.fetch_add(1, Ordering::SeqCst),
                            "refuse" => {
                                return Err(Status::new(Code::InvalidArgument, "not this one"));
                            }
                            _ => responses.send(note).await?,
                        }
                    }
                    Ok(())
                },
            ),
        }
    }
}

/// Knows the key and the only session of one client.
pub(crate) struct OneClient(pub(crate) volt_runtime::key::VerifyingKey);

impl Authenticator for OneClient {
    fn authenticate(&self, token: &Token) -> Result<Caller, Status> {
        let unauthenticated = |message: &str| Status::new(Code::Unauthenticated, message);
        token.verify(&self.0).map_err(|error| unauthenticated(&error.to_string()))?;
        match token.claims().sub.as_deref() {
            // A legacy token names a key instead.
            None if token.key_id() == Some(&*self.0.fingerprint()) => {
                Ok(Caller::new("legacy", "did:volt:client"))
            }
            Some(SESSION) => Ok(Caller::new(SESSION, "did:volt:client")),
            _ => Err(unauthenticated("session invalid")),
        }
    }
}

/// A server, and the configuration of a client that it knows.
pub(crate) struct Volt {
    pub(crate) server: Server,
    pub(crate) config: ClientConfig,
    pub(crate) probe: Probe,
    /// Its private key, PEM.
    key: String,
    transport: TransportKind,
}

/// A stopped Volt that can be restarted.
pub(crate) struct Stopped {
    pub(crate) address: SocketAddr,
    parts: Parts,
    transport: TransportKind,
}

impl Stopped {
    /// The configuration of its client.
    pub(crate) fn config(&self) -> &ClientConfig {
        &self.parts.config
    }

    pub(crate) async fn start(self) -> Volt {
        let Self { address, parts, transport } = self;
        parts.serve_over(transport, &address.ip().to_string(), address.port()).await
    }
}

/// Options that reconnect without a noticeable delay.
pub(crate) fn quick() -> ConnectOptions {
    let mut options = ConnectOptions::default();
    let mut reconnect = Reconnect::default();
    reconnect.first_delay = Duration::from_millis(1);
    reconnect.longest_delay = Duration::from_millis(20);
    options.reconnect = Some(reconnect);
    options
}

impl Volt {
    pub(crate) async fn start() -> Self {
        Self::start_with(ServerOptions::default()).await
    }

    pub(crate) async fn start_with(options: ServerOptions) -> Self {
        Self::start_as(|endpoint| endpoint.with_options(options)).await
    }

    /// The same for clients of this transport.
    pub(crate) async fn start_over(transport: TransportKind, options: ServerOptions) -> Self {
        let parts = Parts::new(|endpoint| endpoint.with_options(options));
        parts.serve_over(transport, "127.0.0.1", 0).await
    }

    pub(crate) async fn start_as(change: impl FnOnce(ServiceHost) -> ServiceHost) -> Self {
        Parts::new(change).serve().await
    }

    /// The same for a client that speaks the legacy protocol.
    pub(crate) async fn start_legacy() -> Self {
        Parts::legacy().serve().await
    }

    pub(crate) async fn start_legacy_with(options: ServerOptions) -> Self {
        let mut parts = Parts::legacy();
        parts.endpoint = parts.endpoint.with_options(options);
        parts.serve().await
    }

    /// Stops it and returns what is needed to restart it at the same address.
    pub(crate) async fn stop(self) -> Stopped {
        let (server, stopped) = self.take_apart();
        server.shutdown().await;
        stopped
    }

    /// The same without notifying its clients, like a crash.
    pub(crate) async fn kill(self) -> Stopped {
        let (server, stopped) = self.take_apart();
        drop(server);
        // The runtime drops the server's tasks later.
        soon(async {
            while TcpListener::bind(stopped.address).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        stopped
    }

    fn take_apart(self) -> (Server, Stopped) {
        let Self { server, config, probe, key, transport } = self;
        let address = server.local_addr();
        let parts = Parts::again(key, config, probe, |router| router, |endpoint| endpoint);
        (server, Stopped { address, parts, transport })
    }

    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_pem(&self.key).unwrap()
    }

    pub(crate) async fn client_with(
        &self,
        change: impl FnOnce(&mut ConnectOptions),
    ) -> NotesClient {
        let mut options = quick();
        options.transport = self.transport;
        change(&mut options);
        NotesClient(connect(&self.config, options).await.unwrap())
    }

    pub(crate) async fn client(&self) -> NotesClient {
        NotesClient(connect(&self.config, ConnectOptions::default()).await.unwrap())
    }
}

/// The parts of a server, and the configuration of a client that it knows.
pub(crate) struct Parts {
    endpoint: ServiceHost,
    config: ClientConfig,
    probe: Probe,
    key: String,
}

impl Parts {
    pub(crate) fn new(change: impl FnOnce(ServiceHost) -> ServiceHost) -> Self {
        Self::routed(|router| router, change)
    }

    /// The same with another router.
    pub(crate) fn routed(
        route: impl FnOnce(Router) -> Router,
        change: impl FnOnce(ServiceHost) -> ServiceHost,
    ) -> Self {
        let (volt_key, client_key) =
            (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let config = ClientConfig::new(VOLT_ID, "", volt_key.verifying_key().to_pem())
            .with_credential(client_key.to_pem().unwrap().as_str(), Some(SESSION.to_owned()));
        let key = volt_key.to_pem().unwrap().to_string();
        Self::again(key, config, Probe::default(), route, change)
    }

    /// The same Volt, for the same client.
    fn again(
        key: String,
        config: ClientConfig,
        probe: Probe,
        route: impl FnOnce(Router) -> Router,
        change: impl FnOnce(ServiceHost) -> ServiceHost,
    ) -> Self {
        let router = route(Router::new().with(Notes(probe.clone())));
        let authority = OneClient(config.signing_key().unwrap().verifying_key());
        let volt_key = SigningKey::from_pem(&key).unwrap();
        let endpoint = change(ServiceHost::new(VOLT_ID, volt_key, router, authority));
        Self { endpoint, config, probe, key }
    }

    pub(crate) fn legacy() -> Self {
        let (volt_key, client_key) =
            (SigningKey::generate_rsa().unwrap(), SigningKey::generate_rsa().unwrap());
        let config = ClientConfig::new(VOLT_ID, "", volt_key.verifying_key().to_pem())
            .with_credential(client_key.to_pem().unwrap().as_str(), None);
        let probe = Probe::default();
        let router = Router::new().with(Notes(probe.clone()));
        let authority = OneClient(client_key.verifying_key());
        let key = volt_key.to_pem().unwrap().to_string();
        let unused = SigningKey::generate().unwrap();
        let endpoint = ServiceHost::new(VOLT_ID, unused, Router::new(), authority)
            .with_legacy(Arc::new(OnceLock::from(volt_key)), router);
        Self { endpoint, config, probe, key }
    }

    /// Returns the parts for a server that a test creates itself.
    pub(crate) fn endpoint(self) -> (ServiceHost, ClientConfig, Probe) {
        (self.endpoint, self.config, self.probe)
    }

    /// Returns the client's configuration, for a server that a test creates itself.
    pub(crate) fn config(self) -> ClientConfig {
        self.config
    }

    async fn serve(self) -> Volt {
        self.serve_over(TransportKind::Websocket, "127.0.0.1", 0).await
    }

    async fn serve_over(self, transport: TransportKind, host: &str, port: u16) -> Volt {
        let mut volt = match transport {
            TransportKind::Grpc => self.serve_by("http", host, port, serve_grpc).await,
            _ => self.serve_by("http", host, port, serve).await,
        };
        volt.transport = transport;
        if transport == TransportKind::Grpc {
            volt.config.volt.address = volt.config.volt.http_address.take();
        }
        volt
    }

    /// Serves at an address, which the client connects to with this scheme.
    pub(crate) async fn serve_by(
        self,
        scheme: &str,
        host: &str,
        port: u16,
        serve: impl FnOnce(TcpListener, ServiceHost) -> std::io::Result<Server>,
    ) -> Volt {
        let Self { endpoint, mut config, probe, key } = self;
        let listener = TcpListener::bind(format!("{host}:{port}")).await.unwrap();
        let server = serve(listener, endpoint).unwrap();
        config.volt.http_address =
            Some(format!("{scheme}://{host}:{}", server.local_addr().port()));
        Volt { server, config, probe, key, transport: TransportKind::Automatic }
    }
}

/// A client of a Volt whose configured address is another one.
pub(crate) async fn connect_to(
    volt: &Volt,
    address: SocketAddr,
    change: impl FnOnce(&mut ConnectOptions),
) -> NotesClient {
    let mut config = volt.config.clone();
    config.volt.http_address = Some(format!("http://{address}"));
    let mut options = quick();
    options.reconnect = None;
    change(&mut options);
    NotesClient(connect(&config, options).await.unwrap())
}

/// An in-process client of the same service.
pub(crate) fn in_process() -> (NotesClient, Probe) {
    in_process_with(Encoding::Json)
}

pub(crate) fn in_process_with(encoding: Encoding) -> (NotesClient, Probe) {
    let probe = Probe::default();
    let router = Router::new().with(Notes(probe.clone()));
    (NotesClient(Channel::in_process_with(router, encoding)), probe)
}

/// Waits until no call is open on the channel. It polls a gauge: by design there is no event.
pub(crate) async fn no_open_calls(client: &NotesClient) {
    soon(async {
        while client.0.open_calls() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
