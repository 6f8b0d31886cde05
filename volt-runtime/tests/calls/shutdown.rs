//! Closing, on both ends: accepted calls are completed, within a time limit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use volt_runtime::{
    __core::{
        call::{self, Incoming, Outgoing},
        crypto::Ephemeral,
        envelope::Envelope,
        frame::Frame,
        handshake::{ClientHandshake, Route, ServerHandshake, Via},
    },
    ErrorKind, Executed,
    server::{ServerOptions, Tunnel, TunnelFrame},
};
use volt_test_support::{Note, soon};

use crate::{
    hostile::{RawClient, now},
    support::{NotesClient, Parts, VOLT_ID, Volt},
};

/// Waits until a client's connection has closed permanently.
async fn closed(client: &NotesClient) {
    let mut states = client.0.watch_state();
    soon(async {
        while !states.current().is_closed() {
            states.changed().await;
        }
    })
    .await;
}

#[tokio::test]
async fn closing_waits_only_for_due_answers() {
    let volt = Volt::start().await;
    let client = volt.client_with(|_| {}).await;
    let get = tokio::spawn(client.get(Note::new("gate", 5)).into_future());
    let mut list = client.list(Note::new("wait", 0)).await.unwrap();
    soon(volt.probe.running(2)).await;
    let channel = client.0.clone();
    let closing = tokio::spawn(async move { channel.close().await });
    closed(&client).await;
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No), "{error}");
    volt.probe.gate.notify_one();
    assert_eq!(soon(get).await.unwrap().unwrap(), Note::new("gate", 5));
    soon(closing).await.unwrap();
    assert_eq!(soon(list.message()).await.unwrap_err().kind(), ErrorKind::Connection);
    soon(volt.probe.running(0)).await;
}

#[tokio::test]
async fn a_half_closed_stream_finishes() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    let (mut requests, mut responses) = client.echo().await.unwrap().into_split();
    for number in 0..100 {
        requests.send(Note::new("n", number)).await.unwrap();
    }
    requests.half_close();
    let reading = tokio::spawn(async move {
        let mut count = 0;
        while responses.message().await.unwrap().is_some() {
            count += 1;
        }
        count
    });
    soon(client.0.close()).await;
    assert_eq!(soon(reading).await.unwrap(), 100);
}

#[tokio::test]
async fn closing_is_limited_in_time() {
    let volt = Volt::start().await;
    let client =
        volt.client_with(|options| options.close_timeout = Duration::from_millis(10)).await;
    let get = tokio::spawn(client.get(Note::new("wait", 0)).into_future());
    soon(volt.probe.running(1)).await;
    soon(client.0.close()).await;
    let error = soon(get).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::Maybe));
}

/// A server that has begun to stop, which is observed when it closes an idle connection.
async fn stopping(volt: Volt) -> tokio::task::JoinHandle<crate::support::Stopped> {
    let idle = volt.client_with(|options| options.reconnect = None).await;
    let stopping = tokio::spawn(volt.stop());
    closed(&idle).await;
    stopping
}

#[tokio::test]
async fn a_stopping_server_finishes_half_closed_calls() {
    let volt = Volt::start().await;
    let client = volt.client_with(|options| options.reconnect = None).await;
    let get = tokio::spawn(client.get(Note::new("gate", 5)).into_future());
    let mut echo = client.echo().await.unwrap();
    echo.send(Note::new("n", 1)).await.unwrap();
    assert!(soon(echo.message()).await.unwrap().is_some());
    soon(volt.probe.running(2)).await;
    let probe = volt.probe.clone();
    let stopping = stopping(volt).await;
    // Late calls are not answered, which implies that they were not executed.
    let late = tokio::spawn(client.get(Note::new("wait", 0)).into_future());
    let mut late_list = client.list(Note::default()).await.unwrap();
    while client.0.open_calls() < 4 {
        tokio::task::yield_now().await;
    }
    probe.gate.notify_one();
    assert_eq!(soon(get).await.unwrap().unwrap(), Note::new("gate", 5));
    soon(stopping).await.unwrap();
    for error in
        [soon(late).await.unwrap().unwrap_err(), soon(late_list.message()).await.unwrap_err()]
    {
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No));
    }
    assert_eq!(soon(echo.message()).await.unwrap_err().kind(), ErrorKind::Connection);
}

/// Legacy calls are executed without a reply to the opening, so a late one must be rejected
/// explicitly.
#[tokio::test]
async fn a_late_legacy_call_is_rejected_with_a_reason() {
    let volt = Volt::start_legacy().await;
    let client = volt.client_with(|options| options.reconnect = None).await;
    let get = tokio::spawn(client.get(Note::new("gate", 5)).into_future());
    soon(volt.probe.running(1)).await;
    let probe = volt.probe.clone();
    let stopping = stopping(volt).await;
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Routing, "{error}");
    assert!(error.to_string().contains("shutting down"), "{error}");
    probe.gate.notify_one();
    assert_eq!(soon(get).await.unwrap().unwrap(), Note::new("gate", 5));
    soon(stopping).await.unwrap();
}

