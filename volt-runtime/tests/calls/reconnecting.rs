//! Lost connections: the calls on them, and the calls that follow.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{spawn_blocking, yield_now},
    time::{Instant, advance, pause},
};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async, tungstenite::Message};
use volt_runtime::{
    __core::{call, frame::Frame},
    CallOptions, Code, ConnectionState, ErrorKind, Executed, Keepalive, Reconnect, TransportKind,
    Update, connect,
    server::ServerOptions,
};
use volt_test_support::{Note, soon};

use crate::support::{NotesClient, TRANSPORTS, Volt, quick};

async fn start_over(transport: TransportKind) -> (Volt, NotesClient) {
    let volt = Volt::start_over(transport, ServerOptions::default()).await;
    let client = volt.client_with(|_| {}).await;
    (volt, client)
}

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
    for transport in TRANSPORTS {
        let (volt, client) = start_over(transport).await;
        let get = tokio::spawn(client.get(Note::new("wait", 0)).into_future());
        let mut list = client.list(Note::new("wait", 0)).await.unwrap();
        let mut unsent = client.echo().await.unwrap();
        soon(volt.probe.running(2)).await;
        let stopped = volt.kill().await;
        // Over gRPC, the call began with its headers.
        let unsent_ran = match transport {
            TransportKind::Grpc => Executed::Maybe,
            _ => Executed::No,
        };
        for (error, executed) in [
            (soon(get).await.unwrap().unwrap_err(), Executed::Maybe),
            (soon(list.message()).await.unwrap_err(), Executed::Maybe),
            (soon(unsent.message()).await.unwrap_err(), unsent_ran),
        ] {
            assert_eq!(
                (error.kind(), error.executed()),
                (ErrorKind::Connection, executed),
                "{error}"
            );
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
}

#[tokio::test]
async fn without_waiting_a_call_fails_while_disconnected() {
    for transport in TRANSPORTS {
        let (volt, client) = start_over(transport).await;
        let stopped = volt.kill().await;
        lost(&client).await;
        let impatient = || client.get(Note::default()).wait_for_ready(false);
        let error = soon(impatient()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.executed()),
            (ErrorKind::Connection, Executed::No),
            "{error}"
        );
        let error = soon(client.get(Note::default()).timeout(Duration::from_millis(20))).await;
        let error = error.unwrap_err();
        assert_eq!(
            (error.kind(), error.executed()),
            (ErrorKind::Deadline, Executed::No),
            "{error}"
        );
        // The error reports that there was no connection, and the reason.
        let reason = client.0.watch_state().current().reason().unwrap().kind();
        assert_eq!((reason, error.code()), (ErrorKind::Connection, Code::Unavailable));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains(&source), "{error}");
        drop(stopped);
    }
}

/// A stream has no timeout by default, and must not wait for a Volt that is permanently
/// unavailable.
#[tokio::test]
async fn opening_a_stream_waits_for_a_connection_within_its_limit() {
    for transport in TRANSPORTS {
        let (volt, client) = start_over(transport).await;
        let stopped = volt.kill().await;
        lost(&client).await;
        let mut options = CallOptions::default();
        options.ready_timeout = Duration::from_millis(20);
        let limited = NotesClient(client.0.clone().with_defaults(options));
        let error = soon(limited.echo()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.executed()),
            (ErrorKind::Connection, Executed::No),
            "{error}"
        );
        assert!(error.to_string().contains("there was no connection in time: "), "{error}");
        drop(stopped);
    }
}

#[tokio::test]
async fn a_subscription_ends_at_its_deadline_while_the_client_reconnects() {
    for transport in TRANSPORTS {
        let (volt, client) = start_over(transport).await;
        let call = client.list(Note::new("wait", 1)).timeout(Duration::from_millis(300));
        let mut list = call.subscribe().await.unwrap();
        assert_eq!(soon(list.update()).await.unwrap(), Some(Update::Message(Note::new("wait", 0))));
        let stopped = volt.kill().await;
        let error = soon(list.update()).await.unwrap_err();
        assert!(error.is_deadline(), "{error}");
        drop(stopped);
    }
}

