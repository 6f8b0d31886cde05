//! TLS: the servers that clients trust, the clients that servers accept, and the errors.

pub(crate) mod authority;
mod clients;
mod constraints;
mod handshakes;
mod plaintext;
mod platform;
mod servers;

use volt_runtime::{
    ClientConfig, ConnectOptions, Error, Executed, connect,
    server::{ServerTls, serve_tls},
};
use volt_test_support::{Note, soon};

use self::authority::Authority;
use crate::support::{NotesClient, Parts, Volt};

/// A Volt that speaks TLS at a host's address, and a client that knows its authority.
pub(crate) async fn start(authority: &Authority, tls: ServerTls, host: &str) -> Volt {
    with(authority, Parts::new(|endpoint| endpoint), tls, host).await
}

async fn with(authority: &Authority, parts: Parts, tls: ServerTls, host: &str) -> Volt {
    let mut volt = parts
        .serve_by("https", host, 0, |listener, endpoint| serve_tls(listener, tls, endpoint))
        .await;
    volt.config.volt.ca_pem = Some(authority.pem());
    volt
}

/// Makes a unary call, and one with many messages both ways.
async fn works(config: &ClientConfig) {
    let client = NotesClient(soon(connect(config, ConnectOptions::default())).await.unwrap());
    let note = soon(client.get(Note::new("one", 1))).await.unwrap();
    assert_eq!(note, Note::new("one", 1));
    // Larger than a TLS record, and than the TLS buffers.
    let long = "x".repeat(200_000);
    let mut echo = client.echo().await.unwrap();
    for number in 0..10 {
        echo.send(Note::new(&long, number)).await.unwrap();
    }
    echo.half_close();
    for number in 0..10 {
        assert_eq!(soon(echo.message()).await.unwrap().unwrap(), Note::new(&long, number));
    }
    assert_eq!(soon(echo.message()).await.unwrap(), None);
    soon(client.0.close()).await;
}

/// The error of a client that cannot connect. Nothing can have been executed.
async fn failure(config: &ClientConfig) -> Error {
    let error = soon(connect(config, ConnectOptions::default())).await.unwrap_err();
    assert_eq!(error.executed(), Executed::No, "{error}");
    error
}

/// Checks that an error contains these texts.
#[track_caller]
fn says(error: &Error, all: &[&str]) {
    let text = error.to_string();
    for part in all {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}
