//! Volts that refuse, fail, or send what they should not.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use volt_api::{
    Code, ErrorKind,
    documents::{DocumentState, yrs::Doc},
    volt::SyncState,
};
use volt_test_support::soon;

use crate::{
    model::{Behaviour, Model},
    support::{attach, attaching, read, state, until, write},
};

fn is_refused(state: &DocumentState) -> bool {
    matches!(state, DocumentState::Refused { .. })
}

#[tokio::test]
async fn edits_between_done_and_its_answer_are_not_lost() {
    let model = Model::default();
    let (one, two) = (Doc::new(), Doc::new());
    let answer = Arc::new(Notify::new());
    model.next([Behaviour::Well, Behaviour::DelayDone(Arc::clone(&answer))]);
    let first = attach(&model, &one).await;
    write(&two, "a");
    let second = attaching(&model, &two).await.unwrap();
    // The Volt has the edit, so the answer was sent.
    until(|| read(&model.doc("todo")) == "a").await;
    write(&two, "b");
    answer.notify_one();
    soon(second.synced()).await.unwrap();
    write(&two, "c");
    until(|| read(&one) == "abc").await;
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_done_is_withheld_is_replaced() {
    let model = Model::default();
    let doc = Doc::new();
    model.next([Behaviour::HoldDone]);
    write(&doc, "text");
    let document = attaching(&model, &doc).await.unwrap();
    let lost = state(&document, |state| state.reason().is_some()).await;
    assert!(lost.reason().unwrap().is_deadline(), "{lost}");
    write(&doc, " and more");
    soon(document.flush()).await.unwrap();
    assert_eq!(read(&model.doc("todo")), "text and more");
    assert_eq!(model.starts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_early_is_reopened_with_the_present_content() {
    let model = Model::default();
    let doc = Doc::new();
    model.next([Behaviour::EndAtDone, Behaviour::EndAtDone, Behaviour::EndAtDone]);
    write(&doc, "text");
    let document = attaching(&model, &doc).await.unwrap();
    soon(document.flush()).await.unwrap();
    assert_eq!(read(&model.doc("todo")), "text");
    assert_eq!(model.starts().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_update_restarts_the_call() {
    for kind in [SyncState::Syncing, SyncState::Update] {
        let model = Model::default();
        let (one, two) = (Doc::new(), Doc::new());
        write(&one, "text");
        let first = attach(&model, &one).await;
        model.next([Behaviour::Sends(kind, vec![7; 9])]);
        let second = attaching(&model, &two).await.unwrap();
        let lost = state(&second, |state| state.reason().is_some()).await;
        assert_eq!(lost.reason().unwrap().kind(), ErrorKind::Protocol, "{lost}");
        soon(second.synced()).await.unwrap();
        assert_eq!(read(&two), "text");
        drop(first);
    }
}

#[tokio::test(start_paused = true)]
async fn updates_that_never_decode_are_refused() {
    let model = Model::default();
    let doc = Doc::new();
    write(&doc, "text");
    model.next([0; 9].map(|_| Behaviour::Sends(SyncState::Syncing, vec![7; 9])));
    let document = attaching(&model, &doc).await.unwrap();
    let refused = state(&document, is_refused).await;
    assert_eq!(refused.reason().unwrap().kind(), ErrorKind::Protocol, "{refused}");
    assert_eq!(model.starts().len(), 3);
    assert_eq!(read(&doc), "text");
}

/// Returns an update whose last column is `lengths`, followed by `rest`.
fn raw(lengths: &[u8], rest: &[u8]) -> Vec<u8> {
    let columns: [&[u8]; 9] = [&[], &[1], &[], &[], &[0x08], &[1, b'r', 1], &[1], &[], lengths];
    let mut update = vec![0];
    for column in columns {
        update.push(u8::try_from(column.len()).unwrap());
        update.extend_from_slice(column);
    }
    update.extend_from_slice(rest);
    update
}

#[tokio::test(start_paused = true)]
async fn hostile_updates_end_the_attachment() {
    let nested = [&[1, 1, 0][..], &[117, 1].repeat(1_000_000), &[126, 0]].concat();
    // Four billion blocks, and values.
    let most = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let blocks = [&[1][..], &most, &[0]].concat();
    let values = [&[1, 1, 0, 117][..], &most].concat();
    for (update, reason) in [
        (raw(&[1], &nested), "nested too deep"),
        (raw(&[1], &values), "invalid update"),
        (raw(&[0x41, 0xf0, 0xff, 0xff, 0xff, 0x0f], &blocks), ""),
    ] {
        for state_of in [SyncState::Syncing, SyncState::Update] {
            let model = Model::default();
            let doc = Doc::new();
            write(&doc, "text");
            model.next([0; 9].map(|_| Behaviour::Sends(state_of, update.clone())));
            let document = attaching(&model, &doc).await.unwrap();
            let refused = state(&document, is_refused).await;
            let error = refused.reason().unwrap();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
            assert!(error.to_string().contains(reason), "{error}");
            assert_eq!((read(&doc).as_str(), model.starts().len()), ("text", 3));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn updates_that_the_volt_cannot_apply_are_not_retried_indefinitely() {
    for (code, calls) in
        [(Code::FailedPrecondition, 1), (Code::ResourceExhausted, 3), (Code::InvalidArgument, 3)]
    {
        let model = Model::default();
        let doc = Doc::new();
        write(&doc, "text");
        model.next([0; 9].map(|_| Behaviour::RefuseDone(code)));
        let document = attaching(&model, &doc).await.unwrap();
        let refused = state(&document, is_refused).await;
        assert_eq!(refused.reason().unwrap().code(), code, "{refused}");
        assert_eq!((read(&doc).as_str(), model.starts().len()), ("text", calls));
    }
}

#[tokio::test(start_paused = true)]
async fn a_volt_that_stops_reading_does_not_keep_a_document_from_stopping() {
    for length in [1, 8 << 20] {
        let model = Model::default();
        let doc = Doc::new();
        model.next([Behaviour::Deaf]);
        let document = attach(&model, &doc).await;
        write(&doc, &"x".repeat(length));
        let limit = Duration::from_secs(6 + (length as u64 >> 16));
        let stopped = tokio::time::timeout(limit, document.stop()).await.expect("it stops");
        assert!(stopped.is_err());
        assert_eq!(read(&doc).len(), length);
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_leaves_the_document() {
    let codes =
        [Code::PermissionDenied, Code::NotFound, Code::Unauthenticated, Code::FailedPrecondition];
    for code in codes {
        let model = Model::default();
        let doc = Doc::new();
        write(&doc, "text");
        model.next([Behaviour::Refuse(code)]);
        let document = attaching(&model, &doc).await.unwrap();
        for error in
            [soon(document.synced()).await.unwrap_err(), soon(document.flush()).await.unwrap_err()]
        {
            assert_eq!(error.code(), code, "{error}");
        }
        assert!(is_refused(&document.state()));
        let error = soon(document.stop()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!((read(&doc).as_str(), model.starts().len()), ("text", 1));
    }
}

#[tokio::test]
async fn a_refusal_of_an_update_is_final_and_keeps_the_edits() {
    let model = Model::default();
    let doc = Doc::new();
    model.next([Behaviour::RefuseUpdates(Code::PermissionDenied)]);
    let document = attach(&model, &doc).await;
    write(&doc, "text");
    let refused = state(&document, is_refused).await;
    assert_eq!(refused.reason().unwrap().code(), Code::PermissionDenied);
    assert!(document.has_unconfirmed_edits());
    assert_eq!(read(&doc), "text");
    let again = attach(&model, &doc).await;
    assert_eq!(read(&model.doc("todo")), "text");
    drop(again);
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_volt_is_retried() {
    let model = Model::default();
    let doc = Doc::new();
    let codes = [Code::Unavailable, Code::ResourceExhausted, Code::Aborted, Code::Unavailable];
    model.next(codes.map(Behaviour::Refuse));
    let document = attaching(&model, &doc).await.unwrap();
    soon(document.synced()).await.unwrap();
    assert_eq!(model.starts().len(), 5);
}

#[tokio::test]
async fn read_only_edits_stay_here() {
    for asked in [true, false] {
        let model = Model::default();
        let (one, two) = (Doc::new(), Doc::new());
        model.next([Behaviour::Well, Behaviour::ReadOnly]);
        let writer = attach(&model, &one).await;
        let attaching = attaching(&model, &two);
        let attaching = if asked { attaching.read_only() } else { attaching.read_only_fallback() };
        let reader = attaching.await.unwrap();
        soon(reader.synced()).await.unwrap();
        assert!(reader.is_read_only());
        let start = model.starts().pop().unwrap();
        assert_eq!((start.read_only, start.read_only_fallback), (asked, !asked));
        soon(reader.flush()).await.unwrap();
        write(&two, "mine");
        let error = soon(reader.flush()).await.unwrap_err();
        assert!(error.is_configuration(), "{error}");
        write(&one, "theirs");
        until(|| read(&two).contains("theirs")).await;
        assert!(reader.has_unconfirmed_edits() && read(&two).contains("mine"));
        soon(writer.flush()).await.unwrap();
        assert_eq!(read(&model.doc("todo")), "theirs");
        soon(reader.stop()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_whose_right_to_write_is_revoked_becomes_read_only_on_request() {
    let model = Model::default();
    let doc = Doc::new();
    model.next([Behaviour::RefuseUpdates(Code::PermissionDenied), Behaviour::ReadOnly]);
    let document = attaching(&model, &doc).read_only_fallback().await.unwrap();
    soon(document.synced()).await.unwrap();
    assert!(!document.is_read_only());
    write(&doc, "text");
    state(&document, |_| document.is_read_only()).await;
    soon(document.synced()).await.unwrap();
    assert!(document.has_unconfirmed_edits());
    assert_eq!((read(&doc), read(&model.doc("todo"))), ("text".to_owned(), String::new()));
}

/// The Volt accepts no further call.
#[tokio::test(start_paused = true)]
async fn a_document_whose_rights_are_revoked_is_refused() {
    let model = Model::default();
    let doc = Doc::new();
    let code = Code::PermissionDenied;
    model.next([Behaviour::RefuseUpdates(code), Behaviour::Refuse(code)]);
    let document = attaching(&model, &doc).read_only_fallback().await.unwrap();
    soon(document.synced()).await.unwrap();
    write(&doc, "text");
    state(&document, is_refused).await;
    assert_eq!(model.starts().len(), 2);
}

#[tokio::test]
async fn minimal_answers_of_a_volt_are_accepted() {
    let model = Model::default();
    let doc = Doc::new();
    write(&doc, "text");
    model.next([Behaviour::Sparse]);
    let document = attach(&model, &doc).await;
    assert_eq!(read(&model.doc("todo")), "text");
    drop(document);
}

#[tokio::test(start_paused = true)]
async fn stopping_without_the_volt_reports_unsent_edits() {
    let model = Model::default();
    let doc = Doc::new();
    write(&doc, "text");
    model.next([0; 99].map(|_| Behaviour::EndAtDone));
    let document = attaching(&model, &doc).await.unwrap();
    write(&doc, " and more");
    state(&document, |state| state.reason().is_some()).await;
    assert!(soon(document.stop()).await.is_err());
    assert_eq!(read(&doc), "text and more");
}

#[tokio::test]
async fn an_open_transaction_delays_only_its_document() {
    let model = Model::default();
    let (one, two) = (Doc::new(), Doc::new());
    let first = attach(&model, &one).await;
    let second = attach(&model, &two).await;
    {
        use volt_api::documents::yrs::Transact as _;
        let transaction = one.transact_mut();
        write(&two, "text");
        soon(second.flush()).await.unwrap();
        drop(transaction);
    }
    until(|| read(&one) == "text").await;
    drop(first);
}
