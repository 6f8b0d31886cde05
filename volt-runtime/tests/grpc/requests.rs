//! The requests of a call: headers, messages and end.

use std::time::Duration;

use h2::Reason;
use tokio::sync::mpsc;
use volt_runtime::{Code, ErrorKind, Executed, Target};
use volt_test_support::{Note, soon};

use crate::{Notes, grpc, says, server::Server};

#[tokio::test]
async fn a_call_sends_the_headers_of_grpc_and_its_token() {
    let (sender, mut headers) = mpsc::unbounded_channel();
    let server = Server::start(move |mut call| {
        sender.send(call.headers.clone()).unwrap();
        async move { call.answer(&Note::default()) }
    })
    .await;
    let client = Notes::connect(&server).await;
    soon(client.get("a").timeout(Duration::from_secs(90))).await.unwrap();
    let first = headers.recv().await.unwrap();
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-accept-encoding", "identity,gzip"),
    ] {
        assert_eq!(first[name], value);
    }
    // The time that is left, in microseconds.
    let timeout = first["grpc-timeout"].to_str().unwrap().strip_suffix('u').unwrap();
    assert!((60_000_000..=90_000_000).contains(&timeout.parse::<u32>().unwrap()), "{timeout}");
    assert_eq!(first["volt-token"].to_str().unwrap().split('.').count(), 3);

    // Streams have no deadline unless one is set.
    let mut list = soon(client.list("a")).await.unwrap();
    soon(list.message()).await.unwrap();
    let second = headers.recv().await.unwrap();
    assert!(!second.contains_key("grpc-timeout"));
    assert_eq!(second["volt-token"], first["volt-token"], "the token is shared");

    // A service of another host has its own token.
    let target = Target::new("service").hosted_by("did:volt:host", "");
    soon(client.get("a").service(target)).await.unwrap();
    assert_ne!(headers.recv().await.unwrap()["volt-token"], first["volt-token"]);
}

#[tokio::test]
async fn a_dropped_call_resets_its_stream() {
    let (sender, mut resets) = mpsc::unbounded_channel();
    let server = Server::start(move |mut call| {
        let sender = sender.clone();
        async move {
            let first = call.request().await.unwrap().unwrap();
            let mut answer = call.begin();
            answer.send(&first);
            sender.send(answer.is_reset().await).unwrap();
        }
    })
    .await;
    let client = Notes::connect(&server).await;
    // The call is open, and more requests may follow.
    let mut echo = soon(client.echo()).await.unwrap();
    soon(echo.send(Note::new("a", 1))).await.unwrap();
    soon(echo.message()).await.unwrap().unwrap();
    let (requests, responses) = echo.into_split();
    drop(responses);
    assert_eq!(soon(resets.recv()).await, Some(Reason::CANCEL));
    drop(requests);
    // Half-closed.
    let mut list = soon(client.list("a")).await.unwrap();
    soon(list.message()).await.unwrap().unwrap();
    drop(list);
    assert_eq!(soon(resets.recv()).await, Some(Reason::CANCEL));
    assert_eq!(client.0.open_calls(), 0);
}

#[tokio::test]
async fn a_call_that_was_not_answered_in_time_is_reset() {
    let (sender, mut resets) = mpsc::unbounded_channel();
    let server = Server::start(move |mut call| {
        let sender = sender.clone();
        async move { sender.send(call.is_reset().await).unwrap() }
    })
    .await;
    let client = Notes::connect(&server).await;
    let error = soon(client.get("a").timeout(Duration::from_millis(50))).await.unwrap_err();
    assert!(error.is_deadline(), "{error}");
    assert_eq!((error.code(), error.executed()), (Code::DeadlineExceeded, Executed::Maybe));
    assert_eq!(soon(resets.recv()).await, Some(Reason::CANCEL));
}

#[tokio::test]
async fn a_request_above_the_limit_fails_its_own_call() {
    let server = Server::start(|mut call| async move {
        let note = call.single().await;
        call.answer(&note);
    })
    .await;
    let mut options = grpc();
    options.max_sent_message_size = 100;
    let client = Notes::connect_with(&server, options).await;
    let long = "x".repeat(101);
    let error = soon(client.get(&long)).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::ResourceExhausted, Executed::No));
    says(&error, &["at most 100"]);
    // A stream's first request is sent in the background.
    let mut list = soon(client.list(&long)).await.unwrap();
    let error = soon(list.message()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::ResourceExhausted, Executed::No));
    assert_eq!(soon(client.get("short")).await.unwrap().text, "short");
}

/// HTTP/2 has flow control for each call.
#[tokio::test]
async fn an_unread_stream_does_not_delay_other_calls() {
    let server = Server::start(|mut call| async move {
        if call.path.ends_with("List") {
            let mut answer = call.begin();
            for number in 0..64 {
                answer.send(&Note::new("x".repeat(1 << 20), number));
            }
            answer.end("0", "");
        } else {
            let note = call.single().await;
            call.answer(&note);
        }
    })
    .await;
    let client = Notes::connect(&server).await;
    let mut lists = Vec::new();
    for _ in 0..8 {
        let mut list = soon(client.list("a")).await.unwrap();
        assert_eq!(soon(list.message()).await.unwrap().unwrap().number, 0);
        lists.push(list);
    }
    for _ in 0..10 {
        assert_eq!(soon(client.get("a")).await.unwrap().text, "a");
    }
    for mut list in lists {
        for number in 1..64 {
            assert_eq!(soon(list.message()).await.unwrap().unwrap().number, number);
        }
        assert_eq!(soon(list.message()).await.unwrap(), None);
    }
}
