//! Plain HTTP beside the websocket, on the same port.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use volt_runtime::server::{AllowedOrigins, HttpAnswer, HttpHandler, ServerOptions};
use volt_test_support::{Note, soon};

use crate::support::Volt;

/// Echoes the requested path, except for one.
struct Echo;

impl HttpHandler for Echo {
    fn get(&self, path: &str) -> Option<HttpAnswer> {
        (path != "/nothing").then(|| HttpAnswer::json(format!("{{\"path\":\"{path}\"}}")))
    }
}

async fn start() -> Volt {
    Volt::start_as(|endpoint| endpoint.with_http(Echo)).await
}

async fn send(volt: &Volt, request: impl AsRef<[u8]>) -> TcpStream {
    let mut stream = TcpStream::connect(volt.server.local_addr()).await.unwrap();
    stream.write_all(request.as_ref()).await.unwrap();
    stream
}

/// All bytes from the server until it closes the connection.
async fn ask(volt: &Volt, request: &str) -> String {
    let mut stream = send(volt, request).await;
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: volt\r\n\r\n")
}

pub(crate) fn upgrade(path: &str, key: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: volt\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
}

/// The example of RFC 6455, and its response.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[tokio::test]
async fn a_get_is_answered_and_its_connection_closed() {
    let volt = start().await;
    let answer = ask(&volt, &get("/did/did:volt:1%2F?query")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
    assert!(head.to_lowercase().contains("connection: close"), "{head}");
    assert_eq!(body, r#"{"path":"/did/did:volt:1%2F"}"#);
    let note = Note::new("a call", 1);
    assert_eq!(soon(volt.client().await.get(note.clone())).await.unwrap(), note);
}

#[tokio::test]
async fn unknown_paths_are_not_found() {
    for (volt, path) in [(start().await, "/nothing"), (Volt::start().await, "/api")] {
        let answer = ask(&volt, &get(path)).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
}

#[tokio::test]
async fn other_http_methods_are_rejected() {
    let volt = start().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"] {
        let request =
            format!("{method} /api HTTP/1.1\r\nHost: volt\r\nContent-Length: 2\r\n\r\n{{}}");
        let answer = ask(&volt, &request).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.to_lowercase().contains("allow: get"), "{answer}");
    }
}

#[tokio::test]
async fn an_incomplete_handshake_is_refused() {
    let volt = start().await;
    for request in [
        upgrade("/api", "too short"),
        upgrade("/api", KEY).replace("Version: 13", "Version: 8"),
        upgrade("/api", KEY).replace("keep-alive, Upgrade", "keep-alive"),
    ] {
        let answer = ask(&volt, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}

#[tokio::test]
async fn a_message_sent_with_the_handshake_is_not_lost() {
    let volt = start().await;
    let ping = [0x89, 0x80, 1, 2, 3, 4]; // empty, and masked
    let mut stream = send(&volt, [upgrade("/api", KEY).as_bytes(), &ping].concat()).await;
    let mut answer = Vec::new();
    while !answer.ends_with(&[0x8a, 0]) {
        assert_ne!(soon(stream.read_buf(&mut answer)).await.unwrap(), 0, "{answer:?}");
    }
    let head = String::from_utf8_lossy(&answer);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains(ACCEPT), "{head}");
}

#[tokio::test]
async fn a_request_without_end_is_cut_off() {
    let volt = start().await;
    let endless = format!("GET / HTTP/1.1\r\nHost: volt\r\nX: {}", "x".repeat(65 << 10));
    let answer = ask(&volt, &endless).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_silent_client_is_dropped_at_the_limit() {
    let mut options = ServerOptions::default();
    options.handshake_timeout = Duration::from_millis(20);
    let volt = Volt::start_with(options).await;
    assert_eq!(ask(&volt, "GET / HTT").await, "");
}

#[tokio::test]
async fn half_a_request_does_not_delay_shutdown() {
    let volt = start().await;
    let stream = send(&volt, "GET / HTT").await;
    // An answer means that the connection before it has been accepted.
    ask(&volt, &get("/")).await;
    soon(volt.server.shutdown()).await;
    drop(stream);
}

#[tokio::test]
async fn web_pages_of_other_hosts_are_refused_unless_allowed() {
    let asking = |origin: &str| {
        upgrade("/api", KEY)
            .replace("Host: volt\r\n", &format!("Host: volt\r\nOrigin: {origin}\r\n"))
    };
    let head = async |volt: &Volt, request: String| {
        let mut stream = send(volt, request).await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n") {
            if soon(stream.read_buf(&mut answer)).await.unwrap() == 0 {
                break;
            }
        }
        String::from_utf8(answer).unwrap()
    };
    let mut options = ServerOptions::default();
    let strict = Volt::start_with(options.clone()).await;
    options.allowed_origins = AllowedOrigins::List(vec!["https://app.example".to_owned()]);
    let listed = Volt::start_with(options.clone()).await;
    options.allowed_origins = AllowedOrigins::Any;
    let open = Volt::start_with(options).await;
    for (volt, origin, status) in [
        (&strict, "http://volt", 101),
        (&strict, "http://localhost:3000", 101),
        (&strict, "https://app.example", 403),
        (&listed, "https://app.example", 101),
        (&listed, "https://other.example", 403),
        (&open, "https://other.example", 101),
    ] {
        let answer = head(volt, asking(origin)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{origin}: {answer}");
    }
    // If a request has two origins, both must be allowed. Plain requests are refused, too.
    let two = asking("http://volt\r\nOrigin: https://evil.example");
    assert!(head(&strict, two).await.starts_with("HTTP/1.1 403 "));
    let plain = get("/").replace("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n");
    let answer = ask(&strict, &plain).await;
    assert!(answer.contains("HTTP/1.1 403 ") && answer.contains("allowed_origins"), "{answer}");
}
