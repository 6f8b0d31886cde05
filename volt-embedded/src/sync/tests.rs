//! Hostile updates, and the order of a caller's outgoing messages.

use std::sync::Arc;

use proptest::{prelude::*, test_runner::Config};
use volt_api::{
    Code,
    volt::{SyncDocumentRequest, SyncDocumentStart, SyncDocumentUpdate, SyncState},
};
use yrs::{
    Array as _, Doc, Map as _, MapPrelim, MapRef, OffsetKind, Options, ReadTxn as _, StateVector,
    Text as _, Transact as _, Update,
};

use super::{
    document::{Document, Rejected, check},
    incoming::{Event, Incoming},
    outbox::{Next, Outbox},
    presence::{Presence, State},
};

/// Returns an update with these columns, followed by `rest`.
fn raw(columns: [&[u8]; 9], rest: &[u8]) -> Vec<u8> {
    let mut update = vec![0];
    for column in columns {
        let length = u8::try_from(column.len()).unwrap();
        assert!(length < 0x80);
        update.push(length);
        update.extend_from_slice(column);
    }
    update.extend_from_slice(rest);
    update
}

const MOST: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x0f];
/// Fewer blocks, so that the number itself is valid.
const MANY: [u8; 5] = [0xf0, 0xff, 0xff, 0xff, 0x0f];

#[track_caller]
fn refused(update: &[u8]) {
    let outcome = Document::new().apply(update);
    let Err(Rejected::Refused(status)) = outcome else { panic!("not refused: {outcome:?}") };
    assert!([Code::InvalidArgument, Code::FailedPrecondition].contains(&status.code()));
}

#[test]
fn a_few_bytes_that_announce_billions_of_blocks_are_refused() {
    let repeated = [&[0x41][..], &MANY].concat();
    let rest = [&[1][..], &MOST, &[0]].concat();
    // Collected, skipped, deleted, and empty blocks.
    refused(&raw([&[], &[1], &[], &[], &[0], &[0], &[], &[], &repeated], &rest));
    refused(&raw([&[], &[1], &[], &[], &[10], &[0], &[], &[], &repeated], &rest));
    let empty = [&[0x40][..], &MANY].concat();
    let info = [0x84];
    refused(&raw(
        [&[], &empty, &empty, &[], &info, &[&[0][..], &empty].concat(), &[], &[], &[]],
        &rest,
    ));
    // As many clients.
    refused(&raw([&[], &empty, &[], &[], &[], &[0], &[], &[], &[]], &rest));
    // As many deletions, and values.
    let rest = [&[0, 1, 1][..], &MOST].concat();
    refused(&raw([&[], &[], &[], &[], &[], &[0], &[], &[], &[]], &rest));
    let rest = [&[1, 1, 0][..], &[117], &MOST].concat();
    refused(&raw([&[], &[1], &[], &[], &[0x08], &[1, b'r', 1], &[1], &[], &[1]], &rest));
    let rest = [&[1, 1, 0][..], &[118], &MOST].concat();
    refused(&raw([&[], &[1], &[], &[], &[0x08], &[1, b'r', 1], &[1], &[], &[1]], &rest));
}

#[test]
fn values_that_are_nested_too_deeply_are_refused() {
    let nested = |depth: usize| {
        let value = [[117, 1].repeat(depth), vec![126]].concat();
        let rest = [&[1, 1, 0][..], &value, &[0]].concat();
        raw([&[], &[1], &[], &[], &[0x08], &[1, b'r', 1], &[1], &[], &[1]], &rest)
    };
    Document::new().apply(&nested(50)).unwrap().unwrap();
    refused(&nested(1_000_000));
}

/// Nests maps in a document.
fn nest(doc: &Doc, depth: usize) -> MapRef {
    let mut map = doc.get_or_insert_map("map");
    for _ in 0..depth {
        let child = map.get(&doc.transact(), "child");
        map = match child {
            Some(yrs::Out::YMap(child)) => child,
            _ => map.insert(&mut doc.transact_mut(), "child", MapPrelim::default()),
        };
    }
    map
}

fn whole(doc: &Doc) -> Vec<u8> {
    doc.transact().encode_state_as_update_v2(&StateVector::default())
}

