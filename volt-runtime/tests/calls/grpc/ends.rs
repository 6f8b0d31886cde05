//! Ends before the answer: deadlines, cancellations, lost connections, and a server that stops.

use std::time::Duration;

use h2::Reason;
use volt_runtime::{
    Code, Method, MethodKind,
    key::SigningKey,
    server::{self, IncomingCall, Router, Service, ServiceHost, serve_grpc},
    transport::BoxFuture,
};
use volt_test_support::{Anyone, Note, soon};

use super::{
    raw::{Raw, bad, good, token},
    start, start_with,
};
use crate::support::VOLT_ID;

#[tokio::test]
async fn a_deadline_ends_each_kind_of_call() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    for method in ["Get", "List", "Sum", "Echo"] {
        let mut call = client.open_with(method, &[("grpc-timeout", "50m")]).await;
        // A sum that is not half-closed continues.
        call.send(&Note::new("wait", 0));
        let outcome = call.outcome().await;
        assert_eq!(outcome.status.code(), Code::DeadlineExceeded, "{method}");
        soon(volt.probe.running(0)).await;
    }
    // The deadline covers the time before the invocation.
    for method in ["Get", "Echo"] {
        let call = client.open_with(method, &[("grpc-timeout", "1n")]).await;
        assert_eq!(call.outcome().await.status.code(), Code::DeadlineExceeded, "{method}");
    }
    let mut call = client.open_with("Get", &[("grpc-timeout", "soon")]).await;
    call.send(&Note::default());
    let outcome = call.outcome().await;
    assert_eq!(outcome, bad(Code::InvalidArgument, "the header `grpc-timeout` is invalid"));
}

#[tokio::test]
async fn a_reset_stream_or_a_lost_connection_drops_the_handler() {
    let volt = start().await;
    for lost in [false, true] {
        for half_closed in [false, true] {
            for method in ["Get", "List", "Sum", "Echo"] {
                if method == "Sum" && half_closed {
                    continue;
                }
                let mut client = Raw::connect(&volt).await;
                let mut call = client.open(method).await;
                call.send(&Note::new("wait", 0));
                if half_closed {
                    call.half_close();
                }
                soon(volt.probe.running(1)).await;
                if lost {
                    client.lose();
                } else {
                    call.reset();
                }
                soon(volt.probe.running(0)).await;
            }
        }
    }
}

/// HTTP/2 shows a reset with these reasons as the end of the body.
#[tokio::test]
async fn a_reset_is_not_a_half_close() {
    for reason in [Reason::NO_ERROR, Reason::CANCEL] {
        let (ends, mut ended) = tokio::sync::mpsc::unbounded_channel();
        let router = Router::new().with(Ends(ends));
        let own = SigningKey::generate().unwrap();
        let host = ServiceHost::new(VOLT_ID, own, router, Anyone);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = serve_grpc(listener, host).unwrap();
        let mut client = Raw::to(server.local_addr()).await;
        client.token = Some(token(&SigningKey::generate().unwrap(), VOLT_ID, None));
        let mut call = client.open("/x.Ends/Take").await;
        call.send(&Note::new("block", 1));
        assert!(!soon(ended.recv()).await.unwrap());
        call.reset_for(reason);
        drop(call);
        client.ended().await;
        soon(server.shutdown()).await;
        // The service has been dropped.
        assert_eq!(soon(ended.recv()).await, None, "{reason:?}");
    }
}

static TAKE: [Method; 1] = [Method { path: "/x.Ends/Take", kind: MethodKind::ClientStreaming }];

/// Reports each request, and the half-close as `true`.
struct Ends(tokio::sync::mpsc::UnboundedSender<bool>);

impl Service for Ends {
    fn name(&self) -> &'static str {
        "x.Ends"
    }

    fn methods(&self) -> &'static [Method] {
        &TAKE
    }

    fn call(&self, _: usize, call: IncomingCall) -> BoxFuture<()> {
        let ends = self.0.clone();
        server::client_streaming(call, move |_, mut requests: server::Requests<Note>| async move {
            while requests.message().await?.is_some() {
                ends.send(false).unwrap();
            }
            ends.send(true).unwrap();
            Ok(Note::default())
        })
    }
}

/// Meanwhile, further messages of the caller are dropped.
#[tokio::test]
async fn a_reset_behind_further_messages_drops_a_unary_handler() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    let mut call = client.open("Get").await;
    call.send(&Note::new("wait", 0));
    for _ in 0..100 {
        call.send(&Note::new("x".repeat(10_000), 0));
    }
    soon(volt.probe.running(1)).await;
    call.reset();
    soon(volt.probe.running(0)).await;
}

#[tokio::test]
async fn a_stopping_server_answers_due_calls_and_ends_the_others() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    let mut get = client.open("Get").await;
    get.send(&Note::new("gate", 5));
    let mut half_closed = client.open("Echo").await;
    half_closed.send(&Note::new("gate", 0));
    half_closed.half_close();
    let mut open = client.open("Echo").await;
    open.send(&Note::new("x", 1));
    assert_eq!(open.message().await, Note::new("x", 1));
    soon(volt.probe.running(3)).await;
    // Neither has sent its request, so both can be retried elsewhere.
    let unnamed = client.open("Get").await;
    let mut silent = client.open("Echo").await;
    silent.headers().await.unwrap();

    let probe = volt.probe.clone();
    let stopping = tokio::spawn(volt.server.shutdown());
    assert_eq!(unnamed.reset_reason().await, Some(Reason::REFUSED_STREAM));
    let text = "this server is shutting down, and did not execute the call";
    assert_eq!(silent.outcome().await, bad(Code::Unavailable, text));
    probe.gate.notify_one();
    probe.gate.notify_one();
    assert_eq!(get.outcome().await, good([Note::new("gate", 5)]));
    assert_eq!(half_closed.outcome().await, good([]));
    assert_eq!(open.outcome().await, bad(Code::Unavailable, "the server is shutting down"));
    client.ended().await;
    soon(stopping).await.unwrap();
    soon(probe.running(0)).await;
}

#[tokio::test]
async fn a_stopping_server_does_not_wait_longer_than_its_drain_timeout() {
    let volt = start_with(|options| options.drain_timeout = Duration::from_millis(20)).await;
    let mut client = Raw::connect(&volt).await;
    let mut call = client.open("Get").await;
    call.send(&Note::new("wait", 0));
    soon(volt.probe.running(1)).await;
    let stopping = tokio::spawn(volt.server.shutdown());
    let outcome = call.outcome().await;
    assert_eq!(outcome, bad(Code::Unavailable, "the server is shutting down"));
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_drops_its_handlers() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    let mut calls = Vec::new();
    for method in ["Get", "Echo"] {
        let mut call = client.open(method).await;
        call.send(&Note::new("wait", 0));
        calls.push(call);
    }
    soon(volt.probe.running(2)).await;
    drop(volt.server);
    soon(volt.probe.running(0)).await;
}
