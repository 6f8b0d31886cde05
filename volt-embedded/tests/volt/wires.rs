use volt_api::{
    Client, Code, Duplex,
    volt::{
        DeleteResourceRequest, PublishWireRequest, PublishWireResponse, Resource, SaveWireRequest,
        SubscribeWireRequest, SubscribeWireResponse, subscribe_wire_response::Payload,
    },
};

use crate::support::{code, guest, permit, query, start};

type Subscription = Duplex<SubscribeWireRequest, SubscribeWireResponse>;
type Publication = Duplex<PublishWireRequest, PublishWireResponse>;

async fn wire(client: &Client) -> String {
    save(client, SaveWireRequest::default()).await
}

async fn save(client: &Client, request: SaveWireRequest) -> String {
    let resource = Resource::default().with_name("news").with_alias(["news"]);
    let request = request.with_resource(resource).with_create(true);
    client.wire().save_wire(request).await.unwrap().resource.unwrap().id
}

async fn subscribe(client: &Client, wire: &str) -> Subscription {
    let mut call = client.wire().subscribe_wire().await.unwrap();
    call.send(SubscribeWireRequest::default().with_wire_id(wire)).await.unwrap();
    call
}

async fn publish(client: &Client, wire: &str) -> Publication {
    let mut call = client.wire().publish_wire().await.unwrap();
    call.send(PublishWireRequest::default().with_wire_id(wire)).await.unwrap();
    call
}

fn chunk(text: impl Into<Vec<u8>>) -> PublishWireRequest {
    PublishWireRequest::default().with_chunk(text)
}

async fn receive(call: &mut Subscription) -> String {
    match call.message().await.unwrap().unwrap().payload {
        Some(Payload::Chunk(chunk)) => String::from_utf8(chunk).unwrap(),
        other => panic!("not a chunk: {other:?}"),
    }
}

/// Publishes until the subscriber receives a message: nothing else signals that a subscription has
/// started.
async fn meet(publisher: &mut Publication, subscriber: &mut Subscription) {
    loop {
        publisher.send(chunk("hello?")).await.unwrap();
        tokio::select! {
            biased;
            heard = receive(subscriber) => {
                assert_eq!(heard, "hello?");
                break;
            }
            () = tokio::task::yield_now() => {}
        }
    }
}

async fn receive_after_greetings(call: &mut Subscription) -> String {
    loop {
        let text = receive(call).await;
        if text != "hello?" {
            return text;
        }
    }
}

#[tokio::test]
async fn every_subscriber_receives_all_messages_in_order() {
    let (_volt, client) = start().await;
    let id = wire(&client).await;
    let mut publisher = publish(&client, "@news").await;
    let mut subscribers = [subscribe(&client, &id).await, subscribe(&client, "@news").await];
    for subscriber in &mut subscribers {
        meet(&mut publisher, subscriber).await;
    }
    for number in 0..500 {
        publisher.send(chunk(number.to_string())).await.unwrap();
    }
    publisher.half_close();
    for subscriber in &mut subscribers {
        assert_eq!(receive_after_greetings(subscriber).await, "0");
        for number in 1..500 {
            assert_eq!(receive(subscriber).await, number.to_string());
        }
    }
    // All messages were published before the call ended.
    assert!(publisher.message().await.unwrap().is_none());
}

#[tokio::test]
async fn stop_or_a_half_close_ends_a_subscription() {
    let (_volt, client) = start().await;
    let id = wire(&client).await;
    let mut stopped = subscribe(&client, &id).await;
    stopped.send(SubscribeWireRequest::default().with_stop(true)).await.unwrap();
    assert!(stopped.message().await.unwrap().is_none());
    let mut closed = subscribe(&client, &id).await;
    closed.half_close();
    assert!(closed.message().await.unwrap().is_none());
}

#[tokio::test]
async fn the_first_message_is_checked() {
    let (volt, client) = start().await;
    let id = wire(&client).await;
    let (other, identity) = guest(&volt).await;
    assert_eq!(code(publish(&other, &id).await.message().await), Code::PermissionDenied);
    assert_eq!(code(subscribe(&other, &id).await.message().await), Code::PermissionDenied);
    permit(&client, &id, &identity, "volt:wire-subscribe").await;
    let mut heard = subscribe(&other, &id).await;
    let mut publisher = publish(&client, &id).await;
    meet(&mut publisher, &mut heard).await;
    assert_eq!(code(publish(&other, &id).await.message().await), Code::PermissionDenied);
    assert_eq!(code(subscribe(&client, "none").await.message().await), Code::NotFound);
    let not_a_wire = publish(&client, volt.id()).await.message().await;
    assert_eq!(code(not_a_wire), Code::FailedPrecondition);
    publisher.send(PublishWireRequest::default().with_wire_id("other")).await.unwrap();
    assert_eq!(code(publisher.message().await), Code::InvalidArgument);
}

#[tokio::test]
async fn deleting_a_wire_ends_its_subscriptions() {
    let (_volt, client) = start().await;
    let id = wire(&client).await;
    let mut publisher = publish(&client, &id).await;
    let mut subscriber = subscribe(&client, &id).await;
    meet(&mut publisher, &mut subscriber).await;
    let request = DeleteResourceRequest::default().with_resource_id(&id);
    client.volt().delete_resource(request).await.unwrap();
    loop {
        match subscriber.message().await {
            Ok(Some(_)) => {}
            other => break assert_eq!(code(other), Code::NotFound),
        }
    }
}

#[tokio::test]
async fn a_wire_that_persists_has_a_history_for_sql() {
    let (_volt, client) = start().await;
    let id = save(&client, SaveWireRequest::default().with_persist(true)).await;
    let mut publisher = publish(&client, &id).await;
    publisher.send(chunk("{\"n\": 1}")).await.unwrap();
    publisher.send(chunk("secret").with_do_not_persist(true)).await.unwrap();
    publisher.send(chunk(vec![0xff])).await.unwrap();
    publisher.half_close();
    assert!(publisher.message().await.unwrap().is_none());
    let rows = query(&client, &id, "SELECT payload FROM wire_data ORDER BY id").await.unwrap();
    assert_eq!(rows, ["{\"n\": 1}", "[255]"]);
    let json = "SELECT payload ->> '$.n' FROM wire_data WHERE id = 1";
    assert_eq!(query(&client, &id, json).await.unwrap(), ["1"]);
}

#[tokio::test]
async fn a_new_persistent_wire_has_its_table() {
    let (_volt, client) = start().await;
    let id = save(&client, SaveWireRequest::default().with_persist(true)).await;
    assert!(query(&client, &id, "SELECT payload FROM wire_data").await.unwrap().is_empty());
}
