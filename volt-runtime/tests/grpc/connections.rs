//! Connections that end, and the outcome of their calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use h2::Reason;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    time::Instant,
};
use volt_runtime::{
    Code, ConnectionState, Connector, Error, ErrorKind, Executed, Reconnect, connect,
};
use volt_test_support::{Note, soon};

use crate::{
    Notes, config, grpc, says,
    server::{Call, Order, Server, serve},
};

/// Answers with the number of the connection, after the gate if the request asks for it.
fn numbered(
    gate: &Arc<Notify>,
) -> impl Fn(Call) -> futures_core::future::BoxFuture<'static, ()> + Clone + use<> {
    let gate = Arc::clone(gate);
    move |mut call| {
        let gate = Arc::clone(&gate);
        Box::pin(async move {
            let note = call.request().await.unwrap().unwrap();
            match &*note.text {
                "gate" => gate.notified().await,
                "leave" => {
                    call.orders.send(Order::Leave).unwrap();
                    gate.notified().await;
                }
                "drop" => {
                    call.orders.send(Order::Drop).unwrap();
                    return std::future::pending().await;
                }
                _ => {}
            }
            call.answer(&Note::new(note.text, call.connection as u64));
        })
    }
}

async fn server() -> (Server, Arc<Notify>) {
    let gate = Arc::<Notify>::default();
    (Server::start(numbered(&gate)).await, gate)
}

async fn until_not_connected(client: &Notes) -> ConnectionState {
    let mut states = client.0.watch_state();
    loop {
        let state = states.current();
        if !state.is_connected() {
            return state;
        }
        soon(states.changed()).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_stream_was_not_executed_and_is_retried() {
    let count = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&count);
    let server = Server::start(move |mut call| {
        let count = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            if count % 2 == 0 {
                call.reset(Reason::REFUSED_STREAM);
            } else {
                call.answer(&Note::new("done", 1));
            }
        }
    })
    .await;
    let client = Notes::connect(&server).await;
    assert_eq!(soon(client.get("a")).await.unwrap().text, "done");
    assert_eq!(count.load(Ordering::SeqCst), 2);
    // A stream is not retried, and its error reports that it may be.
    let mut list = soon(client.list("a")).await.unwrap();
    let error = soon(list.message()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Routing, Code::Unavailable));
    assert_eq!(error.executed(), Executed::No);
    says(&error, &["REFUSED_STREAM"]);
}

#[tokio::test]
async fn after_goaway_open_calls_finish_and_others_use_a_new_connection() {
    let (server, gate) = server().await;
    let client = Notes::connect(&server).await;
    let leaving = tokio::spawn(client.get("leave").into_future());
    let state = until_not_connected(&client).await;
    assert!(matches!(&state, ConnectionState::Reconnecting { .. }), "{state:?}");
    says(state.reason().unwrap(), &["GOAWAY", "NO_ERROR"]);
    // Both kinds wait for the new connection.
    assert_eq!(soon(client.get("next")).await.unwrap().number, 2);
    let mut list = soon(client.list("next")).await.unwrap();
    assert_eq!(soon(list.message()).await.unwrap().unwrap().number, 2);
    gate.notify_one();
    assert_eq!(soon(leaving).await.unwrap().unwrap().number, 1);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_lost_connection_fails_its_calls_and_is_replaced() {
    let (server, _) = server().await;
    let client = Notes::connect(&server).await;
    let mut open = soon(client.list("gate")).await.unwrap();
    let error = soon(client.get("drop")).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::Maybe));
    assert_eq!(error.code(), Code::Unavailable);
    says(&error, &["/test.Notes/Get"]);
    let other = soon(open.message()).await.unwrap_err();
    assert_eq!((other.kind(), other.executed()), (ErrorKind::Connection, Executed::Maybe));
    assert_eq!(soon(client.get("next")).await.unwrap().number, 2);
}

/// The state changes before the calls fail, so a retry waits for the next connection.
#[tokio::test]
async fn an_idempotent_call_survives_lost_connections() {
    let count = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&count);
    let server = Server::start(move |mut call| {
        let count = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            if count < 3 {
                call.orders.send(Order::Drop).unwrap();
                return std::future::pending().await;
            }
            call.answer(&Note::new("done", 1));
        }
    })
    .await;
    let client = Notes::connect(&server).await;
    assert_eq!(soon(client.get("a").idempotent()).await.unwrap().text, "done");
    assert_eq!((count.load(Ordering::SeqCst), server.connections()), (4, 4));
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

/// Reads a client's preface and its frames, up to one of a kind.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), wanted: u8) {
    loop {
        let mut header = [0; 9];
        stream.read_exact(&mut header).await.unwrap();
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        if header[3] == wanted {
            return;
        }
    }
}

/// The first bytes of a connection, and an answer to them.
async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    // Settings, and the acknowledgement of the client's.
    stream.write_all(&[frame(4, 0, &[]), frame(4, 1, &[])].concat()).await.unwrap();
}

#[tokio::test]
async fn a_call_that_goaway_excludes_was_not_executed_and_is_retried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        // Two connections that leave without reading a call.
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            greet(&mut stream).await;
            read_until(&mut stream, 1).await;
            stream.write_all(&frame(7, 0, &[0; 8])).await.unwrap();
            // The client closes it.
            tokio::spawn(async move { stream.read_to_end(&mut Vec::new()).await });
        }
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, 3, numbered(&Arc::default())).await;
    });
    let client = Notes(soon(connect(&config(&address), grpc())).await.unwrap());
    let mut list = soon(client.list("a")).await.unwrap();
    let error = soon(list.message()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No));
    assert_eq!(soon(client.get("a")).await.unwrap().number, 3);
}

