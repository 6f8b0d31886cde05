//! Properties specific to the legacy protocol. What it shares with the current protocol is tested
//! there.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::{client_async, tungstenite::Message};
use volt_runtime::{ConnectOptions, Error, ErrorKind, Executed, connect, key::SigningKey};
use volt_test_support::{Note, soon};

use crate::support::{NotesClient, Volt, no_open_calls};

async fn call(config: &volt_runtime::ClientConfig) -> Result<Note, Error> {
    let client = NotesClient(soon(connect(config, ConnectOptions::default())).await?);
    soon(client.get(Note::new("x", 1))).await
}

#[tokio::test]
async fn dropped_calls_end_at_the_volt_and_leave_nothing_behind() {
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
async fn who_is_not_known_or_uses_another_volts_key_is_turned_away() {
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
async fn a_volt_without_an_rsa_key_says_so() {
    let (legacy, modern) = (Volt::start_legacy().await, Volt::start().await);
    let mut config = legacy.config.clone();
    config.volt.http_address = modern.config.volt.http_address.clone();
    let message = call(&config).await.unwrap_err().to_string();
    assert!(message.contains("the legacy protocol is not spoken here"), "{message}");
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
async fn what_a_hostile_client_sends_harms_its_call_or_its_connection() {
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
