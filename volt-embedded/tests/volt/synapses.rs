//! Synapses: schemas, paths, states and versions.

use std::time::Duration;

use futures_util::FutureExt as _;
use volt_api::{
    Client, Code, Error,
    volt::{
        CreateSynapseConnectionRequest, CreateSyncDocumentVersionRequest,
        DeleteSynapseConnectionRequest, DeleteSynapseDocumentMetadataRequest, GetResourceRequest,
        GetSynapseDocumentStateRequest, GetSyncDocumentVersionRequest,
        ListSyncDocumentVersionsRequest, Resource, RevertSyncDocumentVersionRequest,
        SetSynapseDocumentMetadataRequest, SynapseDocumentMetadata, SynapseDocumentState as State,
        SynapsePathUpdateType as Kind, WatchSynapseDocumentStateRequest,
        WatchSynapseDocumentStateStart, WatchSynapsePathRequest, WatchSynapsePathStart,
        WatchSynapsePathUpdate, WriteSynapsePathRequest,
        watch_synapse_document_state_response::Result as StateResult,
        watch_synapse_path_response::Result as PathResult,
    },
};
use volt_test_support::soon;
use yrs::{
    Array as _, Doc, GetString as _, Map as _, Text as _, Transact as _, types::ToJson as _,
};

use crate::{
    blobs::{HELLO, put, synapse},
    documents::{Editor, sync_database},
    support::{code, guest, permit, start},
};

fn root(name: &str, kind: &str, schema: &str) -> SynapseDocumentMetadata {
    SynapseDocumentMetadata::default().with_name(name).with_type(kind).with_json_schema(schema)
}

fn metadata(
    synapse: &str,
    roots: impl IntoIterator<Item = SynapseDocumentMetadata>,
) -> SetSynapseDocumentMetadataRequest {
    SetSynapseDocumentMetadataRequest::default()
        .with_synapse_id(synapse)
        .with_document_id("doc")
        .with_metadata(roots)
}

async fn describe(client: &Client, request: SetSynapseDocumentMetadataRequest) {
    client.sync().set_synapse_document_metadata(request).await.unwrap();
}

async fn write(client: &Client, synapse: &str, path: &str, json: &str) -> Result<(), Error> {
    let request = WriteSynapsePathRequest::default()
        .with_synapse_id(synapse)
        .with_document_id("doc")
        .with_path(path)
        .with_json(json);
    client.sync().write_synapse_path(request).await.map(drop)
}

/// Returns the document as JSON.
async fn read(client: &Client, database: &str) -> serde_json::Value {
    let editor = Editor::open(client, database, "doc").await;
    let map = editor.doc.get_or_insert_map("data");
    serde_json::to_value(map.to_json(&editor.doc.transact())).unwrap()
}

#[tokio::test]
async fn changes_that_do_not_fit_the_schema_are_refused() {
    let (_volt, client) = start().await;
    let id = synapse(&client).await;
    // The document has no description, so writes are refused.
    assert_eq!(code(write(&client, &id, "$.data.n", "1").await), Code::FailedPrecondition);
    let schema = r#"{"properties": {"n": {"type": "integer", "maximum": 9}}}"#;
    describe(&client, metadata(&id, [root("data", "map", schema)])).await;
    write(&client, &id, "$.data.n", "1").await.unwrap();
    for (path, json) in [("$.data.n", "10"), ("$.data.n", "\"a\""), ("$.other.n", "1")] {
        let refused = code(write(&client, &id, path, json).await);
        assert_eq!(refused, Code::FailedPrecondition, "{path} {json}");
    }
    // The same holds for changes of copies, and others do not see them.
    let mut good = Editor::open(&client, &id, "doc").await;
    let mut bad = Editor::open(&client, &id, "doc").await;
    let map = bad.doc.get_or_insert_map("data");
    map.insert(&mut bad.doc.transact_mut(), "n", 10.0);
    bad.flush().await;
    assert_eq!(code(bad.next().await), Code::FailedPrecondition);
    write(&client, &id, "$.data.n", "2").await.unwrap();
    let message = good.next().await.unwrap();
    good.take(message);
    let map = good.doc.get_or_insert_map("data");
    let n = map.get(&good.doc.transact(), "n").unwrap();
    assert_eq!(n.to_string(&good.doc.transact()), "2");
    // A root without a schema refuses changes again after the description is removed.
    let request = DeleteSynapseDocumentMetadataRequest::default()
        .with_synapse_id(&id)
        .with_document_id("doc");
    client.sync().delete_synapse_document_metadata(request.clone()).await.unwrap();
    assert_eq!(code(write(&client, &id, "$.data.n", "3").await), Code::FailedPrecondition);
    let again = client.sync().delete_synapse_document_metadata(request).await;
    assert_eq!(code(again), Code::NotFound);
}

