//! Helpers shared by the tests.

use std::time::Duration;

use volt_api::{
    Channel, Client, ConnectOptions, Reconnect, TransportKind,
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

/// The transports between two programs.
pub(crate) const TRANSPORTS: [TransportKind; 2] = [TransportKind::Websocket, TransportKind::Grpc];

/// Starts a Volt. Returns it with a client of its owner that uses this transport.
pub(crate) async fn start_over(transport: TransportKind) -> (EmbeddedVolt, Client) {
    let volt = EmbeddedVolt::start().await.unwrap();
    let client = Client::connect_with(volt.config(), over(transport)).await.unwrap();
    (volt, client)
}

/// The options of a client that uses this transport.
pub(crate) fn over(transport: TransportKind) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.transport = transport;
    options
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

/// Creates a network between the clients of this transport and a Volt.
pub(crate) async fn network(volt: &EmbeddedVolt, transport: TransportKind) -> Network {
    let websocket = volt.url().trim_start_matches("http://").parse().unwrap();
    Network::to(match transport {
        TransportKind::Grpc => volt.grpc_address().unwrap(),
        _ => websocket,
    })
    .await
}

/// Returns a client of the Volt's owner whose connections can be cut, and who reconnects soon.
pub(crate) async fn client_through(
    network: &Network,
    volt: &EmbeddedVolt,
    transport: TransportKind,
) -> Client {
    let mut config = volt.config();
    config.volt.address = Some(network.url().trim_start_matches("http://").to_owned());
    config.volt.http_address = Some(network.url());
    let mut reconnect = Reconnect::default();
    reconnect.longest_delay = Duration::from_millis(50);
    let mut options = over(transport);
    options.reconnect = Some(reconnect);
    Client::connect_with(config, options).await.unwrap()
}
