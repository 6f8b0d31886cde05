//! Publishing, and wires that are created unless they exist.

use std::sync::{Arc, Mutex};

use volt_api::{
    Client, Code, ErrorKind, Status,
    server::{Context, Requests, Responses},
    volt::{PublishWireRequest, PublishWireResponse, WireApi, WireApiServer},
};
use volt_test_support::soon;

use crate::support::{mock, start};

async fn stored(client: &Client, wire: &str) -> Vec<(String,)> {
    let query = client.database(wire).query("SELECT payload FROM wire_data ORDER BY id");
    query.fetch_all().await.unwrap()
}

#[tokio::test]
async fn a_message_is_published_when_the_call_returns() {
    let (_volt, client) = start().await;
    client.wire().ensure_wire("@news").persist(true).await.unwrap();
    client.wire().publish("@news", "one").await.unwrap();
    client.wire().publish("@news", "unseen").persist(false).await.unwrap();
    assert_eq!(stored(&client, "@news").await, [("one".to_owned(),)]);
    let missing = client.wire().publish("@none", "one").await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(client.wire().publish("@news", "").await.unwrap_err().is_configuration());
}

#[tokio::test]
async fn a_publisher_confirms_at_flush_and_finish() {
    let (_volt, client) = start().await;
    client.wire().ensure_wire("@news").persist(true).await.unwrap();
    let mut news = client.wire().publisher("@news").await.unwrap();
    for message in ["one", "two"] {
        news.publish(message).await.unwrap();
    }
    news.flush().await.unwrap();
    // There is nothing left to confirm.
    news.flush().await.unwrap();
    assert_eq!(stored(&client, "@news").await.len(), 2);
    news.publish("three").await.unwrap();
    news.finish().await.unwrap();
    let expected = ["one", "two", "three"].map(|message| (message.to_owned(),));
    assert_eq!(stored(&client, "@news").await, expected);
}

#[tokio::test]
async fn a_refused_publisher_has_ended() {
    let (_volt, client) = start().await;
    let mut news = client.wire().publisher("@none").await.unwrap();
    assert_eq!(news.flush().await.unwrap_err().code(), Code::NotFound);
    assert_eq!(news.publish("one").await.unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(news.finish().await.unwrap_err().kind(), ErrorKind::Ended);
}

/// Notes what is published, and how each call has ended.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl WireApi for Notes {
    async fn publish_wire(
        &self,
        _: Context,
        mut requests: Requests<PublishWireRequest>,
        _: Responses<PublishWireResponse>,
    ) -> Result<(), Status> {
        while let Some(request) = requests.message().await? {
            let chunk = String::from_utf8(request.chunk).unwrap();
            self.0.lock().unwrap().push(format!("{}:{chunk}", request.wire_id));
        }
        self.0.lock().unwrap().push("end".to_owned());
        Ok(())
    }
}

#[tokio::test]
async fn each_call_names_the_wire_first_and_is_finished() {
    let notes = Arc::new(Notes::default());
    let client = mock(WireApiServer::from_arc(Arc::clone(&notes)));
    soon(client.wire().publish("w", "a")).await.unwrap();
    let mut publisher = soon(client.wire().publisher("w")).await.unwrap();
    soon(publisher.publish("b")).await.unwrap();
    soon(publisher.flush()).await.unwrap();
    soon(publisher.finish()).await.unwrap();
    assert_eq!(*notes.0.lock().unwrap(), ["w:a", "end", "w:", ":b", "end"]);
}

#[tokio::test]
async fn concurrent_callers_create_a_wire_once() {
    let (volt, client) = start().await;
    let ask = || async {
        let client = Client::connect(volt.config()).await.unwrap();
        client.wire().ensure_wire("@news").name("News").await.unwrap().id
    };
    let (one, two, three, four) = tokio::join!(ask(), ask(), ask(), ask());
    assert!([&two, &three, &four].iter().all(|id| **id == one));

    // Without `persist` a wire stays as it is; with it, the wire is changed and keeps the rest.
    client.wire().ensure_wire("news").persist(true).await.unwrap();
    let wire = client.wire().ensure_wire("@news").await.unwrap();
    assert_eq!((wire.id, wire.name.as_str()), (one, "News"));
    client.wire().publish("@news", "one").await.unwrap();
    assert_eq!(stored(&client, "@news").await.len(), 1);
    client.wire().ensure_wire("@news").persist(false).await.unwrap();
    client.wire().publish("@news", "two").await.unwrap();
    client.wire().ensure_wire("@news").persist(true).await.unwrap();
    assert_eq!(stored(&client, "@news").await.len(), 1);
}

#[tokio::test]
async fn an_alias_of_another_kind_is_an_error() {
    let (_volt, client) = start().await;
    client.sqlite_server().ensure_database("@shop").await.unwrap();
    let error = client.wire().ensure_wire("@shop").await.unwrap_err();
    assert!(error.to_string().contains("not a `volt:wire`"), "{error}");
    for wrong in ["", "@", "@ne*s"] {
        assert!(client.wire().ensure_wire(wrong).await.unwrap_err().is_configuration());
    }
}
