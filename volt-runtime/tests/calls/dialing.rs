//! Connections to a Volt: proxies, custom connectors, and servers that answer with HTTP.

use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use volt_runtime::{
    ClientConfig, ConnectOptions, Connector, Error, Executed, Proxy, TransportKind, connect,
    server::{ServerOptions, serve_grpc_tls},
};
use volt_test_support::{Note, soon};

use crate::{
    support::{NotesClient, Parts, TRANSPORTS, Volt},
    tls::{authority::Authority, start},
};

/// A proxy that tunnels every target to one address.
struct TestProxy {
    address: SocketAddr,
    /// The heads of the requests.
    requests: Arc<Mutex<Vec<String>>>,
}

impl TestProxy {
    async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.unwrap());
                    }
                    log.lock().unwrap().push(String::from_utf8(head).unwrap());
                    stream.write_all(b"HTTP/1.1 200 Connected\r\nVia: test\r\n\r\n").await.unwrap();
                    let mut target = TcpStream::connect(to).await.unwrap();
                    copy_bidirectional(&mut stream, &mut target).await.ok();
                });
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn works(config: &ClientConfig, options: ConnectOptions) {
    let client = NotesClient(soon(connect(config, options)).await.unwrap());
    let note = Note::new("one", 1);
    assert_eq!(soon(client.get(note.clone())).await.unwrap(), note);
    soon(client.0.close()).await;
}

fn through(proxy: &str, transport: TransportKind) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.transport = transport;
    options.proxy = Proxy::new(proxy).unwrap();
    options
}

/// Only the proxy can resolve the name.
#[tokio::test]
async fn a_proxy_tunnels_both_schemes_and_resolves_the_name() {
    use TransportKind::{Grpc, Websocket};
    let authority = Authority::new();
    let certified = || authority.server(&["volt.invalid"]);
    let plain = Volt::start().await;
    let tls = start(&authority, certified(), "127.0.0.1").await;
    let plain_grpc = Volt::start_over(Grpc, ServerOptions::default()).await;
    let mut tls_grpc = Parts::new(|endpoint| endpoint)
        .serve_by("https", "127.0.0.1", 0, |listener, endpoint| {
            serve_grpc_tls(listener, certified(), endpoint)
        })
        .await;
    tls_grpc.config.volt.ca_pem = Some(authority.pem());
    for (volt, transport, url, port) in [
        (&plain, Websocket, "http://volt.invalid", 80),
        (&tls, Websocket, "https://volt.invalid", 443),
        (&plain_grpc, Grpc, "http://volt.invalid:7", 7),
        (&tls_grpc, Grpc, "https://volt.invalid:7", 7),
    ] {
        let proxy = TestProxy::start(volt.server.local_addr()).await;
        let mut config = volt.config.clone().with_plaintext();
        config.volt.http_address = Some(url.to_owned());
        config.volt.address = Some(url.to_owned());
        let options = through(&format!("http://user:SECRET@{}", proxy.address), transport);
        works(&config, options).await;
        let [request] = &proxy.requests()[..] else { panic!("{:?}", proxy.requests()) };
        assert!(request.starts_with(&format!("CONNECT volt.invalid:{port} HTTP/1.1\r\n")));
        assert!(request.contains("\r\nProxy-Authorization: Basic dXNlcjpTRUNSRVQ=\r\n"));
    }
}

#[tokio::test]
async fn loopback_targets_never_go_through_a_proxy() {
    for transport in TRANSPORTS {
        let volt = Volt::start_over(transport, ServerOptions::default()).await;
        let proxy = TestProxy::start(volt.server.local_addr()).await;
        let options = through(&format!("http://{}", proxy.address), transport);
        works(&volt.config, options).await;
        assert!(proxy.requests().is_empty(), "{transport:?}");
    }
}

const CONFIG: &str = "VOLT_TEST_PROXIED_CONFIG";

/// Tests cannot change their own environment, so another process runs the test below.
#[tokio::test]
async fn the_environment_proxy_is_used_unless_disabled() {
    let volt = Volt::start().await;
    let proxy = TestProxy::start(volt.server.local_addr()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let mut config = volt.config.clone().with_plaintext();
    config.volt.http_address = Some("http://volt.invalid".to_owned());
    config.write(&path).unwrap();
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "dialing::connects_with_the_environment", "--nocapture"]);
        for other in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"]
        {
            child.env_remove(other);
        }
        child.env(CONFIG, &path).env(variable, format!("http://{}", proxy.address));
        let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("connected"), "{output:?}");
    }
    assert_eq!(proxy.requests().len(), 4);
}

