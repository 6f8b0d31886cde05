//! Following wires: history, live messages and lost connections.

use std::time::SystemTime;

use futures_util::TryStreamExt as _;
use volt_api::{
    Client, Code, ErrorKind, TransportKind,
    volt::{DeleteResourceRequest, Resource, SaveWireRequest},
    wires::{Follower, WireEvent, WireMessage},
};
use volt_test_support::soon;

use crate::support::{TRANSPORTS, client_through, network, start};

/// Publishes messages one after another.
async fn publish(client: &Client, messages: &[&str]) {
    for message in messages {
        client.wire().publish("@news", *message).await.unwrap();
    }
}

async fn next(follower: &mut Follower) -> WireEvent {
    soon(follower.event()).await.unwrap().unwrap()
}

async fn messages(follower: &mut Follower, count: usize) -> Vec<WireMessage> {
    let mut messages = Vec::new();
    while messages.len() < count {
        messages.push(soon(follower.message()).await.unwrap().unwrap());
    }
    messages
}

fn texts(messages: &[WireMessage]) -> Vec<&str> {
    messages.iter().map(|one| std::str::from_utf8(&one.payload).unwrap()).collect()
}

#[tokio::test]
async fn history_comes_first_and_live_messages_after_it() {
    let (volt, client) = start().await;
    client.wire().ensure_wire("@news").persist(true).await.unwrap();
    let before = SystemTime::now();
    publish(&client, &["one", "two"]).await;
    let mut follower = client.wire().follow("@news").from_start().await.unwrap();
    let history = messages(&mut follower, 2).await;
    assert_eq!(texts(&history), ["one", "two"]);
    assert!(history[0].id < history[1].id);
    assert_eq!(history[0].publisher, volt.config().credential.unwrap().identity_did.clone());
    let age = history[0].time.unwrap().duration_since(before).unwrap_or_default();
    assert!(age.as_secs() < 60, "{age:?}");
    assert_eq!(next(&mut follower).await, WireEvent::CaughtUp);
    publish(&client, &["three"]).await;
    assert_eq!(texts(&messages(&mut follower, 1).await), ["three"]);

    let last = history[0].id.unwrap();
    let mut later = client.wire().follow("@news").after(last).await.unwrap();
    assert_eq!(texts(&messages(&mut later, 2).await), ["two", "three"]);
}

#[tokio::test]
async fn without_a_start_only_new_messages_are_delivered() {
    let (_volt, client) = start().await;
    client.wire().ensure_wire("@news").persist(true).await.unwrap();
    publish(&client, &["old"]).await;
    let mut follower = client.wire().follow("@news").await.unwrap();
    // These are published before the first read, but after the follower was created.
    publish(&client, &["new"]).await;
    assert_eq!(texts(&messages(&mut follower, 1).await), ["new"]);
    assert_eq!(next(&mut follower).await, WireEvent::CaughtUp);
    // Bytes are delivered unchanged, and messages that are not stored are not delivered.
    client.wire().publish("@news", "unseen").persist(false).await.unwrap();
    client.wire().publish("@news", vec![0, 255]).await.unwrap();
    assert_eq!(messages(&mut follower, 1).await[0].payload, [0, 255]);
}

