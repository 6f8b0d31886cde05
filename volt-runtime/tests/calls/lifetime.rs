//! Opening, dropping and closing calls and connections.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::{io::AsyncReadExt as _, net::TcpListener};
use tokio_tungstenite::accept_async;
use volt_runtime::{ConnectOptions, ErrorKind, Executed, connect};
use volt_test_support::{Note, soon};

use crate::support::{NotesClient, Volt, in_process, no_open_calls};

/// A peer that completes the websocket handshake and then sends nothing.
async fn mute_volt() -> (NotesClient, tokio::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Volt::start().await.config;
    config.volt.http_address = Some(format!("http://{}", listener.local_addr().unwrap()));
    let accept = async {
        let (stream, _) = listener.accept().await.unwrap();
        accept_async(stream).await.unwrap().into_inner()
    };
    let mut options = ConnectOptions::default();
    options.reconnect = None;
    options.key_exchange_timeout = Duration::from_millis(50);
    let (channel, stream) = tokio::join!(connect(&config, options), accept);
    (NotesClient(channel.unwrap()), stream)
}

#[tokio::test]
async fn opening_a_stream_does_not_wait_for_the_peer() {
    let (client, _stream) = mute_volt().await;
    let list = soon(client.list(Note::default())).await.unwrap();
    let sum = soon(client.sum()).await.unwrap();
    let echo = soon(client.echo()).await.unwrap();
    assert_eq!(client.0.open_calls(), 3);
    drop((list, sum, echo));
}

#[tokio::test]
async fn a_volt_that_dies_is_an_error_not_an_end() {
    let (client, stream) = mute_volt().await;
    let mut list = client.list(Note::default()).await.unwrap();
    let mut echo = client.echo().await.unwrap();
    let get = tokio::spawn(client.get(Note::default()).into_future());
    while client.0.open_calls() < 3 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    for error in [
        soon(list.message()).await.unwrap_err(),
        soon(echo.message()).await.unwrap_err(),
        soon(echo.send(Note::default())).await.unwrap_err(),
        soon(get).await.unwrap().unwrap_err(),
        soon(client.get(Note::default())).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    }
    assert_eq!(client.0.open_calls(), 0);
}

#[tokio::test]
async fn a_volt_that_dies_during_a_stream_is_an_error() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    let mut notes = client.list(Note::new("wait", 3)).await.unwrap();
    for _ in 0..3 {
        assert!(soon(notes.message()).await.unwrap().is_some());
    }
    volt.server.shutdown().await;
    let error = soon(notes.message()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
}

#[tokio::test]
async fn dropping_a_call_ends_it_on_the_wire_and_frees_it() {
    let volt = Volt::start().await;
    let (in_process, in_process_probe) = in_process();
    for (client, probe) in
        [(in_process, in_process_probe), (volt.client().await, volt.probe.clone())]
    {
        // Make one call of each kind, wait until its handler runs, and drop it.
        let list = client.list(Note::new("wait", 0)).await.unwrap();
        let mut sum = client.sum().await.unwrap();
        sum.send(Note::default()).await.unwrap();
        let mut echo = client.echo().await.unwrap();
        echo.send(Note::new("wait", 0)).await.unwrap();
        let get = tokio::spawn(client.get(Note::new("wait", 0)).into_future());
        soon(probe.running(4)).await;
        get.abort();
        drop((list, sum, echo));
        soon(probe.running(0)).await;
        no_open_calls(&client).await;
    }
}

#[tokio::test]
async fn a_dropped_call_ends_despite_unread_requests() {
    let (volt, legacy) = (Volt::start().await, Volt::start_legacy().await);
    let (in_process, in_process_probe) = in_process();
    for (client, probe) in [
        (in_process, in_process_probe),
        (volt.client().await, volt.probe.clone()),
        (legacy.client().await, legacy.probe.clone()),
    ] {
        for unread in [1, 2, 10] {
            for half_closed in [false, true] {
                let mut echo = client.echo().await.unwrap();
                echo.send(Note::new("first", 0)).await.unwrap();
                assert!(soon(echo.message()).await.unwrap().is_some());
                // The handler reads only this message.
                echo.send(Note::new("wait", 0)).await.unwrap();
                for _ in 0..unread {
                    echo.send(Note::new("unread", 0)).await.unwrap();
                }
                if half_closed {
                    echo.half_close();
                }
                drop(echo);
                soon(probe.running(0)).await;
                no_open_calls(&client).await;
            }
        }
    }
}

