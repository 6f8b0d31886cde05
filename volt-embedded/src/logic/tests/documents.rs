//! Documents: their memory, their log, and failed changes as other callers see them.

use volt_api::{
    Code,
    volt::{Resource, SaveSyncDatabaseRequest, SyncDocumentStart},
};
use yrs::{Doc, ReadTxn as _, StateVector, Text as _, Transact as _};

use super::{owner, volt};
use crate::{
    actor::Actor, error::Fault, rights::DATABASE_READ, state::documents::Seat,
    sync::document::Document,
};

fn database(actor: &Actor, request: SaveSyncDatabaseRequest) -> String {
    let resource = Resource::default().with_name("documents");
    let request = request.with_resource(resource).with_create(true);
    actor.save_sync_database(request).unwrap().id
}

fn join(actor: &Actor, database: &str, document: &str) -> Seat {
    let start = SyncDocumentStart::default().with_database_id(database).with_document_id(document);
    actor.join_document(&start).unwrap().0
}

/// Returns one update for each character.
fn updates(text: &str) -> Vec<Vec<u8>> {
    let doc = Doc::new();
    let root = doc.get_or_insert_text("text");
    let update = |(index, char): (usize, char)| {
        let before = doc.transact().state_vector();
        let index = u32::try_from(index).unwrap();
        root.insert(&mut doc.transact_mut(), index, &char.to_string());
        doc.transact().encode_state_as_update_v2(&before)
    };
    text.chars().enumerate().map(update).collect()
}

fn apply(actor: &Actor, seat: &Seat, update: &[u8]) -> Result<(), Fault> {
    seat.document().apply(actor.author(Some(seat.call())), update)
}

/// Returns the number of updates in the log of a document, and its text.
fn logged(actor: &Actor, database: &str) -> (usize, String) {
    let reached = actor.reach_documents(database, DATABASE_READ).unwrap();
    let mut document = Document::new();
    let logged = reached.archive.replay("doc", |update| {
        document.apply(update).unwrap();
        Ok(())
    });
    let text = document.json().unwrap()["text"].as_str().unwrap_or_default().to_owned();
    (logged.unwrap().updates, text)
}

#[test]
fn unused_documents_are_not_in_memory() {
    let volt = volt();
    let owner = owner(&volt);
    let database = database(&owner, SaveSyncDatabaseRequest::default());
    let seats: Vec<_> =
        (0..1000).map(|number| join(&owner, &database, &number.to_string())).collect();
    assert_eq!(volt.documents.in_memory(), 1000);
    let again = join(&owner, &database, "0");
    assert_eq!(volt.documents.in_memory(), 1000);
    drop(seats);
    assert_eq!(volt.documents.in_memory(), 1);
    drop(again);
    assert_eq!(volt.documents.in_memory(), 0);
}

#[test]
fn updates_are_merged_in_batches_unless_the_database_keeps_all() {
    let volt = volt();
    let owner = owner(&volt);
    let text = "0123456789".repeat(5);
    for (request, expected) in [
        (SaveSyncDatabaseRequest::default(), 50),
        (SaveSyncDatabaseRequest::default().with_batch_size(20u32), 11),
        (SaveSyncDatabaseRequest::default().with_no_compaction(true), 50),
    ] {
        let database = database(&owner, request.clone());
        let seat = join(&owner, &database, "doc");
        for update in updates(&text) {
            apply(&owner, &seat, &update).unwrap();
        }
        // The first 21 become one, which is then merged with 20 more.
        let (updates, kept) = logged(&owner, &database);
        assert_eq!(kept, text);
        assert!(updates <= expected && updates > expected / 2, "{updates}, not {expected}");
        let document = seat.document().clone();
        drop(seat);
        document.tidy();
        let (updates, kept) = logged(&owner, &database);
        assert_eq!(kept, text);
        assert_eq!(updates == 50, request.no_compaction, "{updates}");
    }
}

#[test]
fn changed_settings_apply_to_documents_in_use() {
    let volt = volt();
    let owner = owner(&volt);
    let request = SaveSyncDatabaseRequest::default();
    let database = database(&owner, request.clone().with_no_compaction(true));
    let seat = join(&owner, &database, "doc");
    let updates = updates(&"0123456789".repeat(4));
    for update in &updates[..30] {
        apply(&owner, &seat, update).unwrap();
    }
    assert_eq!(logged(&owner, &database).0, 30);
    let resource = Resource::default().with_id(&database);
    owner.save_sync_database(request.with_resource(resource).with_batch_size(20u32)).unwrap();
    for update in &updates[30..] {
        apply(&owner, &seat, update).unwrap();
    }
    assert!(logged(&owner, &database).0 <= 20);
}

#[test]
fn a_repeated_change_is_not_stored() {
    let volt = volt();
    let owner = owner(&volt);
    let database = database(&owner, SaveSyncDatabaseRequest::default());
    let seat = join(&owner, &database, "doc");
    for update in updates("ab") {
        for _ in 0..3 {
            apply(&owner, &seat, &update).unwrap();
        }
    }
    assert_eq!(logged(&owner, &database), (2, "ab".to_owned()));
}

#[test]
fn a_change_that_cannot_be_stored_is_not_made() {
    let volt = volt();
    let owner = owner(&volt);
    let database = database(&owner, SaveSyncDatabaseRequest::default());
    let seat = join(&owner, &database, "doc");
    let updates = updates("abc");
    apply(&owner, &seat, &updates[0]).unwrap();
    // The disk loses the file.
    let path = volt.disk.open_database(&database, crate::disk::Purpose::Documents, || Ok(()));
    let path = path.unwrap();
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside).unwrap();
    let outcome = apply(&owner, &seat, &updates[1]);
    let Err(Fault::Refused(status)) = outcome else { panic!("not refused: {outcome:?}") };
    assert_eq!(status.code(), Code::NotFound);
    std::fs::rename(&aside, &path).unwrap();
    // The document is unchanged and still works.
    let state = seat.document().with(|document| Ok(document.missing(&StateVector::default())?));
    assert_eq!(state.unwrap(), {
        let mut document = Document::new();
        document.apply(&updates[0]).unwrap();
        document.whole().unwrap()
    });
    apply(&owner, &seat, &updates[1]).unwrap();
    apply(&owner, &seat, &updates[2]).unwrap();
    assert_eq!(logged(&owner, &database).1, "abc");
}
