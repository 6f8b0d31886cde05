//! Limits on the resources that one client may use of a server, and one Volt of a client.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _, stream::FuturesUnordered};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use tokio_tungstenite::{
    client_async, client_async_with_config,
    tungstenite::{
        Error as SocketError, Message,
        http::StatusCode,
        protocol::{Role, WebSocketConfig},
    },
};
use volt_runtime::{
    __core::{
        call::{self, Outgoing},
        frame::{FrameKind, KeyRequest},
    },
    Overflow,
    server::ServerOptions,
};
use volt_test_support::{Note, soon};

use crate::{
    hostile::{RawClient, now},
    support::{VOLT_ID, Volt},
};

async fn volt_with(change: impl FnOnce(&mut ServerOptions)) -> Volt {
    let mut options = ServerOptions::default();
    change(&mut options);
    Volt::start_with(options).await
}

#[tokio::test]
async fn connections_beyond_the_limit_receive_503() {
    let volt = volt_with(|options| options.max_connections = 2).await;
    let mut first = RawClient::connect(&volt).await;
    let second = RawClient::connect(&volt).await;
    let address = volt.server.local_addr();
    for _ in 0..3 {
        let stream = TcpStream::connect(address).await.unwrap();
        let refused = soon(client_async(format!("ws://{address}/api"), stream)).await.unwrap_err();
        let SocketError::Http(answer) = refused else { panic!("{refused:?}") };
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
    }
    first.works(&volt, 1).await;
    drop(second);
    // Its slot is free as soon as the server has noticed.
    soon(async {
        loop {
            let address = volt.server.local_addr();
            let stream = TcpStream::connect(address).await.unwrap();
            if client_async(format!("ws://{address}/api"), stream).await.is_ok() {
                return;
            }
        }
    })
    .await;
}

/// A stranger may open many connections, so those beyond the limit cost little.
#[tokio::test]
async fn silent_connections_beyond_the_limit_are_bounded() {
    let volt = volt_with(|options| options.max_connections = 1).await;
    let mut first = RawClient::connect(&volt).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(volt.server.local_addr()).await.unwrap());
    }
    // The server waits for at most 64 and closes the others at once.
    let mut closed = 0;
    soon(async {
        while closed < 36 {
            silent.retain_mut(|stream| {
                let ended = matches!(stream.try_read(&mut [0; 1]), Ok(0))
                    || stream
                        .try_read(&mut [0; 1])
                        .is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock);
                closed += usize::from(ended);
                !ended
            });
            tokio::task::yield_now().await;
        }
    })
    .await;
    first.works(&volt, 1).await;
}

/// The reservation of memory for a message is the attack; sending it is not necessary.
#[tokio::test]
async fn a_long_message_needs_a_session() {
    let volt = volt_with(|options| options.handshake_timeout = Duration::from_secs(1)).await;
    let mut stranger = TcpStream::connect(volt.server.local_addr()).await.unwrap();
    stranger.write_all(crate::http::upgrade("/api", crate::http::KEY).as_bytes()).await.unwrap();
    // The header of a masked binary message of 100 MiB.
    stranger.write_all(&[0x82, 0xff, 0, 0, 0, 0, 6, 64, 0, 0, 1, 2, 3, 4]).await.unwrap();
    let mut rest = Vec::new();
    // The server ends the connection, by a close or a reset.
    let _ = soon(stranger.read_to_end(&mut rest)).await;
    // The first message of a client with a session may be long: it follows the key exchange.
    let note = long(1 << 20);
    assert_eq!(soon(volt.client().await.get(note.clone())).await.unwrap(), note);
}

