//! `SyncDocument`: copies of a document that stay equal.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use volt_api::{
    Client, Code, Duplex, Error,
    volt::{
        DeleteResourceRequest, Resource, SaveSyncDatabaseRequest, SyncDocumentRequest,
        SyncDocumentResponse, SyncDocumentStart, SyncDocumentUpdate, SyncState,
    },
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;
use yrs::{
    Doc, GetString as _, Map as _, ReadTxn as _, StateVector, Text as _, Transact as _, Update,
    updates::{decoder::Decode as _, encoder::Encode as _},
};

use crate::support::{code, guest, permit, start};

const CHUNK: usize = 1 << 20;

/// Creates a database for documents.
pub(crate) async fn sync_database(client: &Client) -> String {
    save(client, SaveSyncDatabaseRequest::default()).await
}

async fn save(client: &Client, request: SaveSyncDatabaseRequest) -> String {
    let resource = Resource::default().with_name("notes").with_alias(["notes"]);
    let request = request.with_resource(resource).with_create(true);
    client.sync().save_sync_database(request).await.unwrap().resource.unwrap().id
}

/// A client with a copy of a document.
pub(crate) struct Editor {
    pub(crate) doc: Doc,
    pub(crate) call: Duplex<SyncDocumentRequest, SyncDocumentResponse>,
    /// The state that the Volt had when the copy was last equal to it.
    sent: StateVector,
    chunks: Vec<u8>,
    /// The awareness states of others.
    pub(crate) present: BTreeMap<u8, String>,
}

impl Editor {
    pub(crate) async fn open(client: &Client, database: &str, document: &str) -> Self {
        let start =
            SyncDocumentStart::default().with_database_id(database).with_document_id(document);
        Self::start(client, start, Doc::new()).await.unwrap()
    }

    /// Starts a call with a copy, and exchanges what each side lacks.
    pub(crate) async fn start(
        client: &Client,
        start: SyncDocumentStart,
        doc: Doc,
    ) -> Result<Self, Error> {
        let mut editor = Self::begin(client, start, doc).await;
        let state = editor.receive_missing().await?;
        editor.send_missing(&state).await;
        editor.acknowledged().await?;
        Ok(editor)
    }

    pub(crate) async fn begin(client: &Client, start: SyncDocumentStart, doc: Doc) -> Self {
        let mut call = client.sync().sync_document().await.unwrap();
        let state = doc.transact().state_vector().encode_v1();
        let start = start.with_state_vector(state);
        let request = SyncDocumentRequest::default()
            .with_sync_start(start)
            .with_sync_state(SyncState::Syncing);
        call.send(request).await.unwrap();
        let (sent, chunks, present) = Default::default();
        Self { doc, call, sent, chunks, present }
    }

    /// Receives what the copy lacks. Returns the state of the Volt's.
    pub(crate) async fn receive_missing(&mut self) -> Result<StateVector, Error> {
        loop {
            let message = self.next().await?;
            assert_eq!(message.sync_state(), SyncState::Syncing);
            let state = message.state_vector.clone();
            if self.take(message) {
                return Ok(StateVector::decode_v1(&state).unwrap());
            }
        }
    }

    pub(crate) async fn send_missing(&mut self, state: &StateVector) {
        let update = self.doc.transact().encode_state_as_update_v2(state);
        self.send(SyncState::Done, &update).await;
        self.sent = self.doc.transact().state_vector();
    }

    pub(crate) async fn acknowledged(&mut self) -> Result<(), Error> {
        let done = self.next().await?;
        assert_eq!(done.sync_state(), SyncState::Done);
        assert_eq!(done.update, None);
        Ok(())
    }

    pub(crate) async fn next(&mut self) -> Result<SyncDocumentResponse, Error> {
        Ok(soon(self.call.message()).await?.expect("the call has ended"))
    }

    /// Sends an update in chunks.
    pub(crate) async fn send(&mut self, state: SyncState, update: &[u8]) {
        let last = update.len().saturating_sub(1) / CHUNK;
        for (index, chunk) in update.chunks(CHUNK).enumerate() {
            let update =
                SyncDocumentUpdate::default().with_chunk(chunk).with_complete(index == last);
            let request = SyncDocumentRequest::default().with_update(update).with_sync_state(state);
            soon(self.call.send(request)).await.unwrap();
        }
    }

    /// Changes the text, and sends the change.
    pub(crate) async fn insert(&mut self, at: u32, text: &str) {
        self.insert_offline(at, text);
        self.flush().await;
    }

    pub(crate) fn insert_offline(&self, at: u32, text: &str) {
        let root = self.doc.get_or_insert_text("text");
        root.insert(&mut self.doc.transact_mut(), at, text);
    }

