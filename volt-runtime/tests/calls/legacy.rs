//! Properties specific to the legacy protocol. Properties shared with the current protocol are tested
//! there.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::{client_async, tungstenite::Message};
use volt_runtime::{
    __core::{
        call::Outgoing,
        handshake::{Route, Via},
        legacy::{self, Opening},
    },
    ConnectOptions, Error, ErrorKind, Executed, connect,
    key::SigningKey,
    server::{Router, ServerOptions, ServiceHost, serve},
};
use volt_test_support::{Anyone, Note, soon};

use crate::{
    hostile::now,
    support::{NotesClient, VOLT_ID, Volt, no_open_calls},
};

async fn call(config: &volt_runtime::ClientConfig) -> Result<Note, Error> {
    let client = NotesClient(soon(connect(config, ConnectOptions::default())).await?);
    soon(client.get(Note::new("x", 1))).await
}

#[tokio::test]
async fn dropped_calls_end_at_the_volt_without_leaks() {
    let volt = Volt::start_legacy().await;
    let client = volt.client().await;
    let mut echo = client.echo().await.unwrap();
    echo.send(Note::new("a", 1)).await.unwrap();
    soon(volt.probe.running(1)).await;
    drop(echo);
    soon(volt.probe.running(0)).await;
    no_open_calls(&client).await;
}

#[tokio::test]
async fn a_volt_that_dies_is_an_error() {
    let volt = Volt::start_legacy().await;
    let client = volt.client().await;
    let mut echo = client.echo().await.unwrap();
    echo.send(Note::new("a", 1)).await.unwrap();
    assert!(soon(echo.message()).await.unwrap().is_some());
    drop(volt);
    assert_eq!(soon(echo.message()).await.unwrap_err().kind(), ErrorKind::Connection);
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let volt = Volt::start_legacy().await;
    let client = volt.client().await;
    let calls = (0..100).map(|number| client.get(Note::new("n", number)).into_future());
    let answers = soon(futures_util::future::join_all(calls)).await;
    for (number, answer) in (0..).zip(answers) {
        assert_eq!(answer.unwrap().number, number);
    }
    no_open_calls(&client).await;
}

#[tokio::test]
async fn unknown_clients_and_wrong_volt_keys_are_rejected() {
    let volt = Volt::start_legacy().await;
    let other = SigningKey::generate_rsa().unwrap();
    let stranger = volt.config.clone().with_credential(other.to_pem().unwrap().as_str(), None);
    let error = call(&stranger).await.unwrap_err();
    // The request was sent with the token, so the client cannot know whether it was executed.
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Routing, Executed::Maybe));

    let mut misled = volt.config.clone();
    misled.volt.public_key = Some(other.verifying_key().to_pem());
    assert_eq!(call(&misled).await.unwrap_err().kind(), ErrorKind::Routing);
}

#[tokio::test]
async fn a_volt_without_an_rsa_key_reports_it() {
    let (legacy, modern) = (Volt::start_legacy().await, Volt::start().await);
    let mut config = legacy.config.clone();
    config.volt.http_address = modern.config.volt.http_address.clone();
    let message = call(&config).await.unwrap_err().to_string();
    assert!(message.contains("the legacy protocol is not supported here"), "{message}");
}

#[tokio::test]
async fn both_keys_must_be_of_one_kind() {
    let (legacy, modern) = (Volt::start_legacy().await, Volt::start().await);
    let mut config = legacy.config.clone();
    config.volt.public_key = modern.config.volt.public_key.clone();
    let error = call(&config).await.unwrap_err();
    assert!(error.is_configuration());
    assert!(
        error.to_string().contains("is an RSA key and the Volt's is an Ed25519 key"),
        "{error}"
    );
}

#[tokio::test]
async fn hostile_input_harms_only_its_call_or_connection() {
    let volt = Volt::start_legacy().await;
    let address = volt.server.local_addr();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, _) = client_async(format!("ws://{address}/api"), stream).await.unwrap();
    // For a call that was never opened: ignored. With an invalid token: rejected.
    for message in [
        r#"{"id": 1, "json_payload": "AAAA"}"#,
        r#"{"id": 3, "token": "e30.e30.e30", "json_payload": ""}"#,
    ] {
        socket.send(Message::text(message)).await.unwrap();
    }
    let Some(Ok(Message::Text(answer))) = soon(socket.next()).await else { panic!("no answer") };
    assert!(answer.contains(r#""invoke_id":"3""#) && answer.contains("error"), "{answer}");
    // The frame cannot be attributed to a call, so the connection ends.
    socket.send(Message::text("{}")).await.unwrap();
    assert!(!matches!(soon(socket.next()).await, Some(Ok(Message::Text(_)))));
    let client = volt.client().await;
    soon(client.get(Note::new("still here", 1))).await.unwrap();
}

/// The first message of a unary call.
fn recorded(volt: &Volt) -> String {
    let signer = volt.config.volt_key().unwrap();
    let route = Route { audience: VOLT_ID.to_owned(), signer, via: Via::default() };
    let key = volt.config.signing_key().unwrap();
    let (call_key, opening): (_, Opening) = legacy::open(&route, Vec::new(), &key, now()).unwrap();
    let mut outgoing = Outgoing::legacy_client(1, "/test.Notes/Get", None, opening);
    String::from_utf8(outgoing.message(&call_key, &Note::new("x", 1)).unwrap()).unwrap()
}

/// The server's answer to a message on a new connection.
async fn answer(volt: &Volt, message: &str) -> String {
    let address = volt.server.local_addr();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, _) = client_async(format!("ws://{address}/api"), stream).await.unwrap();
    socket.send(Message::text(message)).await.unwrap();
    match soon(socket.next()).await {
        Some(Ok(Message::Text(answer))) => answer.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_recorded_call_is_not_executed_again() {
    let volt = Volt::start_legacy().await;
    let message = recorded(&volt);
    let first = answer(&volt, &message).await;
    assert!(first.contains("json_payload"), "{first}");
    for number in [1, 2] {
        let again = message.replace("\"id\":1", &format!("\"id\":{number}"));
        let again = answer(&volt, &again).await;
        assert!(again.contains("has been made before"), "{again}");
    }
}

#[tokio::test]
async fn an_unverified_legacy_call_is_rejected_before_decryption() {
    let mut volt = Volt::start_legacy().await;
    let other = SigningKey::generate_rsa().unwrap();
    let id = SigningKey::generate().unwrap();
    let host = ServiceHost::new(VOLT_ID, id, Router::new(), Anyone)
        .with_legacy(std::sync::Arc::new(std::sync::OnceLock::from(other)), Router::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    volt.server = serve(listener, host).unwrap();
    // Its key is for another server, so opening it would fail with another reason.
    let answer = answer(&volt, &recorded(&volt)).await;
    assert!(answer.contains("a token signed by a known key"), "{answer}");
}

#[tokio::test]
async fn a_host_may_turn_the_legacy_protocol_off() {
    let mut options = ServerOptions::default();
    options.legacy = false;
    let volt = Volt::start_legacy_with(options).await;
    let answer = answer(&volt, &recorded(&volt)).await;
    assert!(answer.contains("the legacy protocol is not supported here"), "{answer}");
}
