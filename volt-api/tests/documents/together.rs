//! Documents that are edited together.

use std::time::Duration;

use volt_api::documents::{
    SyncedDocument, doc_with_guid,
    yrs::{Doc, Map as _, ReadTxn as _, Transact as _},
};
use volt_test_support::soon;

use crate::{
    model::Model,
    support::{attach, attaching, read, until, write},
};

#[tokio::test]
async fn edits_reach_present_and_later_clients() {
    let model = Model::default();
    let (one, two, three) = (Doc::new(), Doc::new(), Doc::new());
    write(&one, "before ");
    let first = attach(&model, &one).await;
    let second = attach(&model, &two).await;
    assert_eq!(read(&two), "before ");
    write(&two, "after ");
    until(|| read(&one) == "before after ").await;
    write(&one, "at last");
    until(|| read(&two) == "before after at last").await;
    let third = attach(&model, &three).await;
    assert_eq!(read(&three), "before after at last");
    for document in [first, second, third] {
        soon(document.stop()).await.unwrap();
    }
    assert_eq!(read(&model.doc("todo")), "before after at last");
}

#[tokio::test]
async fn flush_waits_until_the_volt_has_the_edits() {
    let model = Model::default();
    let doc = Doc::new();
    let document = attaching(&model, &doc).batch(Duration::from_hours(1)).await.unwrap();
    soon(document.flush()).await.unwrap();
    assert!(document.state().is_synced(), "without edits, it waits for the first exchange");
    assert!(!document.has_unconfirmed_edits());
    for text in ["a", "b"] {
        write(&doc, text);
        assert!(document.has_unconfirmed_edits());
        soon(document.flush()).await.unwrap();
        assert_eq!(read(&model.doc("todo")), read(&doc));
        assert!(!document.has_unconfirmed_edits());
    }
    assert_eq!(model.starts().len(), 3, "two calls confirmed edits");
    soon(document.flush()).await.unwrap();
    assert_eq!(model.starts().len(), 3, "there was nothing to confirm");
}

#[tokio::test]
async fn stop_sends_the_edits_and_keeps_the_document() {
    let model = Model::default();
    let doc = Doc::new();
    let document = attaching(&model, &doc).batch(Duration::from_hours(1)).await.unwrap();
    soon(document.synced()).await.unwrap();
    write(&doc, "text");
    soon(document.stop()).await.unwrap();
    assert_eq!(read(&model.doc("todo")), "text");
    write(&doc, " and more");
    assert_eq!(read(&doc), "text and more");
    let again = attach(&model, &doc).await;
    assert_eq!(read(&model.doc("todo")), "text and more");
    drop(again);
    assert_eq!(read(&doc), "text and more");
}

#[tokio::test]
async fn a_dropped_document_is_no_longer_synchronized() {
    let model = Model::default();
    let (one, two) = (Doc::new(), Doc::new());
    let document = attach(&model, &one).await;
    let other = attach(&model, &two).await;
    let mut states = document.watch_state();
    drop(document);
    soon(async { while states.changed().await.is_some() {} }).await;
    write(&two, "text");
    soon(other.flush()).await.unwrap();
    assert_eq!(read(&one), "");
}

#[tokio::test]
async fn a_document_of_several_mebibytes_goes_in_pieces() {
    let model = Model::default();
    let (one, two) = (Doc::new(), Doc::new());
    let text = "0123456789abcdef".repeat(7 << 15);
    write(&one, &text);
    let document = attach(&model, &one).await;
    assert_eq!(model.largest(), 1 << 20);
    let other = attach(&model, &two).await;
    assert_eq!(read(&two), text);
    write(&two, &text);
    soon(other.flush()).await.unwrap();
    until(|| read(&one).len() == 2 * text.len()).await;
    drop(document);
}

#[tokio::test]
async fn sub_documents_are_attached_when_they_are_loaded() {
    let model = Model::default();
    let (one, two) = (Doc::new(), Doc::new());
    let first = attaching(&model, &one).subdocuments(true).await.unwrap();
    let inner = doc_with_guid("inner");
    let pages = one.get_or_insert_map("pages");
    let inner = pages.insert(&mut one.transact_mut(), "first", inner);
    write(&inner, "inside");
    until(|| first.subdocuments().len() == 1).await;
    let (guid, mut states) = first.subdocuments().pop().unwrap();
    assert_eq!(&*guid, "inner");
    soon(states.synced()).await.unwrap();
    soon(first.flush()).await.unwrap();

    let second = attaching(&model, &two).subdocuments(true).await.unwrap();
    soon(second.synced()).await.unwrap();
    assert!(second.subdocuments().is_empty(), "it is not loaded");
    let there = two.transact().subdocs().next().unwrap().clone();
    there.load(&mut two.transact_mut());
    until(|| read(&there) == "inside").await;
    soon(second.stop()).await.unwrap();
    soon(first.stop()).await.unwrap();
}

/// Attaches a document that sends no edit by itself, and adds the sub-document `inner`.
async fn attach_with_inner(model: &Model, doc: &Doc) -> (SyncedDocument, Doc) {
    let attaching = attaching(model, doc).subdocuments(true);
    let parent = attaching.batch(Duration::from_hours(1)).await.unwrap();
    let pages = doc.get_or_insert_map("pages");
    let inner = pages.insert(&mut doc.transact_mut(), "first", doc_with_guid("inner"));
    (parent, inner)
}

#[tokio::test]
async fn sub_documents_end_with_their_parent() {
    for stops in [true, false] {
        let model = Model::default();
        let doc = Doc::new();
        let (parent, inner) = attach_with_inner(&model, &doc).await;
        until(|| parent.subdocuments().len() == 1).await;
        let (_, mut states) = parent.subdocuments().pop().unwrap();
        soon(states.synced()).await.unwrap();
        write(&inner, "inside");
        if stops {
            soon(parent.stop()).await.unwrap();
        } else {
            drop(parent);
        }
        soon(async { while states.changed().await.is_some() {} }).await;
        assert_eq!(read(&model.doc("inner")), if stops { "inside" } else { "" });
        write(&inner, " and more");
        assert_eq!(read(&inner), "inside and more");
    }
}

#[tokio::test]
async fn the_last_edits_of_sub_documents_are_sent() {
    for removes in [true, false] {
        let model = Model::default();
        let doc = Doc::new();
        let (parent, inner) = attach_with_inner(&model, &doc).await;
        if removes {
            until(|| parent.subdocuments().len() == 1).await;
            write(&inner, "inside");
            doc.get_or_insert_map("pages").remove(&mut doc.transact_mut(), "first");
            until(|| read(&model.doc("inner")) == "inside").await;
        } else {
            // It may not have been attached yet.
            write(&inner, "inside");
        }
        soon(parent.stop()).await.unwrap();
        assert_eq!(read(&model.doc("inner")), "inside");
    }
}

#[tokio::test]
async fn an_empty_id_is_refused_at_once() {
    let model = Model::default();
    let sync = crate::support::client(&model).sync();
    for (database, document) in [("", "todo"), ("@notes", "")] {
        let error = sync.attach(&Doc::new(), database, document).await.unwrap_err();
        assert!(error.is_configuration(), "{error}");
    }
}
