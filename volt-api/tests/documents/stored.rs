//! Paths, blobs and versions, on an embedded Volt.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{sleep, timeout};
use volt_api::{
    Client, TransportKind,
    documents::yrs::{Doc, Map as _, Transact as _},
    synapses::{PathChange, PathEvent, PathWatch},
    volt::{Resource, SaveSynapseRequest, SynapsePathUpdateType},
};
use volt_test_support::soon;

use crate::{
    embedded::{apply, attach, client_through, network, start},
    support::{TRANSPORTS, read, until, write},
};

const NORTH: &str = "$.beds.north";

async fn watch(client: &Client) -> PathWatch<u32> {
    soon(client.sync().watch_path("@notes", "todo", ["$.beds.*"])).await.unwrap()
}

async fn next(watch: &mut PathWatch<u32>) -> PathChange<u32> {
    soon(watch.change()).await.unwrap().unwrap()
}

#[tokio::test]
async fn written_values_reach_a_watch_and_the_document() {
    for transport in TRANSPORTS {
        let (_volt, client) = start(transport).await;
        let sync = client.sync();
        let mut watch = watch(&client).await;
        // Nothing confirms a watch, so values are written until one arrives.
        let mut number = 0;
        soon(async {
            loop {
                number += 1;
                sync.write_path("@notes", "todo", NORTH, &number).await.unwrap();
                if let Ok(change) = timeout(Duration::from_millis(50), watch.change()).await {
                    break change.unwrap().unwrap();
                }
            }
        })
        .await;
        sync.write_path("@notes", "todo", NORTH, &1000).await.unwrap();
        let last = loop {
            let change = next(&mut watch).await;
            if change.value == Some(1000) {
                break change;
            }
        };
        assert!(last.previous.is_some_and(|previous| previous <= number));
        assert_eq!((&*last.watched, &*last.path, last.part), ("$.beds.*", NORTH, (0, 1)));
        assert_eq!(last.kind, SynapsePathUpdateType::Update);

        let beds = BTreeMap::from([("south", 7)]);
        sync.write_path("@notes", "todo", "$.beds", &beds).await.unwrap();
        let (removed, added) = (next(&mut watch).await, next(&mut watch).await);
        assert_eq!((&*removed.path, removed.part), (NORTH, (0, 2)));
        assert_eq!((removed.value, removed.previous), (None, Some(1000)));
        assert_eq!((&*added.path, added.part), ("$.beds.south", (1, 2)));
        assert_eq!((added.value, added.previous), (Some(7), None));

        let doc = Doc::new();
        let document = attach(&client, &doc).await;
        let beds = doc.get_or_insert_map("beds");
        let transaction = doc.transact();
        assert_eq!(beds.len(&transaction), 1);
        assert_eq!(beds.get(&transaction, "south").unwrap().to_string(&transaction), "7");
        drop(transaction);
        drop(document);
    }
}

#[tokio::test]
async fn a_watch_reports_a_gap_after_a_lost_connection() {
    for transport in TRANSPORTS {
        let (volt, owner) = start(transport).await;
        let network = network(&volt, transport).await;
        let client = client_through(&network, &volt, transport).await;
        let mut watch = watch(&client).await;
        let writer = tokio::spawn(async move {
            for number in 0.. {
                owner.sync().write_path("@notes", "todo", NORTH, &number).await.unwrap();
                sleep(Duration::from_millis(5)).await;
            }
        });
        let before = next(&mut watch).await.value;
        network.cutter()();
        while soon(watch.event()).await.unwrap().unwrap() != PathEvent::Gap {}
        assert!(next(&mut watch).await.value > before);
        writer.abort();
    }
}

#[tokio::test]
async fn versions_are_kept_listed_and_read() {
    let (_volt, client) = start(TransportKind::Websocket).await;
    let sync = client.sync();
    let doc = Doc::new();
    let document = attach(&client, &doc).await;
    write(&doc, "first");
    soon(document.flush()).await.unwrap();
    let version = sync.create_version("@notes", "todo").label("one").await.unwrap();
    write(&doc, " and second");
    soon(document.flush()).await.unwrap();
    let versions = sync.versions("@notes", "todo").await.unwrap();
    assert!(versions.iter().any(|one| one.version_id == version && one.label == "one"));
    let kept = sync.version("@notes", "todo", &version).await.unwrap();
    assert_eq!((&*kept.info.version_id, &*kept.info.label), (&*version, "one"));
    let copy = Doc::new();
    apply(&copy, &kept.update);
    assert_eq!(read(&copy), "first");
    // Clients that have the document open receive the change.
    sync.revert_version("@notes", "todo", version).await.unwrap();
    until(|| read(&doc) == "first").await;
}

#[tokio::test]
async fn blobs_of_a_synapse_are_read_back() {
    for transport in TRANSPORTS {
        let (_volt, client) = start(transport).await;
        let resource = Resource::default().with_name("garden").with_alias(["garden"]);
        let request = SaveSynapseRequest::default().with_resource(resource).with_create(true);
        client.sync().save_synapse(request).await.unwrap();
        let content = b"0123456789abcdef".repeat(100_000);
        let put = client.sync().put_blob("@garden").from_bytes(content.clone());
        let blob = soon(put).await.unwrap();
        assert!(client.sync().has_blob("@garden", &blob.hash).await.unwrap());
        assert!(soon(client.sync().get_blob("@garden", &blob.hash)).await.unwrap() == content);
    }
}
