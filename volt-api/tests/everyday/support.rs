//! Helpers shared by the tests.

use std::time::Duration;

use volt_api::{
    Channel, Client, ConnectOptions, Reconnect,
    data::CreateDatabaseRequest,
    server::{Router, Service},
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::Network;

/// Starts a Volt. Returns it with a client of its owner.
pub(crate) async fn start() -> (EmbeddedVolt, Client) {
    let volt = EmbeddedVolt::start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    (volt, client)
}

/// Returns a client of a mock that runs in this process.
pub(crate) fn mock(service: impl Service) -> Client {
    Client::from_channel(Channel::in_process(Router::new().with(service)))
}

/// Creates a database with the alias `@shop` and a table.
pub(crate) async fn shop(client: &Client) {
    let request = CreateDatabaseRequest::default().with_name("shop").with_alias(["shop"]);
    client.sqlite_server().create_database(request).await.unwrap();
    let table =
        "CREATE TABLE article (id INTEGER PRIMARY KEY, name TEXT, price REAL, picture BLOB)";
    assert_eq!(client.database("@shop").query(table).execute().await.unwrap(), 0);
}

/// Creates a network between clients and a Volt.
pub(crate) async fn network(volt: &EmbeddedVolt) -> Network {
    Network::to(volt.url().trim_start_matches("http://").parse().unwrap()).await
}

/// Returns a client of the Volt's owner whose connections can be cut, and who reconnects soon.
pub(crate) async fn client_through(network: &Network, volt: &EmbeddedVolt) -> Client {
    let mut config = volt.config();
    config.volt.http_address = Some(network.url());
    let mut reconnect = Reconnect::default();
    reconnect.longest_delay = Duration::from_millis(50);
    let mut options = ConnectOptions::default();
    options.reconnect = Some(reconnect);
    Client::connect_with(config, options).await.unwrap()
}