    /// Sends the changes since the last time.
    pub(crate) async fn flush(&mut self) {
        let update = self.doc.transact().encode_state_as_update_v2(&self.sent);
        self.sent = self.doc.transact().state_vector();
        self.send(SyncState::Update, &update).await;
    }

    /// Adds a message. Returns whether it completes an update.
    pub(crate) fn take(&mut self, message: SyncDocumentResponse) -> bool {
        let state = message.sync_state();
        let update = message.update.expect("no update");
        assert!(update.chunk.len() <= CHUNK);
        self.chunks.extend(update.chunk);
        if !update.complete {
            return false;
        }
        let update = std::mem::take(&mut self.chunks);
        if state == SyncState::Awareness {
            self.take_presence(&update);
        } else {
            let update = Update::decode_v2(&update).unwrap();
            self.doc.transact_mut().apply_update(update).unwrap();
        }
        true
    }

    /// Takes an awareness update of clients with small ids, clocks and states.
    fn take_presence(&mut self, mut update: &[u8]) {
        let mut byte = || {
            let (first, rest) = update.split_first().unwrap();
            update = rest;
            *first
        };
        for _ in 0..byte() {
            let (client, _clock, length) = (byte(), byte(), byte());
            let json = (0..length).map(|_| char::from(byte())).collect();
            self.present.insert(client, json);
        }
    }

    pub(crate) fn text(&self) -> String {
        let root = self.doc.get_or_insert_text("text");
        root.get_string(&self.doc.transact())
    }

    /// Receives changes until the text is this.
    pub(crate) async fn until(&mut self, text: &str) {
        while self.text() != text {
            let message = self.next().await.unwrap();
            self.take(message);
        }
    }

    /// Half-closes, and waits until the Volt has ended the call.
    pub(crate) async fn close(mut self) -> Doc {
        self.call.half_close();
        while soon(self.call.message()).await.unwrap().is_some() {}
        self.doc
    }
}

fn start_of(database: &str) -> SyncDocumentStart {
    SyncDocumentStart::default().with_database_id(database).with_document_id("doc")
}

#[tokio::test]
async fn copies_of_a_document_become_and_stay_equal() {
    let (_volt, client) = start().await;
    let id = sync_database(&client).await;
    let mut one = Editor::open(&client, &id, "doc").await;
    one.insert(0, "world").await;
    // The alias names the same database.
    let mut other = Editor::open(&client, "@notes", "doc").await;
    other.until("world").await;
    other.insert(0, "hello ").await;
    one.until("hello world").await;
    // Edits at the same time.
    one.insert(0, "A").await;
    other.insert(11, "B").await;
    one.until("Ahello worldB").await;
    other.until("Ahello worldB").await;
    // Another document of the same database.
    let empty = Editor::open(&client, &id, "other").await;
    assert_eq!(empty.text(), "");
}

#[tokio::test]
async fn an_empty_document_is_exchanged_as_the_published_providers_expect() {
    let (_volt, client) = start().await;
    let id = sync_database(&client).await;
    let mut editor = Editor::begin(&client, start_of(&id), Doc::new()).await;
    let message = editor.next().await.unwrap();
    let update = SyncDocumentUpdate::default().with_chunk(Update::EMPTY_V2).with_complete(true);
    let expected = SyncDocumentResponse::default()
        .with_sync_state(SyncState::Syncing)
        .with_update(update)
        .with_state_vector([0u8]);
    assert_eq!(message, expected);
    editor.send(SyncState::Done, Update::EMPTY_V2).await;
    let done = editor.next().await.unwrap();
    assert_eq!(done, SyncDocumentResponse::default().with_sync_state(SyncState::Done));
}

#[tokio::test]
async fn documents_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let builder = EmbeddedVolt::builder().data_dir(folder.path());
    let volt = builder.clone().start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    let id = sync_database(&client).await;
    let mut editor = Editor::open(&client, &id, "doc").await;
    // More updates than are kept unmerged.
    for number in 0..300 {
        editor.insert(0, &format!("{number} ")).await;
    }
    let text = editor.text();
    editor.close().await;
    volt.shutdown().await;
    let volt = builder.start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    let again = Editor::open(&client, &id, "doc").await;
    assert_eq!(again.text(), text);
}