#[tokio::test]
async fn a_message_that_stalls_ends_only_its_connection() {
    let volt = volt_with(|options| options.message_timeout = Duration::from_millis(50)).await;
    let client = volt.client().await;
    let mut echo = client.echo().await.unwrap();
    echo.send(Note::new("before", 1)).await.unwrap();
    assert!(soon(echo.message()).await.unwrap().is_some());
    let mut slow = TcpStream::connect(volt.server.local_addr()).await.unwrap();
    slow.write_all(crate::http::upgrade("/api", crate::http::KEY).as_bytes()).await.unwrap();
    slow.write_all(&[0x82, 0xfe, 1, 0, 1, 2, 3, 4]).await.unwrap();
    let mut rest = Vec::new();
    let _ = soon(slow.read_to_end(&mut rest)).await;
    echo.send(Note::new("after", 2)).await.unwrap();
    assert!(soon(echo.message()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_call_that_names_no_method_ends_and_frees_its_place() {
    let volt = volt_with(|options| {
        options.invoke_timeout = Duration::from_millis(10);
        options.max_key_exchanges = 3;
    })
    .await;
    let mut client = RawClient::connect(&volt).await;
    // A storm of key exchanges without invocations, several times the number that may be open.
    for call in (0..12).step_by(3) {
        let mut keys = Vec::new();
        for call in call..call + 3 {
            keys.push(client.open(&volt, call).await);
        }
        for _ in &keys {
            let frame = client.frame().await.unwrap();
            let key = &keys[usize::try_from(frame.call - call).unwrap()];
            let end = RawClient::failure(key, frame);
            assert!(end.contains("named no method within 10ms"), "{end}");
        }
    }
    client.works(&volt, 100).await;
}

#[tokio::test]
async fn an_invoked_call_may_exceed_the_invocation_timeout() {
    let volt = volt_with(|options| options.invoke_timeout = Duration::from_millis(10)).await;
    let client = volt.client().await;
    let mut stream = client.list(Note::new("wait", 1)).await.unwrap();
    assert!(soon(stream.message()).await.unwrap().is_some());
    // Another call that hits that limit shows that it has elapsed.
    let mut raw = RawClient::connect(&volt).await;
    let key = raw.open(&volt, 1).await;
    assert!(raw.end(&key).await.contains("named no method"));
    // The first call continues.
    let next = tokio::time::timeout(Duration::ZERO, stream.message()).await;
    assert!(next.is_err(), "{next:?}");
}

/// A request of a given size.
fn long(bytes: usize) -> Note {
    Note::new("x".repeat(bytes), 0)
}

#[tokio::test]
async fn all_calls_of_a_connection_share_one_memory_limit() {
    const CALLS: u64 = 8;
    let volt = volt_with(|options| {
        options.connection_buffer = 64 << 10;
        options.overflow = Overflow::Fail;
    })
    .await;
    let mut client = RawClient::connect(&volt).await;
    let mut calls = Vec::new();
    for id in 0..CALLS {
        let key = client.open(&volt, id).await;
        let mut outgoing = Outgoing::client(id, "/test.Notes/Echo", None);
        // The handler reads this message and no other.
        client.send(outgoing.message(&key, &Note::new("wait", 0)).unwrap()).await;
        calls.push((key, outgoing));
    }
    soon(volt.probe.running(8)).await;
    // Each call is well within its own limit of 4 MiB, but together they exceed the connection's.
    // Requests that the runtime reads ahead of the handlers do not count.
    for _ in 0..8 {
        for (key, outgoing) in &mut calls {
            client.send(outgoing.message(key, &long(16 << 10)).unwrap()).await;
        }
    }
    let frame = client.frame().await.unwrap();
    let (key, _) = &calls[usize::try_from(frame.call).unwrap()];
    let opened = call::open(key, frame.body).unwrap();
    assert!(format!("{opened:?}").contains("the buffer for them is full"), "{opened:?}");
}

#[tokio::test]
async fn answers_to_an_unresponsive_client_are_bounded() {
    let volt = volt_with(|options| options.write_timeout = Duration::from_millis(50)).await;
    let address = volt.server.local_addr();
    // The system buffers as little as possible of the unread data.
    let stream = TcpSocket::new_v4().unwrap();
    stream.set_recv_buffer_size(4096).unwrap();
    let stream = stream.connect(address).await.unwrap();
    let (socket, _) = client_async(format!("ws://{address}/api"), stream).await.unwrap();
    // A token that is rejected, with an error that quotes it.
    let claims = format!("{{\"iat\":\"{}\"}}", "x".repeat(60_000));
    let (metadata, signature) = (bytes::Bytes::new(), bytes::Bytes::new());
    let request = KeyRequest { metadata, signature, claims: claims.into() };
    let (mut sink, _unread) = socket.split();
    let flood = async {
        for call in 0.. {
            let message = Message::Binary(request.encode(call).unwrap().into());
            if sink.send(message).await.is_err() {
                return;
            }
        }
    };
    // The server stops reading, the flood blocks, and then the server drops the connection.
    soon(flood).await;
    RawClient::connect(&volt).await.works(&volt, 1).await;
}

#[tokio::test]
async fn a_slow_message_delays_only_its_connection() {
    let volt = Volt::start().await;
    let mut slow = TcpStream::connect(volt.server.local_addr()).await.unwrap();
    slow.write_all(crate::http::upgrade("/api", crate::http::KEY).as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert_ne!(soon(slow.read_buf(&mut head)).await.unwrap(), 0);
    }
    // The header of a masked binary message of 100 MiB, and then a byte at a time.
    slow.write_all(&[0x82, 0xff, 0, 0, 0, 0, 6, 64, 0, 0, 1, 2, 3, 4]).await.unwrap();
    for _ in 0..20 {
        slow.write_all(&[0]).await.unwrap();
        soon(volt.client().await.get(Note::default())).await.unwrap();
    }
}

#[tokio::test]
async fn a_too_long_message_ends_its_connection_early() {
    let volt = volt_with(|options| options.max_message_size = 1000).await;
    let address = volt.server.local_addr();
    let stream = TcpStream::connect(address).await.unwrap();
    let config = WebSocketConfig::default();
    let url = format!("ws://{address}/api");
    let (mut socket, _) = client_async_with_config(url, stream, Some(config)).await.unwrap();
    socket.send(Message::Binary(vec![1; 1001].into())).await.unwrap();
    let answer = soon(socket.next()).await;
    assert!(!matches!(answer, Some(Ok(Message::Binary(_)))), "{answer:?}");
    RawClient::connect(&volt).await.works(&volt, 1).await;
}

#[tokio::test]
async fn compression_is_refused() {
    let volt = Volt::start().await;
    let asking = crate::http::upgrade("/api", crate::http::KEY).replace(
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Version",
    );
    let mut stream = TcpStream::connect(volt.server.local_addr()).await.unwrap();
    stream.write_all(asking.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert_ne!(soon(stream.read_buf(&mut head)).await.unwrap(), 0);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(!head.to_lowercase().contains("extensions"), "{head}");
    // A masked binary message with the bit for compression set.
    stream.write_all(&[0xc2, 0x81, 0, 0, 0, 0, 1]).await.unwrap();
    let mut socket =
        tokio_tungstenite::WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    let answer = soon(socket.next()).await;
    assert!(matches!(answer, None | Some(Err(_) | Ok(Message::Close(_)))), "{answer:?}");
}

#[tokio::test]
async fn many_concurrent_key_exchanges_are_answered() {
    let volt = volt_with(|options| options.max_key_exchanges = 100).await;
    let mut client = RawClient::connect(&volt).await;
    for call in 0..1000 {
        client.send(RawClient::begin(&volt, call, now(), VOLT_ID).1).await;
    }
    let mut opened = 0;
    for _ in 0..1000 {
        match client.frame().await.unwrap().kind {
            FrameKind::KeyExchange => opened += 1,
            kind => assert_eq!(kind, FrameKind::Payload),
        }
    }
    assert_eq!(opened, 100);
    // Other connections are not affected.
    let other = volt.client().await;
    let calls: FuturesUnordered<_> =
        (0..10).map(|n| other.get(Note::new("", n)).into_future()).collect();
    soon(calls.for_each(async |outcome| assert!(outcome.is_ok()))).await;
}