#[tokio::test]
async fn an_unexecuted_call_is_retried() {
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
async fn a_possibly_executed_call_is_retried_only_if_idempotent() {
    for (transport, idempotent) in
        TRANSPORTS.into_iter().flat_map(|transport| [(transport, false), (transport, true)])
    {
        let (volt, client) = start_over(transport).await;
        let mut call = client.get(Note::new("first", 3));
        if idempotent {
            call = call.idempotent();
        }
        let call = tokio::spawn(call.into_future());
        soon(volt.probe.running(1)).await;
        let _volt = volt.kill().await.start().await;
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
async fn subscriptions_resume_and_report_a_possible_gap() {
    for transport in TRANSPORTS {
        // The first life ends with a notice to the client, which ends both calls, and the second one without.
        let mut options = ServerOptions::default();
        options.drain_timeout = Duration::from_millis(20);
        let volt = Volt::start_over(transport, options).await;
        let client = volt.client_with(|_| {}).await;
        let mut list = client.list(Note::new("wait", 2)).subscribe().await.unwrap();
        let mut echo = client.echo().subscribe(Note::new("hello", 9)).await.unwrap();
        let number = |number| Some(Update::Message(Note::new("wait", number)));
        let mut volt = Some(volt);
        for life in 0..3 {
            if life > 0 {
                let ended = volt.take().unwrap();
                let stopped = if life == 1 { ended.stop().await } else { ended.kill().await };
                volt = Some(stopped.start().await);
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
}

#[tokio::test]
async fn a_subscription_refused_after_a_reconnect_reports_only_that() {
    for transport in TRANSPORTS {
        let (volt, client) = start_over(transport).await;
        let mut list = client.list(Note::new("once", 0)).subscribe().await.unwrap();
        soon(volt.probe.running(1)).await;
        let _volt = volt.kill().await.start().await;
        // Not `Resumed`.
        let error = soon(list.update()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Code::PermissionDenied));
    }
}

#[tokio::test]
async fn a_quiet_subscription_is_resumed_without_a_message() {
    for transport in TRANSPORTS {
        let (volt, client) = start_over(transport).await;
        let mut list = client.list(Note::new("wait", 0)).subscribe().await.unwrap();
        let mut echo = client.echo().subscribe(Note::new("take", 0)).await.unwrap();
        soon(volt.probe.running(2)).await;
        let volt = volt.kill().await.start().await;
        assert_eq!(soon(list.update()).await.unwrap(), Some(Update::Resumed));
        assert_eq!(soon(echo.update()).await.unwrap(), Some(Update::Resumed));
        soon(volt.probe.running(2)).await;
    }
}

/// A listener between a client and a Volt. It passes on the first connection until it is cut.
struct Between {
    listener: TcpListener,
    cut: Option<oneshot::Sender<()>>,
}

impl Between {
    async fn start(volt: &Volt) -> (NotesClient, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = volt.config.clone();
        config.volt.http_address = Some(format!("http://{}", listener.local_addr().unwrap()));
        let (cut, is_cut) = oneshot::channel();
        let target = volt.server.local_addr();
        let accept = async {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(target).await.unwrap();
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    _ = is_cut => {}
                }
            });
        };
        let mut options = quick();
        options.key_exchange_timeout = Duration::from_millis(500);
        let (channel, ()) = tokio::join!(connect(&config, options), accept);
        (NotesClient(channel.unwrap()), Self { listener, cut: Some(cut) })
    }

    fn cut(&mut self) {
        self.cut.take().unwrap().send(()).unwrap();
    }

    /// Accepts the next connection, as the Volt.
    async fn accept(&self) -> WebSocketStream<TcpStream> {
        let (stream, _) = self.listener.accept().await.unwrap();
        accept_async(stream).await.unwrap()
    }
}

#[tokio::test]
async fn a_subscription_whose_session_was_revoked_reports_only_that() {
    let volt = Volt::start().await;
    let (client, mut relay) = Between::start(&volt).await;
    let mut list = client.list(Note::new("wait", 1)).subscribe().await.unwrap();
    assert!(soon(list.update()).await.unwrap().is_some());
    relay.cut();
    let rejecting = async {
        let mut socket = relay.accept().await;
        let Some(Ok(Message::Binary(opening))) = socket.next().await else { panic!("no call") };
        let call = Frame::decode(opening).unwrap().call;
        let rejection = call::reject(call, "session invalid").unwrap();
        socket.send(Message::Binary(rejection.into())).await.unwrap();
        pending::<()>().await;
    };
    let error = tokio::select! {
        update = soon(list.update()) => update.unwrap_err(),
        () = rejecting => unreachable!(),
    };
    assert_eq!((error.kind(), error.code()), (ErrorKind::Routing, Code::Unauthenticated));
}

#[tokio::test]
async fn a_key_exchange_unanswered_after_a_reconnect_is_retried() {
    let volt = Volt::start().await;
    let (client, mut relay) = Between::start(&volt).await;
    let mut list = client.list(Note::new("wait", 1)).subscribe().await.unwrap();
    assert!(soon(list.update()).await.unwrap().is_some());
    relay.cut();
    let swallowing = async {
        let mut near = relay.accept().await;
        let stream = TcpStream::connect(volt.server.local_addr()).await.unwrap();
        let (mut far, _) = client_async("ws://volt/api", stream).await.unwrap();
        // The key exchange is lost; later frames are forwarded.
        assert!(matches!(near.next().await, Some(Ok(Message::Binary(_)))));
        loop {
            tokio::select! {
                Some(Ok(message)) = near.next() => far.send(message).await.unwrap(),
                Some(Ok(message)) = far.next() => near.send(message).await.unwrap(),
                else => pending().await,
            }
        }
    };
    let updates = async {
        assert_eq!(list.update().await.unwrap(), Some(Update::Resumed));
        assert_eq!(list.update().await.unwrap(), Some(Update::Message(Note::new("wait", 0))));
    };
    tokio::select! {
        () = soon(updates) => {}
        () = swallowing => unreachable!(),
    }
}

/// Simulated time advances only while the client has nothing to do but wait.
#[tokio::test]
async fn short_lived_connections_increase_the_backoff() {
    const CONNECTIONS: u32 = 30;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Volt::start().await.config;
    config.volt.http_address = Some(format!("http://{}", listener.local_addr().unwrap()));
    let accepted = Arc::<AtomicU32>::default();
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let mut socket = accept_async(stream).await.unwrap();
            // A message, so that the peer does not look dead. No call has this number.
            let message = call::reject(7, "who are you").unwrap();
            let _ = socket.send(Message::Binary(message.into())).await;
        }
    });
    let options = volt_runtime::ConnectOptions::default();
    let _client = connect(&config, options).await.unwrap();
    pause();
    // Time does not advance by itself while a blocking task runs, which leaves time for the sockets.
    let (release, released) = mpsc::channel::<()>();
    let blocking = spawn_blocking(move || released.recv());
    let begin = Instant::now();
    while accepted.load(Ordering::Relaxed) < CONNECTIONS {
        advance(Duration::from_millis(250)).await;
        for _ in 0..50 {
            yield_now().await;
        }
    }
    // The pauses grow to 15 seconds on average. Without growth they are 0.1 seconds.
    assert!(begin.elapsed() > Duration::from_mins(1), "{:?}", begin.elapsed());
    drop(release);
    assert!(blocking.await.unwrap().is_err());
}

