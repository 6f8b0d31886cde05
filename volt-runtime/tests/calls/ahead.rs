//! Tokens that are valid for several calls, and pre-opened calls.

use std::{collections::HashMap, time::Duration};

use tokio::task::JoinHandle;
use volt_runtime::{
    __core::{
        call::{self, Incoming, Outgoing},
        crypto::CallKey,
        envelope::Envelope,
        frame::{Frame, FrameKind, KeyRequest},
    },
    ConnectOptions, ErrorKind,
};
use volt_test_support::{Note, soon};

use crate::{
    hostile_volt::RawVolt,
    support::{NotesClient, Volt, no_open_calls},
};

fn ahead(calls: usize) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.reconnect = None;
    options.preopened_calls = calls;
    options
}

/// A Volt with this number of pre-opened calls, and the calls' numbers and keys.
async fn keyed(calls: usize) -> (NotesClient, RawVolt, Vec<(u64, CallKey)>) {
    let (client, mut volt) = RawVolt::start_with(|options| *options = ahead(calls)).await;
    let mut open = Vec::new();
    for _ in 0..calls {
        open.push(exchange(&mut volt).await);
    }
    (client, volt, open)
}

async fn exchange(volt: &mut RawVolt) -> (u64, CallKey) {
    let opening = volt.frame().await;
    assert_eq!(opening.kind, FrameKind::KeyExchange);
    let (key, reply) = volt.reply(&opening);
    volt.send(reply).await;
    (opening.call, key)
}

async fn answer(volt: &mut RawVolt, call: u64, key: &CallKey) {
    let mut outgoing = Outgoing::server(call);
    volt.send(outgoing.message(key, &Note::new("answer", 1)).unwrap()).await;
    volt.send(outgoing.end(key, None).unwrap()).await;
}

/// Reads until a call is invoked, skipping the key exchanges of others.
async fn invoked(volt: &mut RawVolt, call: u64, key: &CallKey) {
    loop {
        let frame = volt.frame().await;
        if frame.call == call && matches!(opened(frame, key), Envelope::Invoke { .. }) {
            return;
        }
    }
}

fn opened(frame: Frame, key: &CallKey) -> Envelope {
    match call::open(key, frame.body).unwrap() {
        Incoming::Envelope(envelope) => envelope,
        other => panic!("{other:?}"),
    }
}

