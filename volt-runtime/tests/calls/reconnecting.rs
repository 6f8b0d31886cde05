//! Lost connections, and the calls on them and after them.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{accept_async, tungstenite::Message};
use volt_runtime::{
    CallOptions, Code, ConnectionState, ErrorKind, Executed, Keepalive, Reconnect, Update, connect,
};
use volt_test_support::{Note, soon};

use crate::support::{NotesClient, Volt, quick};

/// Waits until the client has noticed that the connection is lost.
async fn lost(client: &NotesClient) {
    let mut states = client.0.watch_state();
    soon(async {
        while states.current().is_connected() {
            states.changed().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn open_calls_fail_at_once_and_later_ones_wait_for_the_next_connection() {
    let volt = Volt::start().await;
    let client = volt.client_with(|_| {}).await;
    let get = tokio::spawn(client.get(Note::new("wait", 0)).into_future());
    let mut list = client.list(Note::new("wait", 0)).await.unwrap();
    let mut unsent = client.echo().await.unwrap();
    soon(volt.probe.running(2)).await;
    let stopped = volt.stop().await;
    for (error, executed) in [
        (soon(get).await.unwrap().unwrap_err(), Executed::Maybe),
        (soon(list.message()).await.unwrap_err(), Executed::Maybe),
        (soon(unsent.message()).await.unwrap_err(), Executed::No),
    ] {
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, executed), "{error}");
    }
    lost(&client).await;
    let waiting = tokio::spawn(client.get(Note::new("later", 7)).into_future());
    let stream = tokio::spawn(client.list(Note::new("later", 2)).into_future());
    let _volt = stopped.start().await;
    assert_eq!(soon(waiting).await.unwrap().unwrap(), Note::new("later", 7));
    let mut stream = soon(stream).await.unwrap().unwrap();
    assert_eq!(soon(stream.message()).await.unwrap().unwrap().number, 0);
    assert!(client.0.watch_state().current().is_connected());
}

#[tokio::test]
async fn a_call_that_will_not_wait_fails_while_there_is_no_connection() {
    let volt = Volt::start().await;
    let client = volt.client_with(|_| {}).await;
    let stopped = volt.stop().await;
    lost(&client).await;
    let impatient = || client.get(Note::default()).wait_for_ready(false);
    let error = soon(impatient()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No), "{error}");
    let error = soon(client.get(Note::default()).timeout(Duration::from_millis(20))).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Deadline, Executed::No), "{error}");
    // The error reports that there was no connection, and the reason.
    let reason = client.0.watch_state().current().reason().unwrap().kind();
    assert_eq!((reason, error.code()), (ErrorKind::Connection, Code::Unavailable));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().contains(&source), "{error}");
    drop(stopped);
}

/// A stream has no timeout by default, and must not wait for a Volt that is permanently
/// unavailable.
#[tokio::test]
async fn opening_a_stream_waits_for_a_connection_within_its_limit() {
    let volt = Volt::start().await;
    let client = volt.client_with(|_| {}).await;
    let stopped = volt.stop().await;
    lost(&client).await;
    let mut options = CallOptions::default();
    options.ready_timeout = Duration::from_millis(20);
    let limited = NotesClient(client.0.clone().with_defaults(options));
    let error = soon(limited.echo()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No), "{error}");
    assert!(error.to_string().contains("there was no connection in time: "), "{error}");
    drop(stopped);
}

#[tokio::test]
async fn a_subscription_ends_at_its_deadline_while_the_client_reconnects() {
    let volt = Volt::start().await;
    let client = volt.client_with(|_| {}).await;
    let call = client.list(Note::new("wait", 1)).timeout(Duration::from_millis(300));
    let mut list = call.subscribe().await.unwrap();
    assert_eq!(soon(list.update()).await.unwrap(), Some(Update::Message(Note::new("wait", 0))));
    let stopped = volt.stop().await;
    let error = soon(list.update()).await.unwrap_err();
    assert!(error.is_deadline(), "{error}");
    drop(stopped);
}

#[tokio::test]
async fn a_call_that_cannot_have_been_executed_is_made_again() {
    let volt = Volt::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = volt.config.clone();
    config.volt.http_address = Some(format!("http://{}", listener.local_addr().unwrap()));
    let target = volt.server.local_addr();
    let between = tokio::spawn(async move {
        // The first connection breaks after the key exchange was sent; the second one works.
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        assert!(matches!(socket.next().await, Some(Ok(Message::Binary(_)))));
        drop(socket);
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(target).await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut server).await;
    });
    let client = NotesClient(connect(&config, quick()).await.unwrap());
    assert_eq!(soon(client.get(Note::new("hello", 1))).await.unwrap(), Note::new("hello", 1));
    between.abort();
}

#[tokio::test]
async fn a_call_that_may_have_been_executed_is_made_again_only_if_it_may() {
    for idempotent in [false, true] {
        let volt = Volt::start().await;
        let client = volt.client_with(|_| {}).await;
        let mut call = client.get(Note::new("first", 3));
        if idempotent {
            call = call.idempotent();
        }
        let call = tokio::spawn(call.into_future());
        soon(volt.probe.running(1)).await;
        let _volt = volt.stop().await.start().await;
        let outcome = soon(call).await.unwrap();
        if idempotent {
            assert_eq!(outcome.unwrap(), Note::new("first", 3));
        } else {
            let error = outcome.unwrap_err();
            assert!(error.is_connection(), "{error}");
            assert_eq!(error.executed(), Executed::Maybe);
        }
    }
}