#[tokio::test]
async fn edits_made_offline_are_merged() {
    let (_volt, client) = start().await;
    let id = sync_database(&client).await;
    let one = Editor::open(&client, &id, "doc").await;
    let doc = one.close().await;
    let mut other = Editor::open(&client, &id, "doc").await;
    other.insert(0, "online").await;
    let text = doc.get_or_insert_text("text");
    text.insert(&mut doc.transact_mut(), 0, "offline");
    let one = Editor::start(&client, start_of(&id), doc).await.unwrap();
    let merged = one.text();
    assert!(["onlineoffline", "offlineonline"].contains(&merged.as_str()), "{merged}");
    other.until(&merged).await;
}

#[tokio::test]
async fn large_updates_are_sent_in_chunks_both_ways() {
    let (_volt, client) = start().await;
    let id = sync_database(&client).await;
    let mut one = Editor::open(&client, &id, "doc").await;
    let text = "0123456789abcdef".repeat((7 << 20) / 32);
    one.insert(0, &text).await;
    one.close().await;
    let mut other = Editor::begin(&client, start_of(&id), Doc::new()).await;
    let mut chunks = 0;
    loop {
        let message = soon(other.next()).await.unwrap();
        chunks += 1;
        // The state comes with the last chunk.
        let has_state = !message.state_vector.is_empty();
        assert_eq!(other.take(message), has_state);
        if has_state {
            break;
        }
    }
    assert_eq!(chunks, 4);
    assert_eq!(other.text(), text);
}

/// The published providers drop changes that arrive before the acknowledgement.
#[tokio::test]
async fn changes_of_others_wait_for_the_acknowledgement() {
    let (_volt, client) = start().await;
    let id = sync_database(&client).await;
    let mut one = Editor::open(&client, &id, "doc").await;
    let mut other = Editor::begin(&client, start_of(&id), Doc::new()).await;
    let state = other.receive_missing().await.unwrap();
    one.insert(0, "early").await;
    one.close().await;
    assert!(other.call.message().now_or_never().is_none());
    other.send_missing(&state).await;
    other.acknowledged().await.unwrap();
    other.until("early").await;
}

#[tokio::test]
async fn presence_states_are_passed_on_and_removed() {
    let (_volt, client) = start().await;
    let id = sync_database(&client).await;
    let mut one = Editor::open(&client, &id, "doc").await;
    let mut other = Editor::open(&client, &id, "doc").await;
    one.send(SyncState::Awareness, b"\x01\x07\x01\x04\"hi\"").await;
    let message = other.next().await.unwrap();
    other.take(message);
    assert_eq!(other.present[&7], "\"hi\"");
    // The published provider sends each state back. That changes nothing.
    other.send(SyncState::Awareness, b"\x01\x07\x01\x04\"hi\"").await;
    other.send(SyncState::Awareness, b"\x01\x08\x01\x01{").await;
    assert_eq!(code(other.next().await), Code::InvalidArgument);
    // Late callers receive the presence states after the acknowledgement.
    let mut late = Editor::open(&client, &id, "doc").await;
    let message = late.next().await.unwrap();
    late.take(message);
    assert_eq!(late.present[&7], "\"hi\"");
    // The state is removed even if the call is cancelled.
    drop(one);
    let message = late.next().await.unwrap();
    late.take(message);
    assert_eq!(late.present[&7], "null");
}

#[tokio::test]
async fn callers_without_write_access_may_read() {
    let (volt, client) = start().await;
    let id = sync_database(&client).await;
    let mut owner = Editor::open(&client, &id, "doc").await;
    owner.insert(0, "owner").await;
    let (other, identity) = guest(&volt).await;
    let refused = |outcome: Result<Editor, Error>| match outcome {
        Err(error) => error.code(),
        Ok(_) => panic!("not refused"),
    };
    let outcome = Editor::start(&other, start_of(&id), Doc::new()).await;
    assert_eq!(refused(outcome), Code::PermissionDenied);
    let outcome = Editor::start(&other, start_of("none"), Doc::new()).await;
    assert_eq!(refused(outcome), Code::NotFound);
    permit(&client, &id, &identity, "volt:database-read").await;
    let outcome = Editor::start(&other, start_of(&id), Doc::new()).await;
    assert_eq!(refused(outcome), Code::PermissionDenied);
    for start in [start_of(&id).with_read_only_fallback(true), start_of(&id).with_read_only(true)] {
        let doc = Doc::new();
        doc.get_or_insert_text("text").insert(&mut doc.transact_mut(), 0, "guest");
        let mut reader = Editor::begin(&other, start, doc).await;
        let message = reader.next().await.unwrap();
        assert!(message.is_read_only);
        reader.take(message);
        // The published providers send their changes nevertheless. They are discarded.
        reader.send_missing(&StateVector::default()).await;
        reader.acknowledged().await.unwrap();
        reader.insert(0, "more").await;
        reader.close().await;
    }
    owner.insert(0, "the ").await;
    // The end of the call confirms every change.
    owner.close().await;
    let again = Editor::open(&client, &id, "doc").await;
    assert_eq!(again.text(), "the owner");
    // A revoked right ends the call with the next message.
    permit(&client, &id, &identity, "volt:database-write").await;
    let mut writer = Editor::start(&other, start_of(&id), Doc::new()).await.unwrap();
    let rules = volt_api::volt::DeleteAccessRequest::default().with_resource_id(&id);
    client.volt().delete_access(rules).await.unwrap();
    writer.insert(0, "late").await;
    assert_eq!(code(writer.next().await), Code::PermissionDenied);
}

