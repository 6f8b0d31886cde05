//! Limits on what one client may use of a gRPC server.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use volt_runtime::{
    Code, Overflow,
    key::SigningKey,
    server::{Router, ServerOptions, ServiceHost, serve_grpc},
};
use volt_test_support::{Anyone, Note, soon};

use super::{
    raw::{Raw, good, token},
    start, start_with,
};
use crate::support::{Notes, Probe, VOLT_ID};

fn long(length: usize) -> Note {
    Note::new("x".repeat(length), 0)
}

#[tokio::test]
async fn messages_up_to_the_limit_pass_and_a_longer_one_ends_only_its_call() {
    let volt = start_with(|options| options.max_message_size = 1 << 20).await;
    let mut client = Raw::connect(&volt).await;
    let mut call = client.open("Get").await;
    // Larger than the window, so it is read while it arrives.
    let sum = long((1 << 20) - 100);
    call.send(&sum);
    assert_eq!(call.outcome().await, good([sum]));
    for method in ["Get", "Echo"] {
        let mut call = client.open(method).await;
        // The length alone causes the error.
        call.send_bytes(vec![0, 0, 0x10, 0, 1]);
        let outcome = call.outcome().await;
        assert_eq!(outcome.status.code(), Code::ResourceExhausted, "{outcome:?}");
        assert!(outcome.status.message().contains("at most 1048576"), "{outcome:?}");
    }
    assert_eq!(client.get(&Note::new("one", 1)).await, good([Note::new("one", 1)]));
}

#[tokio::test]
async fn a_compressed_request_is_read_up_to_the_limit_of_its_content() {
    // `Note::new("one", 1)`, and a text of 5,000 bytes, by gzip.
    const SHORT: &str = "1f8b0800000000000203e362cecf4b156004003eb9ca0c07000000";
    const LONG: &str = "1f8b0800000000000203edc1310100000803a0df22ab6804639b621f30970500000000ea1e7728c1348b130000";
    let volt = start_with(|options| options.max_message_size = 1000).await;
    let mut client = Raw::connect(&volt).await;
    for (content, expected) in [(SHORT, Code::Ok), (LONG, Code::ResourceExhausted)] {
        let content = hex::decode(content).unwrap();
        let length = u8::try_from(content.len()).unwrap();
        let mut call = client.open_with("Get", &[("grpc-encoding", "gzip")]).await;
        call.send_bytes([&[1, 0, 0, 0, length], &content[..]].concat());
        let outcome = call.outcome().await;
        assert_eq!(outcome.status.code(), expected, "{outcome:?}");
        if expected == Code::Ok {
            assert_eq!(outcome, good([Note::new("one", 1)]));
        }
    }
}

#[tokio::test]
async fn the_limit_of_grpc_is_64_mib() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    let mut call = client.open("Get").await;
    call.send_bytes(vec![0, 4, 0, 0, 1]);
    let outcome = call.outcome().await;
    assert_eq!(outcome.status.code(), Code::ResourceExhausted, "{outcome:?}");
}

/// A server that admits callers without a session.
async fn open_server(
    change: impl FnOnce(&mut ServerOptions),
) -> (volt_runtime::server::Server, Raw) {
    let mut options = ServerOptions::default();
    change(&mut options);
    let router = Router::new().with(Notes(Probe::default()));
    let key = SigningKey::generate().unwrap();
    let host = ServiceHost::new(VOLT_ID, SigningKey::generate().unwrap(), router, Anyone);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = serve_grpc(listener, host.with_options(options)).unwrap();
    let mut client = Raw::to(server.local_addr()).await;
    client.token = Some(token(&key, VOLT_ID, None));
    (server, client)
}

#[tokio::test]
async fn a_long_message_needs_a_session() {
    let (_server, mut client) = open_server(|_| {}).await;
    for (length, expected) in [(256_000, Code::Ok), (300_000, Code::ResourceExhausted)] {
        let mut call = client.open("Get").await;
        call.send(&long(length));
        assert_eq!(call.outcome().await.status.code(), expected, "{length}");
    }
}