#[tokio::test]
async fn descriptions_are_checked_and_replaced_as_a_whole() {
    let (volt, client) = start().await;
    let id = synapse(&client).await;
    for wrong in [
        metadata(&id, [root("data", "tree", "")]),
        metadata(&id, [root("data", "map", "{")]),
        metadata(&id, [root("data", "map", r#"{"pattern": "a"}"#)]),
        metadata(&id, [root("data", "map", ""), root("data", "map", "")]),
        metadata(&id, [root("data", "map", "")]).with_json("[]"),
        metadata(&id, [root("data", "map", "")]).with_json("{"),
        metadata(&id, [root("data", "map", "")]).with_blob_hash("short"),
    ] {
        let outcome = client.sync().set_synapse_document_metadata(wrong).await;
        assert_eq!(code(outcome), Code::InvalidArgument);
    }
    let request = metadata(&id, [root("data", "map", r#"{"required": ["a"]}"#)]);
    let unfit = client
        .sync()
        .set_synapse_document_metadata(request.clone().with_json(r#"{"data": {"b": 1}}"#));
    assert_eq!(code(unfit.await), Code::FailedPrecondition);
    let initial = r#"{"data": {"a": {"b": [1, "x", null]}}}"#;
    describe(&client, request.with_json(initial)).await;
    let expected = serde_json::json!({"a": {"b": [1, "x", null]}});
    assert_eq!(read(&client, &id).await, expected);
    // The content applies only to a new document.
    describe(&client, metadata(&id, [root("other", "map", "")]).with_json(initial)).await;
    assert_eq!(read(&client, &id).await, expected);
    assert_eq!(code(write(&client, &id, "$.data.a", "1").await), Code::FailedPrecondition);
    // The right to change documents does not include their schemas.
    let (other, identity) = guest(&volt).await;
    permit(&client, &id, &identity, "volt:database-write").await;
    write(&other, &id, "$.other.a", "1").await.unwrap();
    let outcome = other.sync().set_synapse_document_metadata(metadata(&id, [])).await;
    assert_eq!(code(outcome), Code::PermissionDenied);
}

#[tokio::test]
async fn values_are_written_at_paths() {
    let (volt, client) = start().await;
    let id = sync_database(&client).await;
    for (path, json) in [
        ("$.data.a", "1"),
        ("$.data.list", "[1, 2]"),
        ("$.data.list[2]", "{\"x\": 1}"),
        ("$.data.list[2].x", "2"),
        ("$.data['new one'].deep", "true"),
        ("$.data.a", "{\"now\": \"an object\"}"),
    ] {
        write(&client, &id, path, json).await.unwrap();
    }
    let expected = serde_json::json!({
        "a": {"now": "an object"},
        "list": [1, 2, {"x": 2}],
        "new one": {"deep": true},
    });
    assert_eq!(read(&client, &id).await, expected);
    // A whole root, where only the differences change.
    write(&client, &id, "$.data", r#"{"list": [1, 3, {"x": 2}]}"#).await.unwrap();
    assert_eq!(read(&client, &id).await, serde_json::json!({"list": [1, 3, {"x": 2}]}));
    write(&client, &id, "$.text", "\"hello\"").await.unwrap();
    write(&client, &id, "$.text", "\"help\"").await.unwrap();
    assert_eq!(Editor::open(&client, &id, "doc").await.text(), "help");
    for (path, json, expected) in [
        ("$.data.*", "1", Code::InvalidArgument),
        ("$", "{}", Code::InvalidArgument),
        ("$.data.a", "{", Code::InvalidArgument),
        ("$.data.list[9]", "1", Code::FailedPrecondition),
        ("$.data.list.x", "1", Code::FailedPrecondition),
        ("$.text.x", "1", Code::FailedPrecondition),
        ("$.data", "[]", Code::FailedPrecondition),
        ("$.number", "1", Code::FailedPrecondition),
    ] {
        assert_eq!(code(write(&client, &id, path, json).await), expected, "{path}");
    }
    let (other, identity) = guest(&volt).await;
    permit(&client, &id, &identity, "volt:database-read").await;
    assert_eq!(code(write(&other, &id, "$.data.a", "1").await), Code::PermissionDenied);
}

#[tokio::test]
async fn only_changes_at_watched_paths_are_reported() {
    let (volt, client) = start().await;
    let id = sync_database(&client).await;
    write(&client, &id, "$.data", r#"{"a": {"x": 1}, "b": 1}"#).await.unwrap();
    let watch = |client: &Client, paths: &[&str]| {
        let start = WatchSynapsePathStart::default()
            .with_synapse_id(&id)
            .with_document_id("doc")
            .with_path(paths.iter().copied());
        let call = client.sync().watch_synapse_path();
        async move {
            let mut call = call.await.unwrap();
            call.send(WatchSynapsePathRequest::default().with_start(start)).await.unwrap();
            call
        }
    };
    let mut call = watch(&client, &["$.data.a", "$..x"]).await;
    // The start of the call is not reported: make changes until one is.
    let first = soon(async {
        for number in 2.. {
            write(&client, &id, "$.data.a.x", &number.to_string()).await.unwrap();
            let soon = tokio::time::timeout(Duration::from_millis(50), call.message());
            if let Ok(message) = soon.await {
                return message.unwrap().unwrap();
            }
        }
        unreachable!()
    })
    .await;
    let update = |result: Option<PathResult>| match result {
        Some(PathResult::Update(update)) => update,
        other => panic!("not an update: {other:?}"),
    };
    let first = update(first.result);
    assert_eq!((first.watch_path.as_str(), first.event_path.as_str()), ("$.data.a", "$.data.a.x"));
    assert_eq!(first.update_type(), Kind::Update);
    assert_eq!((first.index, first.total), (0, 1));
    let second = update(soon(call.message()).await.unwrap().unwrap().result);
    assert_eq!(second, first.clone().with_watch_path("$..x"));
    // A change elsewhere is not reported.
    write(&client, &id, "$.data.b", "2").await.unwrap();
    write(&client, &id, "$.data.a", "{\"y\": [true]}").await.unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(update(soon(call.message()).await.unwrap().unwrap().result));
    }
    let [removed, added, deep] = told.try_into().unwrap();
    let expected = WatchSynapsePathUpdate::default()
        .with_watch_path("$.data.a")
        .with_event_path("$.data.a.x")
        .with_update_type(Kind::Delete)
        .with_previous_value(&first.value)
        .with_total(2u32);
    assert_eq!(removed, expected);
    let expected = WatchSynapsePathUpdate::default()
        .with_watch_path("$.data.a")
        .with_event_path("$.data.a.y")
        .with_update_type(Kind::Add)
        .with_value("[true]")
        .with_index(1u32)
        .with_total(2u32);
    assert_eq!(added, expected);
    assert_eq!((deep.watch_path.as_str(), deep.update_type()), ("$..x", Kind::Delete));
    assert!(call.message().now_or_never().is_none());
    call.send(WatchSynapsePathRequest::default().with_stop(true)).await.unwrap();
    assert!(soon(call.message()).await.unwrap().is_none());
    // Refusals.
    let mut wrong = watch(&client, &["$["]).await;
    assert_eq!(code(soon(wrong.message()).await), Code::InvalidArgument);
    let mut none = watch(&client, &[]).await;
    assert_eq!(code(soon(none.message()).await), Code::InvalidArgument);
    let (other, _) = guest(&volt).await;
    let mut denied = watch(&other, &["$.data"]).await;
    assert_eq!(code(soon(denied.message()).await), Code::PermissionDenied);
}

#[tokio::test]
async fn the_state_of_documents_is_known_and_watched() {
    let (_volt, client) = start().await;
    let id = synapse(&client).await;
    let state = async || {
        let request =
            GetSynapseDocumentStateRequest::default().with_synapse_id(&id).with_document_id("doc");
        client.sync().get_synapse_document_state(request).await.unwrap()
    };
    assert_eq!(state().await.state(), State::Absent);
    let start = WatchSynapseDocumentStateStart::default()
        .with_synapse_id(&id)
        .with_document_id(["doc", "other"]);
    let mut call = client.sync().watch_synapse_document_state().await.unwrap();
    call.send(WatchSynapseDocumentStateRequest::default().with_start(start)).await.unwrap();
    let mut told = async || match soon(call.message()).await.unwrap().unwrap().result {
        Some(StateResult::Update(update)) => update,
        other => panic!("not an update: {other:?}"),
    };
    assert_eq!(told().await.state(), State::Absent);
    assert_eq!(told().await.document_id, "other");
    describe(&client, metadata(&id, [root("data", "map", "")])).await;
    let draft = told().await;
    assert_eq!((draft.document_id.as_str(), draft.state()), ("doc", State::Draft));
    assert_eq!(draft.hash, "");
    write(&client, &id, "$.data.a", "1").await.unwrap();
    let changed = told().await;
    assert_ne!(changed.local_hash, draft.local_hash);
    describe(&client, metadata(&id, [root("data", "map", "")]).with_publish_hash(true)).await;
    let ready = told().await;
    assert_eq!((ready.state(), &ready.hash), (State::Ready, &changed.local_hash));
    assert_eq!(state().await.hash, ready.hash);
    // A document that represents a blob.
    describe(&client, metadata(&id, []).with_blob_hash(HELLO)).await;
    let announced = told().await;
    assert_eq!((announced.state(), announced.hash.as_str()), (State::Announced, HELLO));
    assert_eq!(put(&client, &id, HELLO, &[b"hello"]).await.unwrap().last().unwrap().ack, 1);
    let here = told().await;
    assert_eq!((here.state(), here.local_hash.as_str()), (State::Ready, HELLO));
    let request = DeleteSynapseDocumentMetadataRequest::default()
        .with_synapse_id(&id)
        .with_document_id("doc");
    client.sync().delete_synapse_document_metadata(request).await.unwrap();
    assert_eq!(told().await.state(), State::Deleted);
    call.half_close();
    assert!(soon(call.message()).await.unwrap().is_none());
}

#[tokio::test]
async fn versions_are_kept_listed_and_restored() {
    let (volt, client) = start().await;
    let id = sync_database(&client).await;
    let mut editor = Editor::open(&client, &id, "doc").await;
    editor.insert(0, "hello").await;
    let map = editor.doc.get_or_insert_map("map");
    map.insert(&mut editor.doc.transact_mut(), "a", 1);
    let array = editor.doc.get_or_insert_array("array");
    array.insert(&mut editor.doc.transact_mut(), 0, "x");
    editor.flush().await;
    let doc = editor.close().await;
    let keep = async |label: &str| {
        let request = CreateSyncDocumentVersionRequest::default()
            .with_database_id(&id)
            .with_document_id("doc")
            .with_label(label);
        client.sync().create_sync_document_version(request).await.unwrap().version_id
    };
    let first = keep("first").await;
    let contents = |doc: &Doc| {
        let (text, map) = (doc.get_or_insert_text("text"), doc.get_or_insert_map("map"));
        let array = doc.get_or_insert_array("array");
        let txn = doc.transact();
        (text.get_string(&txn), map.to_json(&txn), array.to_json(&txn))
    };
    let before = contents(&doc);
    let start =
        volt_api::volt::SyncDocumentStart::default().with_database_id(&id).with_document_id("doc");
    let mut editor = Editor::start(&client, start, doc).await.unwrap();
    editor.doc.get_or_insert_text("text").remove_range(&mut editor.doc.transact_mut(), 0, 3);
    editor.doc.get_or_insert_map("map").insert(&mut editor.doc.transact_mut(), "a", 2);
    editor.doc.get_or_insert_map("map").insert(&mut editor.doc.transact_mut(), "b", 3);
    editor.doc.get_or_insert_array("array").remove(&mut editor.doc.transact_mut(), 0);
    editor.doc.get_or_insert_map("late").insert(&mut editor.doc.transact_mut(), "x", 1);
    editor.flush().await;
    let mut watcher = Editor::open(&client, &id, "doc").await;
    watcher.until("lo").await;
    keep("second").await;
    // A caller with the document open receives the reverted content.
    let request = RevertSyncDocumentVersionRequest::default()
        .with_database_id(&id)
        .with_document_id("doc")
        .with_version_id(&first)
        .with_label("third");
    let third = client.sync().revert_sync_document_version(request).await.unwrap().version_id;
    watcher.until("hello").await;
    assert_eq!(contents(&watcher.doc), before);
    let late = watcher.doc.get_or_insert_map("late");
    assert_eq!(late.len(&watcher.doc.transact()), 0);
    let list =
        ListSyncDocumentVersionsRequest::default().with_database_id(&id).with_document_id("doc");
    let listed = client.sync().list_sync_document_versions(list.clone()).await.unwrap().versions;
    let labels: Vec<_> = listed.iter().map(|version| version.label.as_str()).collect();
    assert_eq!(labels, ["third", "second", "first"]);
    assert_eq!((&listed[0].version_id, &listed[2].version_id), (&third, &first));
    assert!(listed.iter().all(|version| version.timestamp > 0 && !version.identity.is_empty()));
    let page = list.clone().with_limit(1u32).with_offset(1u32);
    let page = client.sync().list_sync_document_versions(page).await.unwrap().versions;
    assert_eq!(page[..], listed[1..2]);
    let get = GetSyncDocumentVersionRequest::default()
        .with_database_id(&id)
        .with_document_id("doc")
        .with_version_id(&first);
    let kept = client.sync().get_sync_document_version(get.clone()).await.unwrap();
    assert_eq!(kept.info.as_ref(), Some(&listed[2]));
    let copy = Doc::new();
    let update = yrs::updates::decoder::Decode::decode_v2(kept.state_update.as_slice()).unwrap();
    copy.transact_mut().apply_update(update).unwrap();
    assert_eq!(contents(&copy), before);
    let missing = client.sync().get_sync_document_version(get.clone().with_version_id("none"));
    assert_eq!(code(missing.await), Code::NotFound);
    let (other, identity) = guest(&volt).await;
    let denied = other.sync().get_sync_document_version(get.clone()).await;
    assert_eq!(code(denied), Code::PermissionDenied);
    permit(&client, &id, &identity, "volt:database-read").await;
    other.sync().get_sync_document_version(get).await.unwrap();
    let request =
        CreateSyncDocumentVersionRequest::default().with_database_id(&id).with_document_id("doc");
    let denied = other.sync().create_sync_document_version(request).await;
    assert_eq!(code(denied), Code::PermissionDenied);
}

#[tokio::test]
async fn connections_are_kept_but_offline() {
    let (_volt, client) = start().await;
    let (synapse, database) = (synapse(&client).await, sync_database(&client).await);
    let request = CreateSynapseConnectionRequest::default()
        .with_resource(Resource::default().with_name("connection"))
        .with_create(true)
        .with_remote_volt_identity("did:volt:other")
        .with_relay_challenge("secret");
    let wrong = request.clone().with_local_synapse_id(&database);
    let outcome = client.sync().create_synapse_connection(wrong).await;
    assert_eq!(code(outcome), Code::FailedPrecondition);
    let request = request.with_local_synapse_id(&synapse);
    let made = client.sync().create_synapse_connection(request).await.unwrap();
    let connection = made.resource.unwrap();
    assert!(connection.kind.iter().any(|kind| kind == "volt:synapse-connection"));
    assert_eq!(connection.online_status(), volt_api::volt::OnlineStatus::Offline);
    assert!(!format!("{connection:?}").contains("secret"));
    let delete =
        |id: &str| DeleteSynapseConnectionRequest::default().with_synapse_connection_id(id);
    let outcome = client.sync().delete_synapse_connection(delete(&synapse)).await;
    assert_eq!(code(outcome), Code::FailedPrecondition);
    client.sync().delete_synapse_connection(delete(&connection.id)).await.unwrap();
    let request = GetResourceRequest::default().with_resource_id(connection.id);
    assert_eq!(code(client.volt().get_resource(request).await), Code::NotFound);
}