#[tokio::test]
async fn messages_that_break_the_protocol_end_the_call() {
    let (_volt, client) = start().await;
    let id = sync_database(&client).await;
    let mut call = client.sync().sync_document().await.unwrap();
    call.send(SyncDocumentRequest::default().with_sync_state(SyncState::Done)).await.unwrap();
    assert_eq!(code(soon(call.message()).await), Code::InvalidArgument);
    for start in
        [start_of(&id).with_document_id(""), start_of(&id).with_document_id("x".repeat(2000))]
    {
        let outcome = Editor::start(&client, start, Doc::new()).await;
        assert_eq!(outcome.err().unwrap().code(), Code::InvalidArgument);
    }
    let mut good = Editor::open(&client, &id, "doc").await;
    for broken in [b"garbage".as_slice(), b"\x00", &[0xff; 64], &Update::EMPTY_V2[..12]] {
        let mut editor = Editor::open(&client, &id, "doc").await;
        editor.send(SyncState::Update, broken).await;
        assert_eq!(code(editor.next().await), Code::InvalidArgument, "{broken:?}");
    }
    // Other calls continue.
    let mut other = Editor::open(&client, &id, "doc").await;
    good.insert(0, "fine").await;
    other.until("fine").await;
    // Messages out of order are ignored.
    let mut early = Editor::begin(&client, start_of(&id), Doc::new()).await;
    early.send(SyncState::Update, b"ignored").await;
    early.send(SyncState::Awareness, b"ignored").await;
    let state = early.receive_missing().await.unwrap();
    early.send_missing(&state).await;
    early.acknowledged().await.unwrap();
    assert_eq!(early.text(), "fine");
}

#[tokio::test]
async fn state_vectors_that_announce_too_much_are_refused() {
    let (_volt, client) = start().await;
    let id = sync_database(&client).await;
    let long = vec![7; 2 << 20];
    for state in [b"\xff\xff\xff\x7a".as_slice(), b"\x01", &[0xff; 20], &long] {
        let mut call = client.sync().sync_document().await.unwrap();
        let start = start_of(&id).with_state_vector(state);
        call.send(SyncDocumentRequest::default().with_sync_start(start)).await.unwrap();
        let refused = code(soon(call.message()).await);
        assert!([Code::InvalidArgument, Code::FailedPrecondition].contains(&refused));
    }
}

#[tokio::test]
async fn deleting_a_database_ends_its_calls() {
    let (_volt, client) = start().await;
    let id = sync_database(&client).await;
    let mut editor = Editor::open(&client, &id, "doc").await;
    editor.insert(0, "lost").await;
    let request = DeleteResourceRequest::default().with_resource_id(&id);
    client.volt().delete_resource(request).await.unwrap();
    assert_eq!(code(editor.next().await), Code::NotFound);
}

#[tokio::test]
async fn a_caller_that_reads_late_receives_everything() {
    let (volt, client) = start().await;
    let id = sync_database(&client).await;
    let mut writer = Editor::open(&client, &id, "doc").await;
    // A separate connection, whose buffers fill.
    let slow = Client::connect(volt.config()).await.unwrap();
    let mut reader = Editor::open(&slow, &id, "doc").await;
    let line = "x".repeat(10_000);
    for _ in 0..1000 {
        writer.insert(0, &line).await;
    }
    let text = writer.text();
    writer.close().await;
    reader.until(&text).await;
}

#[tokio::test]
async fn maps_are_kept_as_well() {
    let (_volt, client) = start().await;
    let id = sync_database(&client).await;
    let mut one = Editor::open(&client, &id, "doc").await;
    let map = one.doc.get_or_insert_map("map");
    map.insert(&mut one.doc.transact_mut(), "key", "value");
    one.flush().await;
    one.close().await;
    let other = Editor::open(&client, &id, "doc").await;
    let map = other.doc.get_or_insert_map("map");
    let value = map.get(&other.doc.transact(), "key").unwrap();
    assert_eq!(value.to_string(&other.doc.transact()), "value");
}