#[tokio::test]
async fn a_lost_connection_ends_a_handler_with_unread_requests() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    let mut echo = client.echo().await.unwrap();
    echo.send(Note::new("first", 0)).await.unwrap();
    assert!(soon(echo.message()).await.unwrap().is_some());
    // The handler reads the first of these messages and no more.
    for _ in 0..10 {
        echo.send(Note::new("wait", 0)).await.unwrap();
    }
    soon(client.0.close()).await;
    soon(volt.probe.running(0)).await;

    // In process, a dropped handler has the same effect.
    let (client, probe) = in_process();
    let mut echo = client.echo().await.unwrap();
    for _ in 0..10 {
        echo.send(Note::new("wait", 0)).await.unwrap();
    }
    soon(probe.running(1)).await;
    drop(echo);
    soon(probe.running(0)).await;
}

#[tokio::test]
async fn a_call_dropped_before_its_key_is_cancelled_afterwards() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    for _ in 0..50 {
        drop(client.echo().await.unwrap());
        drop(client.list(Note::new("wait", 0)).await.unwrap());
    }
    no_open_calls(&client).await;
    soon(client.get(Note::default())).await.unwrap();
    soon(volt.probe.running(0)).await;
}

#[tokio::test]
async fn dropping_the_requests_half_closes_the_call() {
    let volt = Volt::start().await;
    for client in [in_process().0, volt.client().await] {
        let (mut requests, mut responses) = client.echo().await.unwrap().into_split();
        requests.send(Note::new("last", 1)).await.unwrap();
        drop(requests);
        assert_eq!(soon(responses.message()).await.unwrap().unwrap().text, "last");
        assert!(soon(responses.message()).await.unwrap().is_none());
        no_open_calls(&client).await;
    }
}

#[tokio::test]
async fn dropping_a_half_closed_call_keeps_accepted_requests() {
    let volt = Volt::start().await;
    let (in_process, in_process_probe) = in_process();
    for (client, probe) in
        [(in_process, in_process_probe), (volt.client().await, volt.probe.clone())]
    {
        for split in [false, true] {
            let before = probe.taken.load(Ordering::SeqCst);
            let mut call = client.echo().await.unwrap();
            call.send(Note::new("gate", 0)).await.unwrap();
            for number in 0..100 {
                call.send(Note::new("take", number)).await.unwrap();
            }
            if split {
                let (requests, responses) = call.into_split();
                drop(requests);
                drop(responses);
            } else {
                call.half_close();
                drop(call);
            }
            // A cancellation would reach the Volt before this call.
            soon(client.get(Note::default())).await.unwrap();
            soon(probe.running(1)).await;
            probe.gate.notify_one();
            soon(probe.running(0)).await;
            assert_eq!(probe.taken.load(Ordering::SeqCst) - before, 100);
            no_open_calls(&client).await;
        }
    }
}

#[tokio::test]
async fn closing_the_client_waits_for_a_dropped_call_that_only_sends() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    let mut call = client.echo().await.unwrap();
    for number in 0..100 {
        call.send(Note::new("take", number)).await.unwrap();
    }
    call.half_close();
    drop(call);
    soon(client.0.close()).await;
    assert_eq!(volt.probe.taken.load(Ordering::SeqCst), 100);
}

#[tokio::test]
async fn a_dropped_half_closed_call_is_cancelled_when_it_is_answered() {
    let volt = Volt::start().await;
    let (in_process, in_process_probe) = in_process();
    for (client, probe) in
        [(in_process, in_process_probe), (volt.client().await, volt.probe.clone())]
    {
        let mut call = client.echo().await.unwrap();
        call.send(Note::new("gate", 0)).await.unwrap();
        call.send(Note::new("answer", 0)).await.unwrap();
        call.send(Note::new("wait", 0)).await.unwrap();
        call.half_close();
        drop(call);
        soon(probe.running(1)).await;
        probe.gate.notify_one();
        soon(probe.running(0)).await;
        no_open_calls(&client).await;
    }
}

