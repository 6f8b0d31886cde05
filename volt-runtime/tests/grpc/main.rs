//! The gRPC client, against a server whose answers each test writes itself.

#![allow(clippy::unwrap_used)]

mod answers;
#[expect(dead_code, reason = "some of it serves only the tests of the websocket")]
#[path = "../calls/tls/authority.rs"]
mod authority;
mod choice;
mod connections;
mod faults;
mod kinds;
mod relay;
mod requests;
mod server;
mod servers;
#[expect(dead_code, reason = "some of it serves only the tests of the websocket")]
#[path = "../calls/support.rs"]
mod support;
mod tls;

use volt_runtime::{
    BidiCall, CallOptions, Channel, ClientConfig, ClientStreamingCall, ConnectOptions, Error,
    Method, MethodKind, ServerStreamingCall, TransportKind, UnaryCall, connect, key::SigningKey,
};
use volt_test_support::{Note, soon};

use crate::server::Server;

static METHODS: [Method; 4] = [
    Method { path: "/test.Notes/Get", kind: MethodKind::Unary },
    Method { path: "/test.Notes/List", kind: MethodKind::ServerStreaming },
    Method { path: "/test.Notes/Sum", kind: MethodKind::ClientStreaming },
    Method { path: "/test.Notes/Echo", kind: MethodKind::Bidi },
];

/// The client, as the generator would write it.
#[derive(Clone)]
struct Notes(Channel);

impl Notes {
    async fn connect(server: &Server) -> Self {
        Self::connect_with(server, grpc()).await
    }

    async fn connect_with(server: &Server, options: ConnectOptions) -> Self {
        Self(soon(connect(&config(&server.address()), options)).await.unwrap())
    }

    fn get(&self, text: &str) -> UnaryCall<Note, Note> {
        UnaryCall::new(&self.0, &METHODS[0], Note::new(text, 1))
    }

    fn list(&self, text: &str) -> ServerStreamingCall<Note, Note> {
        ServerStreamingCall::new(&self.0, &METHODS[1], Note::new(text, 1))
    }

    fn sum(&self) -> ClientStreamingCall<Note, Note> {
        ClientStreamingCall::new(&self.0, &METHODS[2])
    }

    fn echo(&self) -> BidiCall<Note, Note> {
        BidiCall::new(&self.0, &METHODS[3])
    }
}

/// A configuration with a session and a gRPC address.
fn config(address: &str) -> ClientConfig {
    let key = SigningKey::generate().unwrap().to_pem().unwrap().to_string();
    let mut config = ClientConfig::default().with_credential(key, Some("session".to_owned()));
    config.volt.id = Some("did:volt:test".to_owned());
    config.volt.address = Some(address.to_owned());
    config
}

/// Options that name gRPC, for addresses with a scheme.
fn grpc() -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.transport = TransportKind::Grpc;
    options
}

/// The channel, with calls that are not retried.
fn once(channel: &Channel) -> Channel {
    let mut options = CallOptions::default();
    options.max_attempts = 1;
    channel.clone().with_defaults(options)
}

/// Checks that an error contains these texts.
#[track_caller]
fn says(error: &Error, all: &[&str]) {
    let text = format!("{error:#}");
    for part in all {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}
