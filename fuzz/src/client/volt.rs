//! The keys of both ends, and the Volt's key exchange replies: created once, because they are slow.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use volt_runtime::{
    __core::{
        ClientConnection,
        crypto::{CallKey, Ephemeral},
        frame::Frame,
        handshake::ServerHandshake,
    },
    ClientConfig, ConnectOptions,
    key::SigningKey,
};

/// The state that all inputs share.
pub(super) struct Fixed {
    volt: SigningKey,
    /// Its keys and tokens are used for all inputs.
    pub(super) end: ClientConnection,
}

pub(super) static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let (volt, client) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let config = ClientConfig::new("volt", "http://127.0.0.1", volt.verifying_key().to_pem())
        .with_credential(client.to_pem().unwrap().as_str(), Some("session".into()));
    let end = ClientConnection::new(&config, &ConnectOptions::default()).unwrap();
    Fixed { volt, end }
});

/// The Volt's replies to the key exchanges of one token: all inputs use them for as long as the
/// client uses that token. Each reply has a different key.
#[derive(Default)]
struct Replies {
    request: Bytes,
    made: BTreeMap<u64, (Arc<CallKey>, Vec<u8>)>,
}

thread_local! {
    static REPLIES: RefCell<Replies> = RefCell::default();
}

/// The Volt's key and its reply to a key exchange.
pub(super) fn reply(exchange: &Frame) -> (Arc<CallKey>, Vec<u8>) {
    REPLIES.with_borrow_mut(|replies| {
        if replies.request != exchange.body {
            *replies = Replies { request: exchange.body.clone(), ..Replies::default() };
        }
        let make = || {
            let opened = ServerHandshake::accept(exchange).unwrap();
            let ephemeral = Ephemeral::generate().unwrap();
            let (key, reply) = opened.reply(exchange.call, &FIXED.volt, &ephemeral).unwrap();
            (Arc::new(key), reply)
        };
        replies.made.entry(exchange.call).or_insert_with(make).clone()
    })
}