#[tokio::test]
async fn callers_without_a_session_share_their_memory() {
    let (_server, mut client) =
        open_server(|options| options.unauthenticated_bytes = 300_000).await;
    // The message is announced, so its memory counts.
    let mut first = client.open("Get").await;
    first.send_bytes(vec![0, 0, 3, 0, 0]);
    soon(async {
        loop {
            let mut second = client.open("Get").await;
            second.send(&long(200_000));
            let outcome = second.outcome().await;
            if outcome.status.code() == Code::ResourceExhausted {
                return assert!(outcome.status.message().contains("too much memory"));
            }
        }
    })
    .await;
    // A stream may be unread, so its window counts.
    let stream = client.open("Echo").await;
    assert_eq!(stream.outcome().await.status.code(), Code::ResourceExhausted);
    first.reset();
    soon(async {
        loop {
            let mut third = client.open("Get").await;
            third.send(&long(200_000));
            if third.outcome().await.status.code() == Code::Ok {
                return;
            }
        }
    })
    .await;
}

/// A call uses memory before it has a message.
#[tokio::test]
async fn calls_without_a_session_count_their_memory() {
    let (_server, mut client) =
        open_server(|options| options.unauthenticated_bytes = 100_000).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(client.open("Get").await);
    }
    soon(async {
        loop {
            let mut call = client.open("Get").await;
            call.send(&Note::default());
            if call.outcome().await.status.code() == Code::ResourceExhausted {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn long_messages_of_a_connection_arrive_within_its_buffer() {
    let volt = start_with(|options| options.connection_buffer = 1 << 20).await;
    let mut client = Raw::connect(&volt).await;
    let (mut first, mut second) = (client.open("Get").await, client.open("Get").await);
    // Each needs more than half of the memory, and the first is incomplete.
    let note = long(600_000);
    let bytes = super::raw::framed(&note);
    first.send_bytes(bytes.slice(..200_000));
    second.send_bytes(bytes.clone());
    for number in 0..10 {
        let note = Note::new("between", number);
        assert_eq!(client.get(&note).await, good([note]));
    }
    first.send_bytes(bytes.slice(200_000..));
    assert_eq!(first.outcome().await, good([note.clone()]));
    assert_eq!(second.outcome().await, good([note]));
}

/// Otherwise messages that wait for one another could fill the connection indefinitely.
#[tokio::test]
async fn a_long_message_waits_for_memory_for_a_limited_time() {
    let volt = start_with(|options| {
        options.connection_buffer = 1 << 20;
        options.overflow = Overflow::Wait(Duration::from_millis(50));
    })
    .await;
    let mut client = Raw::connect(&volt).await;
    let (mut first, mut second) = (client.open("Get").await, client.open("Get").await);
    let note = long(600_000);
    let bytes = super::raw::framed(&note);
    first.send_bytes(bytes.slice(..200_000));
    second.send_bytes(bytes.clone());
    assert_eq!(second.outcome().await.status.code(), Code::ResourceExhausted);
    first.send_bytes(bytes.slice(200_000..));
    assert_eq!(first.outcome().await, good([note]));
}

#[tokio::test]
async fn a_message_that_stalls_ends_only_its_call() {
    let volt = start_with(|options| options.message_timeout = Duration::from_millis(50)).await;
    let mut client = Raw::connect(&volt).await;
    let mut echo = client.open("Echo").await;
    echo.send(&Note::new("before", 1));
    assert_eq!(echo.message().await, Note::new("before", 1));
    let mut slow = client.open("Echo").await;
    slow.send_bytes(vec![0, 0, 0, 0, 9, 1]);
    let outcome = slow.outcome().await;
    assert_eq!(outcome.status.code(), Code::ResourceExhausted, "{outcome:?}");
    echo.send(&Note::new("after", 2));
    assert_eq!(echo.message().await, Note::new("after", 2));
}

#[tokio::test]
async fn a_call_without_a_request_ends_and_frees_its_place() {
    let volt = start_with(|options| {
        options.invoke_timeout = Duration::from_millis(20);
        options.max_key_exchanges = 3;
    })
    .await;
    let mut client = Raw::connect(&volt).await;
    for _ in 0..3 {
        let mut calls = Vec::new();
        for _ in 0..3 {
            calls.push(client.open("Get").await);
        }
        for call in calls {
            assert_eq!(call.outcome().await.status.code(), Code::DeadlineExceeded);
        }
    }
}

/// From then on, the time for a message counts.
#[tokio::test]
async fn a_request_that_has_begun_may_take_longer() {
    let volt = start_with(|options| options.invoke_timeout = Duration::from_millis(500)).await;
    let mut client = Raw::connect(&volt).await;
    let mut slow = client.open("Get").await;
    let note = Note::new("slow", 1);
    let bytes = super::raw::framed(&note);
    slow.send_bytes(bytes.slice(..6));
    // It was opened later, so its time ends later.
    let silent = client.open("Get").await;
    assert_eq!(silent.outcome().await.status.code(), Code::DeadlineExceeded);
    slow.send_bytes(bytes.slice(6..));
    assert_eq!(slow.outcome().await, good([note]));
}

#[tokio::test]
async fn calls_without_a_request_are_bounded() {
    let volt = start_with(|options| options.max_key_exchanges = 2).await;
    let mut client = Raw::connect(&volt).await;
    let (mut first, _second) = (client.open("Echo").await, client.open("Get").await);
    first.headers().await.unwrap();
    let third = client.open("Get").await;
    let outcome = third.outcome().await;
    assert_eq!(outcome.status.code(), Code::ResourceExhausted, "{outcome:?}");
    first.send(&Note::new("one", 1));
    assert_eq!(first.message().await, Note::new("one", 1));
    assert_eq!(client.get(&Note::new("two", 2)).await, good([Note::new("two", 2)]));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_those_before_it_work() {
    let volt = start_with(|options| options.max_connections = 1).await;
    let mut client = Raw::connect(&volt).await;
    assert_eq!(client.get(&Note::new("one", 1)).await, good([Note::new("one", 1)]));
    let mut other = TcpStream::connect(volt.server.local_addr()).await.unwrap();
    let mut rest = Vec::new();
    let _ = soon(other.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"");
    assert_eq!(client.get(&Note::new("two", 2)).await, good([Note::new("two", 2)]));
}

#[tokio::test]
async fn a_connection_must_begin_in_time() {
    let volt = start_with(|options| options.handshake_timeout = Duration::from_millis(50)).await;
    for beginning in [&b""[..], b"PRI * HTTP/2.0"] {
        let mut slow = TcpStream::connect(volt.server.local_addr()).await.unwrap();
        slow.write_all(beginning).await.unwrap();
        let mut rest = Vec::new();
        let _ = soon(slow.read_to_end(&mut rest)).await;
    }
    // A connection without calls stays.
    let mut client = Raw::connect(&volt).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(client.get(&Note::new("one", 1)).await, good([Note::new("one", 1)]));
}

#[tokio::test]
async fn a_reader_that_stops_stalls_only_its_call() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    let mut echo = client.open("Echo").await;
    // More than every buffer on the way; the answers are not read.
    for _ in 0..64 {
        echo.send(&long(100_000));
    }
    for number in 0..10 {
        let note = Note::new("between", number);
        assert_eq!(client.get(&note).await, good([note]));
    }
    for _ in 0..64 {
        assert_eq!(echo.message().await, long(100_000));
    }
}

/// The answers of a connection share a limit. A call without unread answers is delayed last.
#[tokio::test]
async fn unread_answers_of_many_calls_do_not_stall_a_small_one() {
    let volt = start_with(|options| options.connection_buffer = 1 << 20).await;
    let mut client = Raw::connect(&volt).await;
    let mut calls = Vec::new();
    for _ in 0..12 {
        let mut echo = client.open("Echo").await;
        // Together more than twice the buffer of the connection.
        for _ in 0..4 {
            echo.send(&long(60_000));
        }
        calls.push(echo);
    }
    for number in 0..10 {
        let note = Note::new("between", number);
        assert_eq!(client.get(&note).await, good([note]));
    }
    for echo in &mut calls {
        for _ in 0..4 {
            assert_eq!(echo.message().await, long(60_000));
        }
    }
}

/// Some servers treat frequent pings as an attack; the published server helper sends two a second.
#[tokio::test]
async fn frequent_pings_are_answered() {
    let volt = start().await;
    let stream = TcpStream::connect(volt.server.local_addr()).await.unwrap();
    let (_requests, mut connection) = soon(h2::client::handshake(stream)).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let driver = tokio::spawn(connection);
    for _ in 0..200 {
        soon(pings.ping(h2::Ping::opaque())).await.unwrap();
    }
    driver.abort();
}
