//! Helpers shared by the tests.

use std::time::Duration;

use volt_api::{
    Channel, Client, TransportKind,
    documents::{
        AttachDocument, DocumentState, SyncedDocument,
        yrs::{Doc, GetString as _, Text as _, Transact as _},
    },
    server::Router,
    volt::SyncApiServer,
};
use volt_test_support::soon;

use crate::model::Model;

/// The transports of a Volt.
pub(crate) const TRANSPORTS: [TransportKind; 2] = [TransportKind::Websocket, TransportKind::Grpc];

/// Returns a client of a model.
pub(crate) fn client(model: &Model) -> Client {
    let router = Router::new().with(SyncApiServer::new(model.clone()));
    Client::from_channel(Channel::in_process(router))
}

/// A document that is about to be attached as `todo`.
pub(crate) fn attaching(model: &Model, doc: &Doc) -> AttachDocument {
    client(model).sync().attach(doc, "@notes", "todo")
}

/// Attaches a document, and waits until it is synced.
pub(crate) async fn attach(model: &Model, doc: &Doc) -> SyncedDocument {
    let document = attaching(model, doc).await.unwrap();
    soon(document.synced()).await.unwrap();
    document
}

/// Adds to a document's text.
pub(crate) fn write(doc: &Doc, text: &str) {
    let root = doc.get_or_insert_text("text");
    root.push(&mut doc.transact_mut(), text);
}

/// Returns a document's text.
pub(crate) fn read(doc: &Doc) -> String {
    let root = doc.get_or_insert_text("text");
    root.get_string(&doc.transact())
}

/// Waits until a condition holds.
pub(crate) async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Waits for a state that satisfies a condition.
pub(crate) async fn state(
    document: &SyncedDocument,
    fits: impl Fn(&DocumentState) -> bool,
) -> DocumentState {
    let mut states = document.watch_state();
    soon(async {
        loop {
            let now = states.current();
            if fits(&now) {
                return now;
            }
            states.changed().await.unwrap();
        }
    })
    .await
}