#[test]
fn a_client_whose_runtime_has_ended_is_closed() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (volts, clients, callers) = (runtime(), runtime(), runtime());
    let volt = volts.block_on(Volt::start());
    let client = clients.block_on(volt.client());
    let (get, mut list, mut echo) = callers.block_on(async {
        let get = tokio::spawn(client.get(Note::new("wait", 0)).into_future());
        let list = client.list(Note::new("wait", 0)).subscribe().await.unwrap();
        let echo = client.echo().await.unwrap();
        soon(volt.probe.running(2)).await;
        (get, list, echo)
    });
    drop(clients);
    callers.block_on(async {
        for error in [
            soon(get).await.unwrap().unwrap_err(),
            soon(list.update()).await.unwrap_err(),
            soon(echo.message()).await.unwrap_err(),
            soon(echo.send(Note::default())).await.unwrap_err(),
            soon(client.get(Note::default())).await.unwrap_err(),
            soon(client.list(Note::default())).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
            assert!(error.to_string().contains("runtime on which the client connected"), "{error}");
        }
        let state = client.0.watch_state().current();
        assert!(state.is_closed(), "{state:?}");
        soon(client.0.close()).await;
    });
}

#[tokio::test]
async fn close_fails_open_and_later_calls() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    let mut notes = client.list(Note::new("wait", 1)).await.unwrap();
    assert!(soon(notes.message()).await.unwrap().is_some());
    soon(client.0.close()).await;
    assert_eq!(soon(notes.message()).await.unwrap_err().kind(), ErrorKind::Connection);
    assert_eq!(soon(client.get(Note::default())).await.unwrap_err().kind(), ErrorKind::Connection);
    soon(volt.probe.running(0)).await;
}

#[tokio::test]
async fn the_connection_lives_as_long_as_a_channel_or_a_call() {
    let (client, mut stream) = mute_volt().await;
    let call = client.echo().await.unwrap();
    drop(client);
    let mut received = vec![0; 4096];
    assert!(soon(stream.read(&mut received)).await.unwrap() > 0, "the key exchange");
    // Without a key the Volt cannot be notified of the cancellation. The connection still closes.
    drop(call);
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn an_unanswered_key_exchange_fails_the_call() {
    let (client, _stream) = mute_volt().await;
    for error in [
        soon(client.get(Note::default())).await.unwrap_err(),
        soon(client.list(Note::default()).await.unwrap().message()).await.unwrap_err(),
        soon(client.echo().await.unwrap().send(Note::default())).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Deadline, Executed::No));
    }
    no_open_calls(&client).await;
}

#[tokio::test]
async fn cancelled_reads_lose_nothing() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    let mut notes = client.list(Note::new("n", 200)).await.unwrap();
    let mut numbers = Vec::new();
    while numbers.len() < 200 {
        // The read is dropped whenever it would block.
        tokio::select! {
            biased;
            note = notes.message() => numbers.push(note.unwrap().unwrap().number),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

#[test]
fn everything_can_move_between_threads() {
    fn send<T: Send>(_: Option<T>) {}
    fn future<T: IntoFuture<IntoFuture: Send>>(_: Option<T>) {}
    use volt_runtime::{
        BidiCall, ClientStreamingCall, Duplex, Error, RequestSink, ServerStreamingCall, Status,
        Streaming, UnaryCall, Upload,
    };
    future::<UnaryCall<Note, Note>>(None);
    future::<ServerStreamingCall<Note, Note>>(None);
    future::<ClientStreamingCall<Note, Note>>(None);
    future::<BidiCall<Note, Note>>(None);
    send::<(Streaming<Note>, RequestSink<Note>, Upload<Note, Note>, Duplex<Note, Note>)>(None);
    send::<(Error, Status)>(None);
}