#[tokio::test]
async fn subscriptions_go_on_and_say_that_something_may_be_missing() {
    let volt = Volt::start().await;
    let client = volt.client_with(|_| {}).await;
    let mut list = client.list(Note::new("wait", 2)).subscribe().await.unwrap();
    let mut echo = client.echo().subscribe(Note::new("hello", 9)).await.unwrap();
    let number = |number| Some(Update::Message(Note::new("wait", number)));
    let mut volt = Some(volt);
    for life in 0..3 {
        if life > 0 {
            volt = Some(volt.take().unwrap().stop().await.start().await);
            assert_eq!(soon(list.update()).await.unwrap(), Some(Update::Resumed));
            assert_eq!(soon(echo.update()).await.unwrap(), Some(Update::Resumed));
        }
        assert_eq!(soon(list.update()).await.unwrap(), number(0));
        assert_eq!(soon(list.update()).await.unwrap(), number(1));
        let hello = Some(Update::Message(Note::new("hello", 9)));
        assert_eq!(soon(echo.update()).await.unwrap(), hello);
    }
    // The request of a bidirectional call did not half-close it.
    let volt = volt.unwrap();
    soon(volt.probe.running(2)).await;
    drop((list, echo));
    soon(volt.probe.running(0)).await;
}

#[tokio::test]
async fn a_subscription_ends_with_the_volts_end_and_with_its_refusal() {
    let volt = Volt::start().await;
    let client = volt.client_with(|_| {}).await;
    let mut list = client.list(Note::new("n", 1)).subscribe().await.unwrap();
    assert!(soon(list.update()).await.unwrap().is_some());
    assert_eq!(soon(list.update()).await.unwrap(), None);
    let mut list = client.list(Note::new("refuse", 0)).subscribe().await.unwrap();
    for _ in 0..2 {
        assert!(soon(list.update()).await.unwrap_err().is_refused());
    }
}

#[tokio::test]
async fn it_gives_up_when_it_was_told_to() {
    let volt = Volt::start().await;
    let client = volt
        .client_with(|options| {
            let mut reconnect = Reconnect::default();
            reconnect.give_up_after = Some(Duration::ZERO);
            options.reconnect = Some(reconnect);
        })
        .await;
    let mut list = client.list(Note::new("wait", 0)).subscribe().await.unwrap();
    let _stopped = volt.stop().await;
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No), "{error}");
    assert!(soon(list.update()).await.unwrap_err().is_connection());
    assert!(client.0.watch_state().current().is_closed());
}

#[tokio::test]
async fn the_state_tells_what_happens() {
    let volt = Volt::start().await;
    let client = volt.client_with(|_| {}).await;
    let mut states = client.0.watch_state();
    assert!(states.current().is_connected());
    let stopped = volt.stop().await;
    // At least one attempt fails while no server is listening.
    soon(async {
        loop {
            match states.changed().await.unwrap() {
                ConnectionState::Reconnecting { failed_attempts: 0, .. } => {}
                ConnectionState::Reconnecting { reason, .. } => {
                    break assert!(reason.to_string().contains("refused"), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    let _volt = stopped.start().await;
    soon(states.connected_again()).await.unwrap();
    drop(client);
    soon(async { while states.changed().await.is_some() {} }).await;
    assert!(states.current().is_closed());
}

/// A client, and the test's end of its connection.
async fn connected(
    change: impl FnOnce(&mut volt_runtime::ConnectOptions),
) -> (NotesClient, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Volt::start().await.config;
    config.volt.http_address = Some(format!("http://{}", listener.local_addr().unwrap()));
    let mut options = quick();
    options.reconnect = None;
    change(&mut options);
    let accept = async {
        let (stream, _) = listener.accept().await.unwrap();
        accept_async(stream).await.unwrap().into_inner()
    };
    let (channel, stream) = tokio::join!(connect(&config, options), accept);
    (NotesClient(channel.unwrap()), stream)
}

#[tokio::test]
async fn a_peer_that_is_gone_without_a_word_is_noticed() {
    let times = Keepalive::new(Duration::from_millis(5), Duration::from_millis(5));
    let (client, _stream) = connected(|options| options.keepalive = Some(times)).await;
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("nothing was heard of the peer"), "{error}");
}

#[tokio::test]
async fn a_peer_that_answers_pings_is_kept() {
    // A generous timeout: a busy machine must not fail this.
    let times = Keepalive::new(Duration::from_millis(1), Duration::from_secs(20));
    let (client, stream) = connected(|options| options.keepalive = Some(times)).await;
    let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
    let mut socket = tokio_tungstenite::WebSocketStream::from_raw_socket(stream, role, None).await;
    for _ in 0..5 {
        // Pings are answered while reading.
        assert!(matches!(soon(socket.next()).await, Some(Ok(Message::Ping(_)))));
    }
    assert!(client.0.watch_state().current().is_connected());
}
