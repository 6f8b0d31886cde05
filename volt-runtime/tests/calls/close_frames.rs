//! The reasons of closed connections: the peer's close frame and the chain of causes, in errors, in the
//! state and in the log.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
};

use futures_util::StreamExt as _;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{Message, protocol::CloseFrame},
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use volt_runtime::{ErrorKind, connect};
use volt_test_support::{Note, soon};

use crate::support::{NotesClient, Volt, quick};

/// Collects the log's lines, from warnings upwards.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            writeln!(self.0, "{value:?}").unwrap();
        }
    }
}

/// A client whose first connection `end` ends after a call was opened. Its later connections reach
/// the Volt.
async fn client_of(
    volt: &Volt,
    end: impl AsyncFnOnce(WebSocketStream<TcpStream>) + 'static,
) -> NotesClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = volt.config.clone();
    config.volt.http_address = Some(format!("http://{}", listener.local_addr().unwrap()));
    let target = volt.server.local_addr();
    let local = async move {
        let (stream, _) = listener.accept().await.unwrap();
        let socket = accept_async(stream).await.unwrap();
        (listener, socket)
    };
    let (channel, (listener, mut socket)) = tokio::join!(connect(&config, quick()), local);
    tokio::task::spawn_local(async move {
        assert!(matches!(socket.next().await, Some(Ok(Message::Binary(_)))));
        end(socket).await;
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(target).await.unwrap();
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
    });
    NotesClient(channel.unwrap())
}

/// Runs on one thread, so that the log contains only this test.
async fn logged(test: impl AsyncFnOnce(Log)) {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    tokio::task::LocalSet::new().run_until(test(log)).await;
    drop(guard);
}

#[tokio::test]
async fn close_codes_are_reported_and_only_a_violated_policy_is_final() {
    for (code, is_final) in
        [(1008, true), (1009, false), (1012, false), (1013, false), (4001, false)]
    {
        logged(async |log| {
            let volt = Volt::start().await;
            let client = client_of(&volt, async move |mut socket| {
                let frame = CloseFrame { code: code.into(), reason: "ask your admin".into() };
                socket.close(Some(frame)).await.unwrap();
                while socket.next().await.is_some() {}
            })
            .await;
            let mut states = client.0.watch_state();
            let mut list = client.list(Note::new("n", 1)).await.unwrap();
            let error = soon(list.message()).await.unwrap_err();
            let after = soon(states.changed()).await.unwrap();
            let expected = format!("the peer closed the connection with code {code}");
            for text in [error.to_string(), after.reason().unwrap().to_string(), log.text()] {
                assert!(text.contains(&expected) && text.contains(": ask your admin"), "{text}");
            }
            assert_eq!((error.kind(), error.close_code()), (ErrorKind::Connection, Some(code)));
            assert_eq!(after.is_closed(), is_final);
            let next = soon(client.get(Note::new("next", 1))).await;
            match next {
                Err(error) if is_final => assert_eq!(error.close_code(), Some(code)),
                next => assert_eq!(next.unwrap(), Note::new("next", 1)),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn the_log_of_a_lost_connection_has_the_chain_of_causes() {
    logged(async |log| {
        let volt = Volt::start().await;
        let client = client_of(&volt, async |socket| drop(socket)).await;
        let mut list = client.list(Note::new("n", 1)).await.unwrap();
        assert!(soon(list.message()).await.is_err());
        soon(client.get(Note::default())).await.unwrap();
        let text = log.text();
        assert!(text.contains("Connection reset without closing handshake"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_volt_that_speaks_the_other_protocol_is_named() {
    for (volt, answer, expected) in [
        (
            Volt::start().await,
            Message::text(r#"{"invoke_id":"1","error":"no"}"#),
            "the peer speaks the legacy JSON protocol, which takes an RSA key",
        ),
        (
            Volt::start_legacy().await,
            Message::binary(vec![1, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
            "the peer speaks the binary protocol, which takes an Ed25519 key",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = volt.config.clone();
        config.volt.http_address = Some(format!("http://{}", listener.local_addr().unwrap()));
        let answering = async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = accept_async(stream).await.unwrap();
            socket.next().await;
            futures_util::SinkExt::send(&mut socket, answer).await.unwrap();
            while socket.next().await.is_some() {}
        };
        tokio::spawn(answering);
        let mut options = quick();
        options.reconnect = None;
        let client = NotesClient(connect(&config, options).await.unwrap());
        let error = soon(client.get(Note::default())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
