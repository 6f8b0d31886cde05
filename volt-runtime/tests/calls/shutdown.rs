//! Closing, on both ends: what was accepted is seen through, within a bound.

use std::time::Duration;

use volt_runtime::{ErrorKind, Executed, server::ServerOptions};

use crate::support::{Note, Volt, soon};

#[tokio::test]
async fn closing_waits_for_answers_that_are_due_and_for_nothing_else() {
    let volt = Volt::start().await;
    let client = volt.client_with(|_| {}).await;
    let get = tokio::spawn(client.get(Note::new("gate", 5)).into_future());
    let mut list = client.list(Note::new("wait", 0)).await.unwrap();
    soon(volt.probe.running(2)).await;
    let channel = client.0.clone();
    let closing = tokio::spawn(async move { channel.close().await });
    let mut states = client.0.watch_state();
    soon(async {
        while !states.current().is_closed() {
            states.changed().await;
        }
    })
    .await;
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No), "{error}");
    volt.probe.gate.notify_one();
    assert_eq!(soon(get).await.unwrap().unwrap(), Note::new("gate", 5));
    soon(closing).await.unwrap();
    assert_eq!(soon(list.message()).await.unwrap_err().kind(), ErrorKind::Connection);
    soon(volt.probe.running(0)).await;
}

#[tokio::test]
async fn a_half_closed_stream_is_seen_through() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    let (mut requests, mut responses) = client.echo().await.unwrap().into_split();
    for number in 0..100 {
        requests.send(Note::new("n", number)).await.unwrap();
    }
    requests.close();
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
async fn closing_takes_no_longer_than_it_may() {
    let volt = Volt::start().await;
    let client =
        volt.client_with(|options| options.close_timeout = Duration::from_millis(10)).await;
    let get = tokio::spawn(client.get(Note::new("wait", 0)).into_future());
    soon(volt.probe.running(1)).await;
    soon(client.0.close()).await;
    let error = soon(get).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::Maybe));
}

#[tokio::test]
async fn a_server_lets_those_calls_finish_that_have_been_asked_everything() {
    let volt = Volt::start().await;
    let client = volt.client_with(|options| options.reconnect = None).await;
    let get = tokio::spawn(client.get(Note::new("gate", 5)).into_future());
    let mut echo = client.echo().await.unwrap();
    echo.send(Note::new("n", 1)).await.unwrap();
    assert!(soon(echo.message()).await.unwrap().is_some());
    soon(volt.probe.running(2)).await;
    let probe = volt.probe.clone();
    let stopping = tokio::spawn(volt.stop());
    // A call that comes too late is turned away by name.
    let error = soon(async {
        loop {
            if let Err(error) = client.get(Note::default()).await {
                break error;
            }
        }
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Routing, "{error}");
    assert!(error.to_string().contains("shutting down"), "{error}");
    probe.gate.notify_one();
    assert_eq!(soon(get).await.unwrap().unwrap(), Note::new("gate", 5));
    soon(stopping).await.unwrap();
    assert_eq!(soon(echo.message()).await.unwrap_err().kind(), ErrorKind::Connection);
}

#[tokio::test]
async fn a_server_waits_no_longer_than_it_may() {
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
async fn a_client_that_reads_nothing_does_not_hold_up_the_end() {
    let mut options = ServerOptions::default();
    options.drain_timeout = Duration::from_millis(10);
    let volt = Volt::start_with(options).await;
    let client = volt.client_with(|options| options.reconnect = None).await;
    // More than fits into the sockets' buffers, and nobody reads it.
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