#[test]
fn shared_types_that_are_nested_too_deeply_are_refused() {
    let doc = Doc::new();
    nest(&doc, 150);
    let mut document = Document::new();
    document.apply(&whole(&doc)).unwrap().unwrap();
    let state = doc.transact().state_vector();
    nest(&doc, 300);
    refused(&whole(&doc));
    // Deep nesting in several steps is refused as well.
    let further = doc.transact().encode_state_as_update_v2(&state);
    assert!(matches!(document.apply(&further), Err(Rejected::Refused(_))));
    // Any number of types without nesting is accepted.
    let doc = Doc::new();
    let array = doc.get_or_insert_array("array");
    for _ in 0..1000 {
        let state = doc.transact().state_vector();
        array.push_back(&mut doc.transact_mut(), MapPrelim::default());
        let update = doc.transact().encode_state_as_update_v2(&state);
        document.apply(&update).unwrap().unwrap();
    }
    assert_eq!(check(&whole(&doc)).unwrap().nesting, 1);
}

#[test]
fn an_update_that_is_cut_off_is_refused() {
    let update = whole(&edited(&[3, 200, 17, 90, 4, 55, 130, 77, 12, 250]));
    for length in 0..update.len() {
        refused(&update[..length]);
    }
}

/// Returns a document after some edits.
fn edited(choices: &[u8]) -> Doc {
    // The unit of Yjs, as in documents of the Volt.
    let options = Options { offset_kind: OffsetKind::Utf16, ..Options::default() };
    let doc = Doc::with_options(options);
    edit(&doc, choices);
    doc
}

fn edit(doc: &Doc, choices: &[u8]) {
    let (text, map) = (doc.get_or_insert_text("text"), doc.get_or_insert_map("map"));
    let array = doc.get_or_insert_array("array");
    for choice in choices {
        let mut txn = doc.transact_mut();
        let length = text.len(&txn);
        match choice % 8 {
            0 | 1 => text.insert(&mut txn, u32::from(*choice) % (length + 1), "naïve ☃"),
            2 if length > 0 => {
                text.remove_range(&mut txn, 0, 1 + u32::from(*choice) % length.min(4));
            }
            3 => text.insert_with_attributes(
                &mut txn,
                0,
                "bold",
                [("b".into(), true.into())].into_iter().collect(),
            ),
            4 => {
                map.insert(&mut txn, format!("{}", choice % 5), f64::from(*choice));
            }
            5 => {
                map.insert(&mut txn, "nested", MapPrelim::from([("n", i64::from(*choice))]));
            }
            6 => {
                array.push_back(&mut txn, vec![*choice; 3]);
            }
            _ => {
                array.insert(&mut txn, 0, "element");
            }
        }
    }
}

/// The number of documents that are tried.
fn cases() -> u32 {
    std::env::var("VOLT_DOCUMENT_CASES").map_or(300, |cases| cases.parse().unwrap())
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(cases()) })]

    /// Updates of the library pass the checks, and the estimate of their size is an upper bound.
    #[test]
    fn updates_of_honest_clients_are_applied(choices in prop::collection::vec(any::<u8>(), 1..60)) {
        let doc = edited(&choices);
        let mut document = Document::new();
        document.apply(&whole(&doc)).unwrap();
        prop_assert_eq!(document.state(), doc.transact().state_vector());
        prop_assert!(document.apply(&whole(&doc)).unwrap().is_none());
    }

    /// A damaged update results in an error or a change. After a change, the document still works: others
    /// can read it. After an error it is as it was, or reports that it must be loaded again.
    #[test]
    fn damaged_updates_do_no_harm(
        known in prop::collection::vec(any::<u8>(), 0..10),
        choices in prop::collection::vec(any::<u8>(), 1..30),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let doc = edited(&known);
        let mut document = Document::new();
        document.apply(&whole(&doc)).unwrap();
        let (before, state) = (document.identity(), document.state());
        edit(&doc, &choices);
        let mut update = doc.transact().encode_state_as_update_v2(&state);
        for (at, byte) in damage {
            let at = at.index(update.len());
            update[at] = byte;
        }
        match document.apply(&update) {
            Ok(_) => {
                let whole = document.whole().unwrap();
                let mut copy = Document::new();
                copy.apply(&whole).unwrap();
                // Contradictory changes can be ordered differently there, and delete others.
                copy.json().unwrap();
                document.json().unwrap();
            }
            Err(Rejected::Refused(_)) => prop_assert_eq!(document.identity(), before),
            Err(Rejected::Broken(_)) => {}
        }
    }
}

