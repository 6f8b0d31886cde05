//! Clients of the older API, with RSA keys.

use volt_api::{
    Code,
    v0_15::{
        Client,
        data::{SqlExecuteRequest, SqlExecuteResponse, sql_execute_response::Payload},
        volt::{
            GetResourceRequest, PublishWireRequest, SubscribeWireRequest,
            subscribe_wire_response::Payload as Heard,
        },
    },
};
use volt_embedded::EmbeddedVolt;

use crate::support;

async fn legacy(volt: &EmbeddedVolt) -> Client {
    Client::connect(volt.legacy_config("old").unwrap()).await.unwrap()
}

#[tokio::test]
async fn legacy_and_current_clients_share_a_volt() {
    let (volt, modern) = support::start().await;
    let old = legacy(&volt).await;
    let resource = support::make(&modern, "shared", "volt:folder").await;
    let request = GetResourceRequest::default().with_resource_id(&resource.id);
    let answer = old.volt().get_resource(request).await.unwrap();
    assert_eq!(answer.resource.unwrap().name, "shared");
    let request = GetResourceRequest::default().with_resource_id("nothing");
    let error = old.volt().get_resource(request).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn a_query_is_one_request_with_pages_on_demand() {
    let (volt, modern) = support::start().await;
    let db = support::database(
        &modern,
        &["CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1), (2), (3)"],
    )
    .await;
    let old = legacy(&volt).await;
    let mut call = old.sqlite_database().execute().await.unwrap();
    let query = SqlExecuteRequest::default()
        .with_database_id(&db)
        .with_statement("SELECT n FROM t ORDER BY n");
    call.send(query.with_page_size(2)).await.unwrap();
    let mut rows = 0;
    let mut count = |response: Option<SqlExecuteResponse>| {
        rows += usize::from(matches!(response.unwrap().payload, Some(Payload::Row(_))));
        rows
    };
    for _ in 0..3 {
        count(call.message().await.unwrap());
    }
    // The page is full: request the next one with an empty request.
    call.send(SqlExecuteRequest::default()).await.unwrap();
    assert_eq!(count(call.message().await.unwrap()), 3);
    assert!(call.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_subscription_lasts_until_stop() {
    let (volt, modern) = support::start().await;
    let wire = support::make(&modern, "news", "volt:wire").await.id;
    let old = legacy(&volt).await;
    let mut heard = old.wire().subscribe_wire().await.unwrap();
    heard.send(SubscribeWireRequest::default().with_wire_id(&wire)).await.unwrap();
    let mut publisher = old.wire().publish_wire().await.unwrap();
    let news = PublishWireRequest::default().with_wire_id(&wire).with_chunk("news");
    // Messages published before the subscription starts are not delivered.
    let chunk = loop {
        publisher.send(news.clone()).await.unwrap();
        tokio::select! {
            chunk = heard.message() => break chunk.unwrap().unwrap(),
            () = tokio::task::yield_now() => {}
        }
    };
    assert_eq!(chunk.payload, Some(Heard::Chunk(b"news".to_vec())));
    heard.send(SubscribeWireRequest::default().with_stop(true)).await.unwrap();
    while heard.message().await.unwrap().is_some() {}
}

#[tokio::test]
async fn the_rsa_key_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || EmbeddedVolt::builder().data_dir(folder.path()).start();
    let volt = start().await.unwrap();
    let mut config = volt.legacy_config("old").unwrap();
    volt.shutdown().await;
    let volt = start().await.unwrap();
    config.volt.http_address = Some(volt.url().to_owned());
    let client = Client::connect(config).await.unwrap();
    let request = GetResourceRequest::default().with_resource_id(volt.id());
    client.volt().get_resource(request).await.unwrap();
}

#[tokio::test]
async fn a_newer_execute_on_a_legacy_connection_is_explained() {
    let (volt, _modern) = support::start().await;
    let old = legacy(&volt).await;
    let mut call = old.sqlite_database().execute().await.unwrap();
    // The older API reads the newer `start` as an unknown field.
    call.send(SqlExecuteRequest::default()).await.unwrap();
    let error = call.message().await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.to_string().contains("API 0.15"), "{error}");
}