/// The Volt's first frame for the call is its invocation: one round trip.
#[tokio::test]
async fn a_preopened_call_is_invoked_at_once_and_replaced() {
    let (client, mut volt, open) = keyed(1).await;
    assert_eq!(client.0.open_calls(), 0, "no call was made");
    let get = tokio::spawn(client.get(Note::default()).into_future());
    let (call, key) = &open[0];
    let (mut invoked, mut ended, mut replaced) = (false, false, false);
    while !(invoked && ended && replaced) {
        let frame = volt.frame().await;
        if frame.kind == FrameKind::KeyExchange {
            assert_ne!(frame.call, *call);
            assert!(!replaced, "one for one");
            replaced = true;
            continue;
        }
        assert_eq!(frame.call, *call);
        match opened(frame, key) {
            Envelope::Invoke { method_name, .. } => {
                assert_eq!(method_name, "/test.Notes/Get");
                invoked = true;
            }
            Envelope::End(None) => ended = invoked,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(client.0.open_calls(), 1);
    answer(&mut volt, *call, key).await;
    assert_eq!(soon(get).await.unwrap().unwrap().text, "answer");
    assert_eq!(client.0.open_calls(), 0);
}

/// A pre-opened call that is taken before the Volt has replied completes when the reply arrives.
#[tokio::test]
async fn a_running_key_exchange_is_used() {
    let (client, mut volt) = RawVolt::start_with(|options| *options = ahead(1)).await;
    let opening = volt.frame().await;
    let get = tokio::spawn(client.get(Note::default()).into_future());
    while client.0.open_calls() == 0 {
        tokio::task::yield_now().await;
    }
    let (key, reply) = volt.reply(&opening);
    volt.send(reply).await;
    invoked(&mut volt, opening.call, &key).await;
    answer(&mut volt, opening.call, &key).await;
    assert_eq!(soon(get).await.unwrap().unwrap().text, "answer");
}

#[tokio::test]
async fn a_preopened_call_dropped_by_the_volt_is_not_used() {
    let (client, mut volt, open) = keyed(2).await;
    // One is rejected in clear text, one is ended with its key.
    volt.send(call::reject(open[0].0, "idle").unwrap()).await;
    volt.send(Outgoing::server(open[1].0).end(&open[1].1, None).unwrap()).await;
    // This call is answered after both have been read.
    let mut options = volt_runtime::CallOptions::default();
    options.fresh_key = true;
    let fresh = NotesClient(client.0.clone().with_defaults(options));
    let mut keys = HashMap::new();
    serve(&mut volt, &mut keys, tokio::spawn(fresh.get(Note::default()).into_future())).await;
    serve(&mut volt, &mut keys, tokio::spawn(client.get(Note::default()).into_future())).await;
    assert!(open.iter().all(|(dropped, _)| !keys.contains_key(dropped)));
}

/// Answers every key exchange and every invocation until a call has its answer. Fails on a frame of
/// a call whose keys were not exchanged here.
async fn serve(
    volt: &mut RawVolt,
    keys: &mut HashMap<u64, CallKey>,
    mut call: JoinHandle<volt_runtime::Result<Note>>,
) {
    loop {
        let frame = tokio::select! {
            answer = &mut call => break drop(answer.unwrap().unwrap()),
            frame = volt.frame() => frame,
        };
        let id = frame.call;
        if frame.kind == FrameKind::KeyExchange {
            let (key, reply) = volt.reply(&frame);
            volt.send(reply).await;
            keys.insert(id, key);
            continue;
        }
        let key = keys.get(&id).expect("a call that was dropped was used");
        if matches!(opened(frame, key), Envelope::Invoke { .. }) {
            answer(volt, id, key).await;
        }
    }
}

#[tokio::test]
async fn an_expired_preopened_call_is_cancelled_on_the_wire() {
    let mut options = ahead(1);
    options.preopened_max_age = Duration::from_millis(1);
    let (_client, mut volt) = RawVolt::start_with(|given| *given = options).await;
    let (call, key) = exchange(&mut volt).await;
    let frame = volt.frame().await;
    assert_eq!(frame.call, call);
    assert!(matches!(opened(frame, &key), Envelope::End(Some(_))));
}

#[tokio::test]
async fn preopened_calls_keep_all_guarantees() {
    let volt = Volt::start().await;
    let client = volt.client_with(|options| options.preopened_calls = 4).await;
    for number in 0..50 {
        assert_eq!(soon(client.get(Note::new("n", number))).await.unwrap().number, number);
    }
    // A dropped call is cancelled on the wire.
    let get = tokio::spawn(client.get(Note::new("wait", 0)).into_future());
    soon(volt.probe.running(1)).await;
    get.abort();
    soon(volt.probe.running(0)).await;
    no_open_calls(&client).await;
    // A deadline.
    let late = client.get(Note::new("wait", 0)).timeout(Duration::from_millis(5));
    assert_eq!(soon(late).await.unwrap_err().kind(), ErrorKind::Deadline);
    // The connection closes, and no call waits for a pre-opened one.
    soon(client.0.close()).await;
    assert_eq!(soon(client.get(Note::default())).await.unwrap_err().kind(), ErrorKind::Connection);
    assert_eq!(client.0.open_calls(), 0);
}

/// The key requests of two calls, as the Volt receives them.
async fn tokens(options: ConnectOptions, fresh: bool) -> [KeyRequest; 2] {
    let (client, mut volt) = RawVolt::start_with(|given| *given = options).await;
    let mut requests = Vec::new();
    for _ in 0..2 {
        let call = client.get(Note::default());
        let call = if fresh { call.fresh_key() } else { call };
        let get = tokio::spawn(call.into_future());
        let frame = volt.frame().await;
        requests.push(KeyRequest::decode(frame.body).unwrap());
        get.abort();
    }
    requests.try_into().unwrap()
}

#[tokio::test]
async fn calls_share_a_token_unless_fresh_keys_are_set() {
    let mut options = ahead(0);
    let [first, second] = tokens(options.clone(), false).await;
    assert_eq!(first, second);
    let [first, second] = tokens(options.clone(), true).await;
    assert_ne!(first.claims, second.claims);
    options.token_lifetime = Duration::ZERO;
    let [first, second] = tokens(options, false).await;
    assert_ne!(first.claims, second.claims);
}
