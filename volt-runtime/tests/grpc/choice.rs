//! The choice of a transport.

use tracing_subscriber::util::SubscriberInitExt as _;
use volt_runtime::{
    ConnectOptions, Error, TransportKind,
    config::{RelayConfig, VoltConfig},
    connect,
    key::SigningKey,
};
use volt_test_support::{Captured, Note, soon};

use crate::{Notes, config, grpc, says, server::Server};

/// The error of connecting to a port without a server, which names the address.
async fn failure(config: &volt_runtime::ClientConfig, transport: TransportKind) -> Error {
    let mut options = ConnectOptions::default();
    options.transport = transport;
    soon(connect(config, options)).await.unwrap_err()
}

#[tokio::test]
async fn the_configuration_decides_unless_a_transport_is_named() {
    use TransportKind::{Automatic, Grpc, Websocket};
    let mut only = config("127.0.0.1:1");
    let key = only.signing_key().unwrap().verifying_key().to_pem();
    only.volt.public_key = Some(key);
    let mut both = only.clone();
    both.volt.http_address = Some("http://127.0.0.1:2".to_owned());
    let mut relayed = only.clone();
    relayed.volt.relay = Some(RelayConfig::Address("http://127.0.0.1:4".to_owned()));
    for (config, transport, url) in [
        (&only, Automatic, "https://127.0.0.1:1"),
        (&only, Grpc, "https://127.0.0.1:1"),
        (&only, Websocket, "ws://127.0.0.1:3/api"),
        (&both, Automatic, "ws://127.0.0.1:2/api"),
        (&both, Websocket, "ws://127.0.0.1:2/api"),
        (&both, Grpc, "https://127.0.0.1:1"),
        (&relayed, Automatic, "ws://127.0.0.1:4/api"),
    ] {
        let error = failure(config, transport).await;
        assert!(error.is_connection(), "{error}");
        says(&error, &[&format!("{url}: ")]);
    }
    let error = failure(&relayed, Grpc).await;
    assert!(error.is_configuration(), "{error}");
    says(&error, &["`volt.relay`", "`address`"]);
    let mut relay = VoltConfig::default();
    relay.address = Some("127.0.0.1:5".to_owned());
    relayed.volt.relay = Some(RelayConfig::Volt(Box::new(relay)));
    for (transport, url) in [
        (Automatic, "https://127.0.0.1:5"),
        (Grpc, "https://127.0.0.1:5"),
        (Websocket, "ws://127.0.0.1:7/api"),
    ] {
        says(&failure(&relayed, transport).await, &[&format!("{url}: ")]);
    }
}

#[tokio::test]
async fn the_log_names_the_chosen_transport() {
    let mut both = config("127.0.0.1:1");
    both.volt.public_key = Some(both.signing_key().unwrap().verifying_key().to_pem());
    both.volt.http_address = Some("http://127.0.0.1:2".to_owned());
    for (wanted, chosen, url) in [
        (TransportKind::Automatic, "websocket", "ws://127.0.0.1:2/api"),
        (TransportKind::Grpc, "gRPC", "https://127.0.0.1:1"),
    ] {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        // The subscriber applies to this thread, on which all tasks of the test run.
        let guard = subscriber.set_default();
        failure(&both, wanted).await;
        drop(guard);
        let log = captured.take();
        let line = log.lines().find(|line| line.contains("connecting")).expect("a line");
        let [chosen, url] =
            [("transport", chosen), ("url", url)].map(|(k, v)| format!("{k}={v:?}"));
        for part in [&chosen, &url, &format!("wanted={wanted:?}")] {
            assert!(line.contains(part) && line.contains("INFO"), "{part} is not in: {line}");
        }
    }
}

#[tokio::test]
async fn invalid_addresses_are_named() {
    for (address, text) in [
        ("", "`volt.address` is missing"),
        ("volt.example", "lacks a port"),
        ("[::1]", "lacks a port"),
        ("::1:8000", "without brackets"),
        ("volt.example:99999", "port `99999`"),
        ("volt.example:80/api", "is not `host:port`"),
        ("https://user@volt.example", "is not `host:port`"),
        ("ws://volt.example:80", "has a scheme other than"),
    ] {
        let error = failure(&config(address), TransportKind::Grpc).await;
        assert!(error.is_configuration(), "{error}");
        says(&error, &[text]);
    }
}

/// The legacy protocol exists only on the websocket.
#[tokio::test]
async fn an_rsa_key_means_the_websocket() {
    let rsa = SigningKey::generate_rsa().unwrap().to_pem().unwrap().to_string();
    let mut config = config("127.0.0.1:1").with_credential(rsa, Some("session".to_owned()));
    let key = config.signing_key().unwrap().verifying_key().to_pem();
    config.volt.public_key = Some(key);
    says(&failure(&config, TransportKind::Automatic).await, &["ws://127.0.0.1:3/api"]);
    let error = failure(&config, TransportKind::Grpc).await;
    assert!(error.is_configuration(), "{error}");
    says(&error, &["RSA", "Ed25519", "`TransportKind::Websocket`"]);
}

#[tokio::test]
async fn plaintext_to_a_public_address_is_refused() {
    let mut options = grpc();
    options.proxy = volt_runtime::Proxy::none();
    let error = soon(connect(&config("http://192.0.2.1:1"), options)).await.unwrap_err();
    assert!(error.is_configuration(), "{error}");
    says(&error, &["not on a private network", "`allow_plaintext`"]);
}

#[tokio::test]
async fn the_channel_shows_its_transport() {
    let server = Server::start(|mut call| async move { call.answer(&Note::default()) }).await;
    let client = Notes::connect(&server).await;
    let shown = format!("{:?}", client.0);
    assert!(shown.contains("gRPC") && !shown.contains("session"), "{shown}");
}