#[tokio::test]
async fn a_follower_waits_for_a_missing_wire() {
    let (_volt, client) = start().await;
    let mut follower = client.wire().follow("@news").await.unwrap();
    let wait = tokio::spawn(async move { messages(&mut follower, 2).await });
    client.wire().ensure_wire("@news").persist(true).await.unwrap();
    publish(&client, &["one", "two"]).await;
    assert_eq!(texts(&wait.await.unwrap()), ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_come_once_and_in_order_despite_lost_connections() {
    for transport in TRANSPORTS {
        follow_despite_lost_connections(transport).await;
    }
}

async fn follow_despite_lost_connections(transport: TransportKind) {
    let (volt, owner) = start().await;
    owner.wire().ensure_wire("@news").persist(true).await.unwrap();
    publish(&owner, &["first"]).await;
    let network = network(&volt, transport).await;
    let client = client_through(&network, &volt, transport).await;
    let mut follower = client.wire().follow("@news").from_start().await.unwrap();
    let publishers: Vec<_> = (0..3)
        .map(|publisher| {
            let owner = owner.clone();
            tokio::spawn(async move {
                let mut news = owner.wire().publisher("@news").await.unwrap();
                for number in 0..100 {
                    news.publish(format!("{publisher} {number}")).await.unwrap();
                }
                news.finish().await.unwrap();
            })
        })
        .collect();
    let cut = network.cutter();
    let mut received = Vec::new();
    while received.len() < 301 {
        received.extend(messages(&mut follower, 1).await);
        if received.len() % 60 == 0 {
            cut();
        }
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let stored: Vec<(i64, String)> = owner
        .database("@news")
        .query("SELECT id, payload FROM wire_data ORDER BY id")
        .fetch_all()
        .await
        .unwrap();
    let received: Vec<_> = received
        .into_iter()
        .map(|one| (one.id.unwrap(), String::from_utf8(one.payload).unwrap()))
        .collect();
    assert_eq!(received, stored);
    // The follower still works after the cuts.
    publish(&owner, &["last"]).await;
    assert_eq!(texts(&messages(&mut follower, 1).await), ["last"]);
}

#[tokio::test]
async fn a_wire_without_persistence_is_followed_live_and_reports_gaps() {
    for transport in TRANSPORTS {
        follow_live(transport).await;
    }
}

async fn follow_live(transport: TransportKind) {
    let (volt, owner) = start().await;
    owner.wire().ensure_wire("@news").await.unwrap();
    let error = owner.wire().follow("@news").from_start().await.unwrap_err();
    assert!(error.is_configuration(), "{error}");

    let network = network(&volt, transport).await;
    let client = client_through(&network, &volt, transport).await;
    let mut follower = client.wire().follow("@news").await.unwrap();
    assert_eq!(next(&mut follower).await, WireEvent::CaughtUp);
    // Nothing confirms a subscription, so messages are published until one arrives.
    let publisher = tokio::spawn(async move {
        loop {
            publish(&owner, &["again"]).await;
        }
    });
    let message = messages(&mut follower, 1).await.remove(0);
    assert_eq!((message.id, message.publisher.as_deref(), message.time), (None, None, None));
    assert_eq!(message.text(), "again");
    network.cutter()();
    while next(&mut follower).await != WireEvent::Gap {}
    assert_eq!(messages(&mut follower, 1).await[0].text(), "again");
    publisher.abort();
}

#[tokio::test]
async fn a_mismatched_table_error_names_its_columns() {
    let (_volt, client) = start().await;
    let wire = client.wire().ensure_wire("@news").persist(true).await.unwrap();
    let table = "CREATE TABLE other (number INTEGER, words TEXT)";
    client.database("@news").query(table).execute().await.unwrap();
    let request = SaveWireRequest::default()
        .with_resource(Resource::default().with_id(&wire.id))
        .with_persist(true)
        .with_persist_table("other");
    client.wire().save_wire(request).await.unwrap();
    let mut follower = client.wire().follow("@news").from_start().await.unwrap();
    for _ in 0..2 {
        let error = soon(follower.event()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conversion);
        assert!(error.to_string().contains("`number`, `words`"), "{error}");
    }
    assert_eq!(soon(follower.try_next()).await.unwrap(), None, "a stream ends after its error");
}

#[tokio::test]
async fn a_deleted_wire_ends_its_followers() {
    let (_volt, client) = start().await;
    let wire = client.wire().ensure_wire("@news").persist(true).await.unwrap();
    let mut follower = client.wire().follow("@news").await.unwrap();
    assert_eq!(next(&mut follower).await, WireEvent::CaughtUp);
    let request = DeleteResourceRequest::default().with_resource_id(wire.id);
    client.volt().delete_resource(request).await.unwrap();
    assert_eq!(soon(follower.event()).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_dropped_read_loses_nothing() {
    let (_volt, client) = start().await;
    client.wire().ensure_wire("@news").persist(true).await.unwrap();
    let numbers: Vec<String> = (0..250).map(|number| number.to_string()).collect();
    let mut news = client.wire().publisher("@news").await.unwrap();
    for number in &numbers {
        news.publish(number.as_str()).await.unwrap();
    }
    news.finish().await.unwrap();
    let mut follower = client.wire().follow("@news").from_start().await.unwrap();
    let mut received = Vec::new();
    while received.len() < 250 {
        tokio::select! {
            biased;
            message = follower.message() => received.push(message.unwrap().unwrap()),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(texts(&received), numbers);
}

/// Publishes a message whose id was that of another one, as in a table without `AUTOINCREMENT`.
async fn reuse(client: &Client, id: i64, text: &str) {
    let insert = client
        .database("@news")
        .query("INSERT INTO wire_data (id, created, identity_did, payload) VALUES (?, 0, '', ?)");
    assert_eq!(insert.bind(id).bind(text).execute().await.unwrap(), 1);
    // The signal.
    client.wire().publish("@news", "unseen").persist(false).await.unwrap();
}

#[tokio::test]
async fn reused_ids_of_deleted_messages_are_a_gap() {
    let (_volt, client) = start().await;
    client.wire().ensure_wire("@news").persist(true).await.unwrap();
    publish(&client, &["one", "two"]).await;
    let mut follower = client.wire().follow("@news").from_start().await.unwrap();
    let history = messages(&mut follower, 2).await;
    assert_eq!(next(&mut follower).await, WireEvent::CaughtUp);
    let delete = client.database("@news").query("DELETE FROM wire_data");
    assert_eq!(delete.execute().await.unwrap(), 2);
    let first = history[0].id.unwrap();
    reuse(&client, first, "lost").await;
    assert_eq!(next(&mut follower).await, WireEvent::Gap);
    reuse(&client, first + 1, "three").await;
    assert_eq!(texts(&messages(&mut follower, 1).await), ["three"]);
}

#[tokio::test]
async fn a_wire_table_never_reuses_ids() {
    let (_volt, client) = start().await;
    client.wire().ensure_wire("@news").persist(true).await.unwrap();
    publish(&client, &["one", "two"]).await;
    let mut follower = client.wire().follow("@news").from_start().await.unwrap();
    messages(&mut follower, 2).await;
    assert_eq!(next(&mut follower).await, WireEvent::CaughtUp);
    client.database("@news").query("DELETE FROM wire_data").execute().await.unwrap();
    publish(&client, &["three"]).await;
    assert_eq!(texts(&messages(&mut follower, 1).await), ["three"]);
}

/// More than is read at once, by size.
#[tokio::test]
async fn large_messages_arrive_complete_and_in_order() {
    let (_volt, client) = start().await;
    client.wire().ensure_wire("@news").persist(true).await.unwrap();
    let sizes = [700_000, 1, 2_000_000, 900_000, 2];
    for size in sizes {
        client.wire().publish("@news", vec![b'x'; size]).await.unwrap();
    }
    let mut follower = client.wire().follow("@news").from_start().await.unwrap();
    let received = messages(&mut follower, sizes.len()).await;
    assert_eq!(received.iter().map(|one| one.payload.len()).collect::<Vec<_>>(), sizes);
    assert_eq!(next(&mut follower).await, WireEvent::CaughtUp);
}