#[test]
fn changes_wait_for_the_missing_ones_before_them() {
    let doc = edited(&[0, 0, 0]);
    let state = doc.transact().state_vector();
    let text = doc.get_or_insert_text("text");
    text.insert(&mut doc.transact_mut(), 5, "later");
    let later = doc.transact().encode_state_as_update_v2(&state);
    let mut document = Document::new();
    document.apply(&later).unwrap().unwrap();
    assert!(document.state().is_empty());
    // Waiting changes are also kept and sent to others.
    let mut copy = Document::new();
    copy.apply(&document.whole().unwrap()).unwrap();
    for document in [&mut document, &mut copy] {
        document.apply(&whole(&doc)).unwrap().unwrap();
        assert_eq!(document.state(), doc.transact().state_vector());
        let text = document.json().unwrap()["text"].clone();
        assert!(text.as_str().unwrap().contains("later"));
    }
}

/// The published providers can lose an edit and send later ones.
#[test]
fn changes_after_a_lost_one_are_kept() {
    let doc = Doc::new();
    let map = doc.get_or_insert_map("map");
    map.insert(&mut doc.transact_mut(), "lost", 1);
    let state = doc.transact().state_vector();
    map.insert(&mut doc.transact_mut(), "kept", 2);
    let kept = doc.transact().encode_state_as_update_v2(&state);
    let mut document = Document::new();
    document.apply(&kept).unwrap().unwrap();
    let mut copy = Document::new();
    copy.apply(&document.merged().unwrap()).unwrap().unwrap();
    // A client receives the changes after the gap, regardless of its state.
    for state in [StateVector::default(), document.state(), doc.transact().state_vector()] {
        let mut client = Document::new();
        client.apply(&document.missing(&state).unwrap()).unwrap().unwrap();
        assert_eq!(client.json().unwrap(), serde_json::json!({"map": {"kept": 2}}));
    }
    for document in [&mut document, &mut copy] {
        // The state excludes the lost change, so that a client sends it again.
        assert!(document.state().iter().all(|(_, clock)| *clock == 0));
        document.apply(&whole(&doc)).unwrap().unwrap();
        let expected = serde_json::json!({"map": {"lost": 1, "kept": 2}});
        assert_eq!(document.json().unwrap(), expected);
    }
}

/// The library frees memory that it still uses after such updates.
#[test]
fn changes_that_overlap_in_impossible_ways_are_refused() {
    let elements = |clock: u8, count: u8| {
        let rest = [&[1, 1, clock][..], &vec![127; count.into()], &[0]].concat();
        raw([&[], &[1], &[], &[], &[0x08], &[1, b'r', 1], &[1], &[], &[count]], &rest)
    };
    // An item, of which the document has the end, but not the beginning.
    let mut document = Document::new();
    document.apply(&elements(5, 3)).unwrap().unwrap();
    assert!(matches!(document.apply(&elements(0, 8)), Err(Rejected::Refused(_))));
    document.apply(&elements(0, 5)).unwrap().unwrap();
    assert_eq!(document.json().unwrap()["r"].as_array().map(Vec::len), Some(8));
    // Two lists of changes of one client.
    let rest = [2, 1, 0, 127, 1, 0, 127, 0];
    let twice = [0x41, 0];
    let texts = [2, b'r', b'r', 0x41, 0];
    refused(&raw([&[], &twice, &[], &[], &[0x08], &texts, &[1], &[], &twice], &rest));
}

fn piece(state: SyncState, chunk: &[u8], complete: bool) -> SyncDocumentRequest {
    let update = SyncDocumentUpdate::default().with_chunk(chunk).with_complete(complete);
    SyncDocumentRequest::default().with_update(update).with_sync_state(state)
}