/// The second half of the test above; run alone, it does nothing.
#[tokio::test]
async fn connects_with_the_environment() {
    let Some(path) = std::env::var_os(CONFIG) else { return };
    let config = ClientConfig::from_file(path).unwrap();
    works(&config, ConnectOptions::default()).await;
    let mut options = ConnectOptions::default();
    options.proxy = Proxy::none();
    // Without the proxy the name is unknown.
    assert!(connect(&config, options).await.unwrap_err().is_connection());
    println!("connected");
}

#[tokio::test]
async fn an_unreachable_proxy_is_named_in_the_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut config = Parts::new(|endpoint| endpoint).config().with_plaintext();
    config.volt.http_address = Some("http://volt.invalid".to_owned());
    config.volt.address = Some("http://volt.invalid:7".to_owned());
    for transport in TRANSPORTS {
        let options = through(&format!("http://user:SECRET@{address}"), transport);
        let error = soon(connect(&config, options)).await.unwrap_err();
        let text = format!("{error} {error:?}");
        let named = text.contains(&format!("proxy http://{address}"));
        assert!(error.is_connection() && named, "{text}");
        assert!(!text.contains("SECRET"), "{text}");
    }
}

#[tokio::test]
async fn a_custom_connector_carries_calls_with_and_without_tls() {
    let authority = Authority::new();
    let plain = Volt::start().await;
    let tls = start(&authority, authority.server(&["volt.invalid"]), "127.0.0.1").await;
    for (volt, scheme) in [(&plain, "http"), (&tls, "https")] {
        let mut config = volt.config.clone().with_plaintext();
        config.volt.http_address = Some(format!("{scheme}://volt.invalid:7"));
        let address = volt.server.local_addr();
        let mut options = ConnectOptions::default();
        options.connector = Some(Connector::new(move |host: String, port| async move {
            assert_eq!((&*host, port), ("volt.invalid", 7));
            let (mut theirs, ours) = tokio::io::duplex(1 << 16);
            let mut target = TcpStream::connect(address).await?;
            tokio::spawn(async move { copy_bidirectional(&mut theirs, &mut target).await });
            Ok(ours)
        }));
        works(&config, options).await;
    }
}

#[tokio::test]
async fn a_connector_that_fails_or_stalls_is_a_connection_error() {
    let config = Volt::start().await.config;
    let mut options = ConnectOptions::default();
    options.connect_timeout = Duration::from_millis(50);
    options.connector = Some(Connector::new(|_, _| async {
        Err::<TcpStream, _>(std::io::Error::other("no route"))
    }));
    let error = connect(&config, options.clone()).await.unwrap_err();
    assert!(error.is_connection() && error.to_string().contains("no route"), "{error}");
    options.connector =
        Some(Connector::new(|_, _| std::future::pending::<std::io::Result<TcpStream>>()));
    let error = soon(connect(&config, options)).await.unwrap_err();
    assert!(error.to_string().contains("connector did not connect within 50ms"), "{error}");
    assert_eq!(error.executed(), Executed::No);
}

/// The error of a client whose websocket handshake receives this answer.
async fn answered(answer: &'static str) -> Error {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Parts::new(|endpoint| endpoint).config();
    config.volt.http_address = Some(format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    soon(connect(&config, ConnectOptions::default())).await.unwrap_err()
}

#[tokio::test]
async fn an_answer_in_place_of_a_websocket_is_explained() {
    let error = answered(
        "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://volt.example/api\r\n\
         Content-Length: 0\r\n\r\n",
    );
    let text = error.await.to_string();
    assert!(text.contains("set `volt.http_address` to https://volt.example"), "{text}");
    let error = answered(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 120\r\nTransfer-Encoding: chunked\r\n\r\n\
         6\r\nclosed\r\n0\r\n\r\n",
    );
    let error = error.await;
    assert_eq!(error.retry_after(), Some(Duration::from_mins(2)));
    let text = error.to_string();
    assert!(text.contains("503 Service Unavailable: closed (it asks to wait for 120s)"), "{text}");
}

#[tokio::test]
async fn a_rejection_without_a_session_explains_how_to_authenticate() {
    let mut config = Volt::start().await.config;
    let volt = Volt::start().await;
    config.volt = volt.config.volt.clone();
    for (session, problem) in
        [(None, "is missing"), (Some("unknown".to_owned()), "names no valid session")]
    {
        config.credential.as_mut().unwrap().session_id = session;
        let credential = config.credential.as_mut().unwrap();
        credential.key.clone_from(&volt.config.credential.as_ref().unwrap().key);
        let client = NotesClient(connect(&config, ConnectOptions::default()).await.unwrap());
        let error = soon(client.get(Note::new("one", 1))).await.unwrap_err();
        let text = error.to_string();
        assert!(error.is_session_invalid(), "{text}");
        assert!(text.contains(&format!("`credential.session_id` {problem}: obtain")), "{text}");
        assert!(text.contains("Client::authenticate"), "{text}");
    }
}
