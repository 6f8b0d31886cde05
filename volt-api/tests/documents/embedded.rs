//! Documents on an embedded Volt, over its connections.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tempfile::tempdir;
use volt_api::{
    Client, Code, ConnectOptions, Reconnect, TransportKind,
    documents::{
        DocumentState, SyncedDocument, doc_with_guid,
        yrs::{
            Any, Array as _, Doc, GetString as _, Map as _, MapPrelim, Options, Out, ReadTxn as _,
            Snapshot, StateVector, Transact as _, Update, sync::Awareness, types::ToJson as _,
            updates::decoder::Decode as _,
        },
    },
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::{Network, soon};

use crate::support::{TRANSPORTS, read, until, write};

/// Options of a client that reconnects soon.
fn options(transport: TransportKind) -> ConnectOptions {
    let mut reconnect = Reconnect::default();
    reconnect.longest_delay = Duration::from_millis(50);
    let mut options = ConnectOptions::default();
    options.reconnect = Some(reconnect);
    options.transport = transport;
    options
}

async fn client(volt: &EmbeddedVolt, transport: TransportKind) -> Client {
    soon(Client::connect_with(volt.config(), options(transport))).await.unwrap()
}

/// Creates a network between a Volt and clients with this transport.
pub(crate) async fn network(volt: &EmbeddedVolt, transport: TransportKind) -> Network {
    let address = match transport {
        TransportKind::Grpc => volt.grpc_address().unwrap(),
        _ => volt.url().trim_start_matches("http://").parse().unwrap(),
    };
    Network::to(address).await
}

/// Returns a client whose connections can be cut.
pub(crate) async fn client_through(
    network: &Network,
    volt: &EmbeddedVolt,
    transport: TransportKind,
) -> Client {
    let mut config = volt.config();
    config.volt.address = Some(network.url().trim_start_matches("http://").to_owned());
    config.volt.http_address = Some(network.url());
    soon(Client::connect_with(config, options(transport))).await.unwrap()
}

/// Starts a Volt with a database for documents. Returns it with a client.
pub(crate) async fn start(transport: TransportKind) -> (EmbeddedVolt, Client) {
    let volt = EmbeddedVolt::start().await.unwrap();
    let client = client(&volt, transport).await;
    client.sync().ensure_sync_database("@notes").await.unwrap();
    (volt, client)
}

pub(crate) async fn attach(client: &Client, doc: &Doc) -> SyncedDocument {
    let document = client.sync().attach(doc, "@notes", "todo").await.unwrap();
    soon(document.synced()).await.unwrap();
    document
}

/// Returns the content of a document, and its state.
fn content(doc: &Doc) -> (String, Any, Any, Snapshot) {
    let (text, map) = (doc.get_or_insert_text("text"), doc.get_or_insert_map("map"));
    let list = doc.get_or_insert_array("list");
    let transaction = doc.transact();
    let text = text.get_string(&transaction);
    (text, map.to_json(&transaction), list.to_json(&transaction), transaction.snapshot())
}

#[tokio::test]
async fn documents_of_two_clients_are_equal() {
    let [websocket, grpc] = TRANSPORTS;
    for (first, second) in [(websocket, websocket), (grpc, grpc), (websocket, grpc)] {
        let (volt, client) = start(first).await;
        let other = self::client(&volt, second).await;
        let (one, two) = (doc_with_guid("todo"), doc_with_guid("todo"));
        let first = attach(&client, &one).await;
        let second = attach(&other, &two).await;
        for number in 0..20 {
            for (doc, name) in [(&one, "one"), (&two, "two")] {
                write(doc, &format!("{name} {number}, "));
                let (map, list) = (doc.get_or_insert_map("map"), doc.get_or_insert_array("list"));
                map.insert(&mut doc.transact_mut(), "last", format!("{name} {number}"));
                list.push_back(&mut doc.transact_mut(), number);
            }
        }
        soon(first.flush()).await.unwrap();
        soon(second.flush()).await.unwrap();
        until(|| content(&one) == content(&two)).await;
        let list = one.get_or_insert_array("list");
        assert_eq!(list.len(&one.transact()), 40);
        soon(first.stop()).await.unwrap();
        soon(second.stop()).await.unwrap();
        let three = Doc::new();
        let third = attach(&client, &three).await;
        assert_eq!(content(&three), content(&one));
        drop(third);
    }
}

/// Returns a document with three edits, and an update without the first of them.
fn with_a_lost_edit() -> (Doc, Vec<u8>) {
    let doc = Doc::new();
    let (list, map) = (doc.get_or_insert_array("list"), doc.get_or_insert_map("map"));
    map.insert(&mut doc.transact_mut(), "lost", 1);
    let state = doc.transact().state_vector();
    list.push_back(&mut doc.transact_mut(), Any::Buffer([0, 255, 7].as_slice().into()));
    map.insert(&mut doc.transact_mut(), "kept", 2);
    let later = doc.transact().encode_state_as_update_v2(&state);
    (doc, later)
}

pub(crate) fn apply(doc: &Doc, update: &[u8]) {
    doc.transact_mut().apply_update(Update::decode_v2(update).unwrap()).unwrap();
}

#[tokio::test]
async fn a_document_with_a_gap_reaches_others() {
    for attached_before in [false, true] {
        let (_volt, client) = start(TransportKind::Websocket).await;
        let (source, later) = with_a_lost_edit();
        let (one, two) = (Doc::new(), Doc::new());
        if !attached_before {
            apply(&one, &later);
        }
        let first = attach(&client, &one).await;
        if attached_before {
            apply(&one, &later);
        }
        soon(first.flush()).await.unwrap();
        let second = attach(&client, &two).await;
        assert_eq!(content(&two), content(&one));
        let list = two.get_or_insert_array("list");
        let binary = Out::Any(Any::Buffer([0, 255, 7].as_slice().into()));
        assert_eq!(list.get(&two.transact(), 0), Some(binary));
        let map = two.get_or_insert_map("map");
        assert!(map.contains_key(&two.transact(), "kept"));
        // The lost edit closes the gap everywhere.
        apply(&one, &source.transact().encode_state_as_update_v2(&StateVector::default()));
        until(|| map.contains_key(&two.transact(), "lost")).await;
        assert_eq!(content(&two), content(&source));
        soon(first.stop()).await.unwrap();
        soon(second.stop()).await.unwrap();
    }
}

#[tokio::test]
async fn a_document_that_the_volt_never_accepts_is_refused() {
    for transport in TRANSPORTS {
        let (_volt, client) = start(transport).await;
        let doc = Doc::new();
        let mut map = doc.get_or_insert_map("map");
        for _ in 0..300 {
            map = map.insert(&mut doc.transact_mut(), "child", MapPrelim::default());
        }
        let before = content(&doc);
        let document = client.sync().attach(&doc, "@notes", "todo").await.unwrap();
        let error = soon(document.synced()).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
        assert!(error.to_string().contains("nested too deep"), "{error}");
        assert!(matches!(document.state(), DocumentState::Refused { .. }));
        assert_eq!(content(&doc), before);
    }
}

#[tokio::test]
async fn a_document_within_itself_is_attached_once() {
    let (_volt, client) = start(TransportKind::Websocket).await;
    let guid = "5d5a5d0e-circle";
    // It contains itself, and loads itself.
    let source = doc_with_guid(guid);
    let map = source.get_or_insert_map("map");
    let options = Options { guid: guid.into(), auto_load: true, ..Options::default() };
    map.insert(&mut source.transact_mut(), "self", Doc::with_options(options));
    let writer = client.sync().attach(&source, "@notes", guid).await.unwrap();
    soon(writer.flush()).await.unwrap();
    let doc = doc_with_guid(guid);
    let attaching = client.sync().attach(&doc, "@notes", guid).subdocuments(true);
    let document = attaching.await.unwrap();
    soon(document.synced()).await.unwrap();
    soon(document.flush()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(document.subdocuments().is_empty());
    soon(document.stop()).await.unwrap();
}

#[tokio::test]
async fn a_document_of_several_mebibytes_reaches_others() {
    for transport in TRANSPORTS {
        let (_volt, client) = start(transport).await;
        let (one, two) = (Doc::new(), Doc::new());
        write(&one, &"0123456789abcdef".repeat(7 << 15));
        let first = attach(&client, &one).await;
        let second = attach(&client, &two).await;
        assert!(read(&two) == read(&one));
        drop((first, second));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_lose_no_edit() {
    for transport in TRANSPORTS {
        let (volt, owner) = start(transport).await;
        let network = network(&volt, transport).await;
        let cut = network.cutter();
        let docs = [Doc::new(), Doc::new(), Doc::new()];
        let mut documents = Vec::new();
        for doc in &docs {
            let client = client_through(&network, &volt, transport).await;
            documents.push((attach(&client, doc).await, client));
        }
        for number in 0..60_u32 {
            for (place, doc) in docs.iter().enumerate() {
                let list = doc.get_or_insert_array("list");
                list.push_back(&mut doc.transact_mut(), format!("{place} {number}"));
            }
            if number % 20 == 10 {
                cut();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for (document, _) in &documents {
            soon(document.flush()).await.unwrap();
        }
        let all = Doc::new();
        let reader = attach(&owner, &all).await;
        let list = all.get_or_insert_array("list");
        assert_eq!(list.len(&all.transact()), 180);
        until(|| docs.iter().all(|doc| content(doc) == content(&all))).await;
        drop(reader);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_volt_receives_the_edits_made_meanwhile() {
    for transport in TRANSPORTS {
        let folder = tempdir().unwrap();
        let volt = EmbeddedVolt::builder().data_dir(folder.path()).start().await.unwrap();
        let address = volt.url().trim_start_matches("http://").parse().unwrap();
        let grpc = volt.grpc_address().unwrap();
        let client = client(&volt, transport).await;
        client.sync().ensure_sync_database("@notes").await.unwrap();
        let doc = Doc::new();
        let document = attach(&client, &doc).await;
        write(&doc, "before, ");
        soon(document.flush()).await.unwrap();
        drop(volt);
        write(&doc, "meanwhile, ");
        let builder = EmbeddedVolt::builder().data_dir(folder.path()).listen(address).grpc(grpc);
        let _volt = soon(async {
            loop {
                if let Ok(volt) = builder.clone().start().await {
                    break volt;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        write(&doc, "after");
        soon(document.flush()).await.unwrap();
        let other = Doc::new();
        let reader = attach(&client, &other).await;
        assert_eq!(read(&other), "before, meanwhile, after");
        drop(reader);
    }
}

#[tokio::test]
async fn awareness_reaches_others_until_its_client_leaves() {
    for transport in TRANSPORTS {
        let (_volt, client) = start(transport).await;
        let mut people = Vec::new();
        for id in [1, 2] {
            let doc = Doc::with_client_id(id);
            let awareness = Arc::new(Mutex::new(Awareness::new(doc.clone())));
            awareness.lock().unwrap().set_local_state_raw(format!("{id}"));
            let attaching = client.sync().attach(&doc, "@notes", "todo");
            let document = attaching.awareness(Arc::clone(&awareness)).await.unwrap();
            soon(document.synced()).await.unwrap();
            people.push((document, awareness));
        }
        let count = |awareness: &Mutex<Awareness>| {
            awareness.lock().unwrap().iter().filter(|(_, state)| state.data.is_some()).count()
        };
        until(|| people.iter().all(|(_, awareness)| count(awareness) == 2)).await;
        let (document, _) = people.pop().unwrap();
        soon(document.stop()).await.unwrap();
        until(|| count(&people[0].1) == 1).await;
    }
}

#[tokio::test]
async fn an_unknown_database_is_refused() {
    for transport in TRANSPORTS {
        let (_volt, client) = start(transport).await;
        let document = client.sync().attach(&Doc::new(), "@nothing", "todo").await.unwrap();
        let error = soon(document.synced()).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound, "{error}");
    }
}

#[tokio::test]
async fn a_closed_client_ends_the_synchronization() {
    for transport in TRANSPORTS {
        let (_volt, client) = start(transport).await;
        let document = attach(&client, &Doc::new()).await;
        let mut states = document.watch_state();
        client.close().await;
        soon(async { while states.changed().await.is_some() {} }).await;
        assert!(matches!(states.current(), DocumentState::Disconnected { .. }));
        assert!(soon(document.synced()).await.is_err());
    }
}