#[test]
fn pieces_are_reassembled_within_limits() {
    let start = SyncDocumentRequest::default().with_sync_start(SyncDocumentStart::default());
    let mut incoming = Incoming::default();
    assert!(matches!(incoming.receive(start.clone()), Ok(Some(Event::Start(_)))));
    // This message is out of order, and ignored.
    for early in [piece(SyncState::Update, b"x", true), start] {
        assert!(incoming.receive(early).unwrap().is_none());
    }
    assert!(incoming.receive(piece(SyncState::Done, b"a", false)).unwrap().is_none());
    let done = incoming.receive(piece(SyncState::Done, b"b", true)).unwrap();
    assert!(matches!(done, Some(Event::Done(update)) if update == b"ab"));
    // Awareness may come between the pieces of an update.
    assert!(incoming.receive(piece(SyncState::Update, b"c", false)).unwrap().is_none());
    let presence = incoming.receive(piece(SyncState::Awareness, b"p", true)).unwrap();
    assert!(matches!(presence, Some(Event::Presence(update)) if update == b"p"));
    let update = incoming.receive(piece(SyncState::Update, b"d", true)).unwrap();
    assert!(matches!(update, Some(Event::Update(update)) if update == b"cd"));
    let large = vec![0; 1 << 20];
    for _ in 0..32 {
        incoming.receive(piece(SyncState::Update, &large, false)).unwrap();
    }
    assert_eq!(incoming.held(), 32 << 20);
    let error = incoming.receive(piece(SyncState::Update, &large, true)).unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
}

#[test]
fn a_call_that_does_not_read_holds_little() {
    let mut outbox = Outbox::new(Update::EMPTY_V2.to_vec(), vec![0], false);
    outbox.done();
    let sent = |outbox: &mut Outbox| match outbox.next() {
        Some(Next::Message(message)) => message,
        other => panic!("not a message: {other:?}"),
    };
    assert_eq!(sent(&mut outbox).sync_state(), SyncState::Syncing);
    assert_eq!(sent(&mut outbox).sync_state(), SyncState::Done);
    assert!(outbox.next().is_none());
    let first: StateVector = [(yrs::block::ClientID::new(1), 7)].into_iter().collect();
    let (first, later) = (Arc::new(first), Arc::default());
    let update: Arc<[u8]> = b"change".as_slice().into();
    outbox.change(&update, &first);
    for _ in 0..10_000 {
        outbox.change(&update, &later);
    }
    outbox.present(&[(1, State { clock: 1, json: Some("1".into()) })]);
    outbox.present(&[(1, State { clock: 2, json: Some("2".into()) })]);
    assert_eq!(Arc::strong_count(&update), 1);
    // One update with everything since the first change that was not sent.
    let Some(Next::Diff(since)) = outbox.next() else { panic!("not behind") };
    assert_eq!(since, first);
    outbox.catch_up(b"everything".to_vec());
    assert_eq!(sent(&mut outbox).update.unwrap().chunk, b"everything");
    assert_eq!(sent(&mut outbox).update.unwrap().chunk, b"\x01\x01\x02\x012");
    assert!(outbox.next().is_none());
    outbox.finish();
    assert!(matches!(outbox.next(), Some(Next::Finished)));
}

#[test]
fn a_late_message_does_not_bring_a_client_back() {
    let mut presence = Presence::default();
    let here = b"\x01\x05\x03\x01\x31".as_slice();
    assert_eq!(presence.apply(1, here).unwrap().len(), 1);
    assert!(presence.apply(2, here).unwrap().is_empty());
    assert_eq!(presence.leave(1), [(5, State { clock: 3, json: None })]);
    assert!(presence.apply(2, here).unwrap().is_empty());
    assert!(presence.all().is_empty());
    // A newer message brings it back.
    assert_eq!(presence.apply(3, b"\x01\x05\x04\x01\x31").unwrap().len(), 1);
    assert_eq!(presence.apply(3, b"\x01\x05\x04\x04null").unwrap().len(), 1);
    for wrong in
        [b"\x01".as_slice(), b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x01\x05\x04\x02{]"]
    {
        assert!(presence.apply(3, wrong).is_err());
    }
}

#[test]
fn one_call_cannot_fill_a_document_with_clients() {
    let mut presence = Presence::default();
    let refused = (0..1000u32).find_map(|client| {
        let (high, low) = (client / 128, client % 128);
        let client = [low.to_le_bytes()[0] | 0x80, high.to_le_bytes()[0]];
        presence.apply(1, &[&[1][..], &client, &[1, 1, b'1']].concat()).err()
    });
    assert_eq!(refused.unwrap().code(), Code::ResourceExhausted);
    assert_eq!(presence.apply(2, b"\x01\x05\x09\x01\x31").unwrap().len(), 1);
}
