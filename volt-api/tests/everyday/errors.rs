//! The texts of errors: one real error of each kind. Each text reports what failed, which value or
//! field it was, and what to do. For a refusal, it is the Volt's own text.

use std::time::Duration;

use volt_api::{
    Channel, Client, ConnectOptions, Error, ErrorKind,
    key::SigningKey,
    server::Router,
    testing::Mock,
    volt::{GetResourceRequest, SetFileContentRequest, SubscribeWireRequest, VoltApiClient},
};
use volt_embedded::EmbeddedVolt;
use volt_runtime::__core::error_kinds;
use volt_test_support::soon;

use crate::support::{shop, start};

async fn get(client: &Client) -> Error {
    let request = GetResourceRequest::default().with_resource_id("@nothing");
    soon(client.volt().get_resource(request)).await.unwrap_err()
}

/// A call of a method that the server does not have.
async fn failed() -> Error {
    get(&Client::from_channel(Channel::in_process(Router::new()))).await
}

/// A call with a session that the Volt does not know.
async fn routing(volt: &EmbeddedVolt) -> Error {
    let mut config = volt.config();
    config.credential.get_or_insert_default().session_id = Some("ended".to_owned());
    get(&Client::connect(config).await.unwrap()).await
}

/// A call to a server that is not the Volt of the configuration.
async fn protocol(volt: &EmbeddedVolt) -> Error {
    let mut config = volt.config();
    config.volt.ca_pem = None;
    config.volt.public_key = Some(SigningKey::generate().unwrap().verifying_key().to_pem());
    get(&Client::connect(config).await.unwrap()).await
}

async fn connection(volt: &EmbeddedVolt) -> Error {
    let mut config = volt.config();
    config.volt.http_address = Some("http://127.0.0.1:1".to_owned());
    soon(Client::connect(config)).await.unwrap_err()
}

async fn ended(client: &Client) -> Error {
    let mut call = client.wire().subscribe_wire().await.unwrap();
    call.send(SubscribeWireRequest::default().with_wire_id("@none")).await.unwrap();
    call.half_close();
    call.send(SubscribeWireRequest::default()).await.unwrap_err()
}

async fn deadline() -> Error {
    let mock = Mock::new().on(VoltApiClient::GET_RESOURCE, |_| std::future::pending());
    let client = Client::from_channel(mock.channel());
    let call = client.volt().get_resource(GetResourceRequest::default());
    soon(call.timeout(Duration::from_millis(10))).await.unwrap_err()
}

async fn io(client: &Client) -> Error {
    client.file().upload("@docs/new").from_path("no such file").await.unwrap_err()
}

async fn exhausted(volt: &EmbeddedVolt) -> Error {
    let mut options = ConnectOptions::default();
    options.max_sent_message_size = 1000;
    let client = Client::connect_with(volt.config(), options).await.unwrap();
    let request = SetFileContentRequest::default().with_resource_id("@file");
    client.file().set_file_content(request.with_content(vec![0; 1000])).await.unwrap_err()
}

async fn configuration(volt: &EmbeddedVolt) -> Error {
    let mut config = volt.config();
    config.volt.http_address = Some("https://example.com:port".to_owned());
    Client::connect(config).await.unwrap_err()
}

async fn conversion(client: &Client) -> Error {
    let query = client.database("@shop").query("SELECT NULL AS price");
    query.scalar::<i64>().await.unwrap_err()
}

#[tokio::test]
async fn every_kind_of_error_says_what_failed_and_what_to_do() {
    let (volt, client) = start().await;
    shop(&client).await;
    let errors: [(Error, &[&str]); 11] = [
        (get(&client).await, &["VoltAPI/GetResource: refused: not found", "@nothing"]),
        (failed().await, &["VoltAPI/GetResource: failed", "unimplemented"]),
        (routing(&volt).await, &["`credential.session_id` names no valid session", "obtain"]),
        (protocol(&volt).await, &["not signed by the Volt's key", "`volt.public_key`"]),
        (connection(&volt).await, &["connection error", "127.0.0.1:1"]),
        (ended(&client).await, &["nothing more can be sent", "Read its responses"]),
        (deadline().await, &["longer than its timeout", "set a longer one"]),
        (io(&client).await, &["`no such file` cannot be read", "check that it exists"]),
        (exhausted(&volt).await, &["1000", "`ConnectOptions::max_sent_message_size`"]),
        (configuration(&volt).await, &["`volt.http_address`", "a number from 1 to 65535"]),
        (conversion(&client).await, &["column `price`", "NULL", "`Option`"]),
    ];
    let kinds: Vec<ErrorKind> = error_kinds().collect();
    let made: Vec<ErrorKind> = errors.iter().map(|(error, _)| error.kind()).collect();
    assert_eq!(made, kinds);
    for (error, parts) in errors {
        for part in parts {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }
}