#[tokio::test]
async fn closing_waits_for_answers_that_are_due_and_cuts_streams() {
    let (server, gate) = server().await;
    let client = Notes::connect(&server).await;
    let due = tokio::spawn(client.get("gate").into_future());
    let mut stream = soon(client.list("gate")).await.unwrap();
    while client.0.open_calls() < 2 {
        tokio::task::yield_now().await;
    }
    // After a later call is answered, the due call has been sent.
    soon(client.get("a")).await.unwrap();
    let closing = tokio::spawn({
        let channel = client.0.clone();
        async move { channel.close().await }
    });
    let state = until_not_connected(&client).await;
    assert!(state.is_closed(), "{state:?}");
    let refused = soon(client.get("late")).await.unwrap_err();
    assert_eq!((refused.kind(), refused.executed()), (ErrorKind::Connection, Executed::No));
    gate.notify_waiters();
    assert_eq!(soon(due).await.unwrap().unwrap().text, "gate");
    soon(closing).await.unwrap();
    // The stream's only response left with the same gate, or the stream was cut.
    while let Ok(Some(_)) = soon(stream.message()).await {}
    assert_eq!(client.0.open_calls(), 0);
}

#[tokio::test]
async fn closing_cancels_a_call_that_is_never_answered() {
    let (server, _gate) = server().await;
    let mut options = grpc();
    options.close_timeout = Duration::from_millis(50);
    let client = Notes::connect_with(&server, options).await;
    let due = tokio::spawn(client.get("gate").into_future());
    while client.0.open_calls() < 1 {
        tokio::task::yield_now().await;
    }
    soon(client.0.close()).await;
    let error = soon(due).await.unwrap().unwrap_err();
    assert!(error.is_connection(), "{error}");
    says(&error, &["the channel was closed"]);
}

#[tokio::test]
async fn a_dropped_channel_lets_its_calls_end() {
    let (server, gate) = server().await;
    let client = Notes::connect(&server).await;
    let mut list = soon(client.list("gate")).await.unwrap();
    soon(client.get("a")).await.unwrap();
    drop(client);
    gate.notify_one();
    assert_eq!(soon(list.message()).await.unwrap().unwrap().text, "gate");
    assert_eq!(soon(list.message()).await.unwrap(), None);
}

#[tokio::test]
async fn calls_above_the_limit_are_refused() {
    let (server, _gate) = server().await;
    let mut options = grpc();
    options.max_calls = 1;
    let client = Notes::connect_with(&server, options).await;
    let _open = soon(client.list("gate")).await.unwrap();
    let error = soon(client.get("a")).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::ResourceExhausted, Executed::No));
}

/// A server that greets and then falls silent, behind a connector.
fn silent() -> Connector {
    Connector::new(|_, _| async {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            greet(&mut theirs).await;
            // Keeps reading, and never answers.
            theirs.read_to_end(&mut Vec::new()).await
        });
        Ok(ours)
    })
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_noticed_while_calls_are_open() {
    let mut options = grpc();
    options.connector = Some(silent());
    let client = Notes(connect(&config("http://localhost:1"), options).await.unwrap());
    // Without calls, there are no pings.
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(client.0.watch_state().current().is_connected());
    let began = Instant::now();
    let mut list = client.list("a").await.unwrap();
    let error = list.message().await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::Maybe));
    says(&error, &["ping"]);
    let waited = began.elapsed().as_secs();
    assert!((20..=55).contains(&waited), "{waited}");
    // The next call waits for another connection.
    let mut next = client.list("a").await.unwrap();
    assert!(next.message().await.unwrap_err().is_connection());
}

/// Returns the error of a client that connects to this server.
async fn failure<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Error
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await;
    });
    let mut options = grpc();
    options.connect_timeout = Duration::from_millis(300);
    let error = soon(connect(&config(&address), options)).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No), "{error}");
    says(&error, &[&address]);
    error
}

#[tokio::test]
async fn the_error_of_a_server_without_http2_quotes_it() {
    let error = failure(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    says(&error, &["does not speak HTTP/2", "`HTTP/1.1 400 Bad Request`", "check the port"]);
}

#[tokio::test]
async fn a_server_that_closes_or_stays_silent_is_an_error() {
    says(&failure(|_| async {}).await, &["connect"]);
    let error = failure(|mut stream| async move {
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    says(&error, &["no answer in HTTP/2 within"]);
}

#[tokio::test]
async fn an_abandoned_connection_is_closed() {
    let (sender, mut ended) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let connecting = tokio::spawn(async move { connect(&config(&address), grpc()).await });
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    let mut preface = [0; 24];
    soon(stream.read_exact(&mut preface)).await.unwrap();
    tokio::spawn(async move {
        stream.read_to_end(&mut Vec::new()).await.ok();
        sender.send(()).unwrap();
    });
    connecting.abort();
    soon(ended.recv()).await.unwrap();
}

#[tokio::test]
async fn reconnecting_ends_after_its_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let mut options = grpc();
    let mut reconnect = Reconnect::default();
    reconnect.first_delay = Duration::from_millis(1);
    reconnect.give_up_after = Some(Duration::from_millis(50));
    options.reconnect = Some(reconnect);
    let connecting = tokio::spawn(async move { connect(&config(&address), options).await });
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    greet(&mut stream).await;
    let client = Notes(soon(connecting).await.unwrap().unwrap());
    drop((stream, listener));
    let mut states = client.0.watch_state();
    while !states.current().is_closed() {
        soon(states.changed()).await;
    }
    let error = soon(client.get("a")).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No));
}