/// A call whose keys were exchanged in time is executed and answered, and so is one whose caller
/// never half-closes although it has sent its last request.
#[tokio::test]
async fn a_stopping_server_answers_calls_with_keys() {
    let volt = Volt::start().await;
    let mut client = RawClient::connect(&volt).await;
    let key = client.open(&volt, 1).await;
    let stopping = stopping(volt).await;
    let mut outgoing = Outgoing::client(1, "/test.Notes/Get", None);
    client.send(outgoing.message(&key, &Note::new("in time", 1)).unwrap()).await;
    let answer = call::open(&key, client.frame().await.unwrap().body).unwrap();
    assert!(matches!(answer, Incoming::Envelope(Envelope::Payload(_))), "{answer:?}");
    let end = call::open(&key, client.frame().await.unwrap().body).unwrap();
    assert_eq!(end, Incoming::Envelope(Envelope::End(None)));
    assert!(client.frame().await.is_none());
    soon(stopping).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drained_tunnel_rejects_calls() {
    let (endpoint, config, probe) = Parts::new(|endpoint| endpoint).endpoint();
    let tunnel = Tunnel::new(Arc::new(endpoint));
    let route = Route {
        audience: VOLT_ID.to_owned(),
        signer: config.volt_key().unwrap(),
        via: Via::default(),
    };
    let (client, session) = (config.signing_key().unwrap(), config.session_id());
    let open = |call| {
        let ephemeral = Ephemeral::generate().unwrap();
        let (handshake, frame) =
            ClientHandshake::begin(call, &route, &client, session, ephemeral, now()).unwrap();
        let request = ServerHandshake::accept(&Frame::decode(frame.into()).unwrap()).unwrap();
        (handshake, TunnelFrame::open(&request.token, request.via))
    };
    let (handshake, frame) = open(1);
    tunnel.deliver(1, &frame).await.unwrap();
    let (call, reply) = tunnel.next_frame().await.unwrap();
    let reply = Frame::decode(reply.to_caller(call).unwrap().into()).unwrap();
    let key = handshake.complete(reply.body).unwrap();

    tunnel.drain().await;
    let mut outgoing = Outgoing::client(1, "/test.Notes/Get", None);
    let invocation = outgoing.message(&key, &Note::new("wait", 0)).unwrap();
    let invocation = Frame::decode(invocation.into()).unwrap();
    tunnel.deliver(1, &TunnelFrame::from_caller(invocation.body).unwrap()).await.unwrap();
    let (call, end) = tunnel.next_frame().await.unwrap();
    let end = Frame::decode(end.to_caller(call).unwrap().into()).unwrap();
    let failure = RawClient::failure(&key, end);
    assert!(failure.contains("did not execute"), "{failure}");
    probe.running(0).await;

    tunnel.deliver(2, &open(2).1).await.unwrap();
    let rejected = tunnel.next_frame().await.unwrap();
    assert!(
        matches!(&rejected, (2, TunnelFrame::Rejected(reason)) if reason.contains("shutting down")),
        "{rejected:?}"
    );
}

/// Whatever the state of a call when the server stops, it is answered, or retried on the next
/// server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unary_calls_survive_server_restarts() {
    for preopened_calls in [0, 4] {
        let mut volt = Volt::start().await;
        let client = volt.client_with(|options| options.preopened_calls = preopened_calls).await;
        let stop = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..8)
            .map(|caller| {
                let (client, stop) = (client.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        let note = Note::new("n", caller);
                        assert_eq!(client.get(note.clone()).await.unwrap(), note);
                    }
                })
            })
            .collect();
        for restart in 0..20 {
            let note = Note::new("between", restart);
            assert_eq!(soon(client.get(note.clone())).await.unwrap(), note);
            volt = soon(soon(volt.stop()).await.start()).await;
        }
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            soon(caller).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_server_shutdown_is_limited_in_time() {
    let mut options = ServerOptions::default();
    options.drain_timeout = Duration::from_millis(10);
    let volt = Volt::start_with(options).await;
    let client = volt.client_with(|options| options.reconnect = None).await;
    let get = tokio::spawn(client.get(Note::new("wait", 0)).into_future());
    soon(volt.probe.running(1)).await;
    soon(volt.stop()).await;
    assert_eq!(soon(get).await.unwrap().unwrap_err().kind(), ErrorKind::Connection);
}

#[tokio::test]
async fn an_unresponsive_client_does_not_delay_shutdown() {
    let mut options = ServerOptions::default();
    options.drain_timeout = Duration::from_millis(10);
    let volt = Volt::start_with(options).await;
    let change = |options: &mut volt_runtime::ConnectOptions| {
        (options.reconnect, options.connection_buffer) = (None, 1 << 20);
    };
    let client = volt.client_with(change).await;
    // More than fits into the sockets' buffers, which are not read.
    let text = "x".repeat(1 << 20);
    let mut unread = client
        .list(Note::new(&text, 64))
        .receive_buffer(1, volt_runtime::Overflow::Wait(Duration::from_hours(1)))
        .await
        .unwrap();
    soon(volt.probe.running(1)).await;
    soon(volt.stop()).await;
    soon(async { while unread.message().await.is_ok_and(|note| note.is_some()) {} }).await;
}
