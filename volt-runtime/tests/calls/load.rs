//! Many concurrent calls on one connection.

use futures_util::{StreamExt as _, future::join_all};

use volt_test_support::{Note, soon};

use crate::support::{Volt, no_open_calls};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_and_a_hundred_streams_share_a_connection() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    let unary = (0..1000).map(|number| {
        let client = client.clone();
        tokio::spawn(async move {
            let note = Note::new("unary", number);
            assert_eq!(client.get(note.clone()).await.unwrap(), note);
        })
    });
    let streams = (0..50).map(|stream| {
        let client = client.clone();
        tokio::spawn(async move {
            let text = format!("stream {stream}");
            let notes = client.list(Note::new(&text, 200)).await.unwrap();
            let notes: Vec<_> = notes.map(Result::unwrap).collect().await;
            let expected: Vec<_> = (0..200).map(|number| Note::new(&text, number)).collect();
            assert_eq!(notes, expected);
        })
    });
    let echoes = (0..50).map(|stream| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut echo = client.echo().await.unwrap();
            for number in 0..100 {
                let note = Note::new(format!("echo {stream}"), number);
                echo.send(note.clone()).await.unwrap();
                assert_eq!(echo.message().await.unwrap(), Some(note));
            }
            echo.half_close();
            assert_eq!(echo.message().await.unwrap(), None);
        })
    });
    let all: Vec<_> = unary.chain(streams).chain(echoes).collect();
    for outcome in soon(join_all(all)).await {
        outcome.unwrap();
    }
    no_open_calls(&client).await;
    soon(volt.probe.running(0)).await;
}

#[tokio::test]
async fn calls_beyond_the_server_limit_are_rejected() {
    let mut options = volt_runtime::server::ServerOptions::default();
    options.max_calls = 2;
    let volt = Volt::start_with(options).await;
    let client = volt.client().await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = client.list(Note::new("wait", 1)).await.unwrap();
        assert!(soon(stream.message()).await.unwrap().is_some());
        held.push(stream);
    }
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert!(error.to_string().contains("too many calls"), "{error}");
    drop(held);
    soon(volt.probe.running(0)).await;
    soon(client.get(Note::default())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_are_open_at_once() {
    const CALLS: u64 = 10_000;
    let volt = Volt::start().await;
    let client = volt.client().await;
    // Opened in batches, because each batch is a burst of key exchanges.
    let mut calls = Vec::new();
    for part in 0..CALLS / 500 {
        calls.extend(
            join_all((0..500).map(async |number| {
                let mut echo = client.echo().await.unwrap();
                let note = Note::new("open", part * 500 + number);
                soon(echo.send(note.clone())).await.unwrap();
                assert_eq!(soon(echo.message()).await.unwrap(), Some(note));
                echo
            }))
            .await,
        );
    }
    assert_eq!(client.0.open_calls(), calls.len());
    soon(volt.probe.running(calls.len())).await;
    // All of them still work, in any order.
    for (number, echo) in calls.iter_mut().enumerate().rev().step_by(97) {
        let note = Note::new("still", number as u64);
        echo.send(note.clone()).await.unwrap();
        assert_eq!(soon(echo.message()).await.unwrap(), Some(note));
    }
    drop(calls);
    no_open_calls(&client).await;
    soon(volt.probe.running(0)).await;
}