#[tokio::test]
async fn a_subscription_ends_with_the_stream_or_a_refusal() {
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
async fn reconnecting_stops_at_its_limit() {
    for transport in TRANSPORTS {
        let volt = Volt::start_over(transport, ServerOptions::default()).await;
        let client = volt
            .client_with(|options| {
                let mut reconnect = Reconnect::default();
                reconnect.give_up_after = Some(Duration::ZERO);
                options.reconnect = Some(reconnect);
            })
            .await;
        let mut list = client.list(Note::new("wait", 0)).subscribe().await.unwrap();
        let _stopped = volt.kill().await;
        lost(&client).await;
        let error = soon(client.get(Note::default())).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.executed()),
            (ErrorKind::Connection, Executed::No),
            "{error}"
        );
        assert!(soon(list.update()).await.unwrap_err().is_connection());
        assert!(client.0.watch_state().current().is_closed());
    }
}

#[tokio::test]
async fn the_state_reports_each_change() {
    for transport in TRANSPORTS {
        let (volt, client) = start_over(transport).await;
        let mut states = client.0.watch_state();
        assert!(states.current().is_connected());
        let stopped = volt.kill().await;
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
async fn a_silently_vanished_peer_is_detected() {
    let times = Keepalive::new(Duration::from_millis(5), Duration::from_millis(5));
    let (client, _stream) = connected(|options| options.keepalive = Some(times)).await;
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("nothing was received from the peer"), "{error}");
}

#[tokio::test]
async fn a_peer_that_answers_pings_is_kept() {
    // A generous timeout: a busy machine must not fail this.
    let times = Keepalive::new(Duration::from_millis(1), Duration::from_secs(20));
    let (client, stream) = connected(|options| options.keepalive = Some(times)).await;
    let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
    let mut socket = WebSocketStream::from_raw_socket(stream, role, None).await;
    for _ in 0..5 {
        // Pings are answered while reading.
        assert!(matches!(soon(socket.next()).await, Some(Ok(Message::Ping(_)))));
    }
    assert!(client.0.watch_state().current().is_connected());
}
