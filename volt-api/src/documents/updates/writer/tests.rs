//! Documents with gaps.

use std::sync::{Arc, Mutex};

use yrs::{
    Any, Doc, GetString as _, Map as _, Out, StateVector, Text as _, Transact as _, types::Attrs,
};

use super::*;

fn apply(doc: &Doc, update: &[u8]) {
    doc.transact_mut().apply_update(Update::decode_v2(update).unwrap()).unwrap();
}

/// Returns the keys of a document's map.
fn keys(doc: &Doc) -> Vec<String> {
    let map = doc.get_or_insert_map("map");
    let mut keys: Vec<_> = map.keys(&doc.transact()).map(str::to_owned).collect();
    keys.sort();
    keys
}

/// Returns a document with three edits of one key each, and its updates.
fn edits() -> (Doc, [Vec<u8>; 3]) {
    let doc = Doc::new();
    let map = doc.get_or_insert_map("map");
    let edits = ["a", "b", "c"].map(|key| {
        let mut transaction = doc.transact_mut();
        map.insert(&mut transaction, key, 1);
        of_transaction(&transaction)
    });
    (doc, edits)
}

#[test]
fn changes_after_a_gap_can_be_read_again() {
    let (source, [first, _, last]) = edits();
    for known in [vec![&last], vec![&first, &last]] {
        let doc = Doc::new();
        for update in &known {
            apply(&doc, update);
        }
        // Documents that have as many changes before the gap, or more, can read it too.
        let (own, all) = (doc.transact().state_vector(), source.transact().state_vector());
        for state in [StateVector::default(), own, all] {
            let reader = Doc::new();
            let update = missing(&doc.transact(), &state).unwrap();
            if state != StateVector::default() && known.len() > 1 {
                apply(&reader, &first);
            }
            apply(&reader, &update);
            assert_eq!(keys(&reader), keys(&doc));
            // The document accepts the missing changes.
            assert_eq!(reader.transact().state_vector(), doc.transact().state_vector());
            let rest = missing(&source.transact(), &reader.transact().state_vector()).unwrap();
            apply(&reader, &rest);
            assert_eq!(keys(&reader), ["a", "b", "c"]);
        }
    }
}

#[test]
fn merged_updates_with_a_gap_between_them_can_be_read() {
    let (source, [first, middle, last]) = edits();
    let merged = merge(&[first, last]).unwrap();
    let doc = Doc::new();
    apply(&doc, &merged);
    assert_eq!(keys(&doc), ["a", "c"]);
    apply(&doc, &middle);
    assert_eq!(doc.transact().state_vector(), source.transact().state_vector());
}

#[test]
fn a_transaction_behind_a_gap_is_written() {
    let (_, [first, middle, last]) = edits();
    let (doc, copy) = (Doc::new(), Doc::new());
    for (update, expected) in
        [(&first, &["a"][..]), (&last, &["a", "c"]), (&middle, &["a", "b", "c"])]
    {
        let mut transaction = doc.transact_mut();
        transaction.apply_update(Update::decode_v2(update).unwrap()).unwrap();
        let written = of_transaction(&transaction);
        drop(transaction);
        apply(&copy, &written);
        assert_eq!(keys(&copy), expected);
    }
}

#[test]
fn changes_that_wait_for_missing_ones_are_written_with_gaps() {
    let doc = Doc::new();
    let (text, map) = (doc.get_or_insert_text("text"), doc.get_or_insert_map("map"));
    text.push(&mut doc.transact_mut(), "lost");
    let edit = |work: &dyn Fn(&mut TransactionMut<'_>)| {
        let mut transaction = doc.transact_mut();
        work(&mut transaction);
        of_transaction(&transaction)
    };
    let waiting = edit(&|transaction| text.push(transaction, "waits"));
    let lost = edit(&|transaction| {
        map.insert(transaction, "lost", 1);
    });
    let deleting = edit(&|transaction| text.remove_range(transaction, 5, 2));
    let newest = edit(&|transaction| text.push(transaction, "last"));
    let copy = Doc::new();
    for update in [&waiting, &newest, &deleting] {
        apply(&copy, update);
    }
    assert!(copy.transact().has_missing_updates());
    let second = Doc::new();
    apply(&second, &missing(&copy.transact(), &StateVector::default()).unwrap());
    apply(&second, &lost);
    let rest = missing(&doc.transact(), &second.transact().state_vector()).unwrap();
    apply(&second, &rest);
    assert_eq!(second.transact().state_vector(), doc.transact().state_vector());
    let second = second.get_or_insert_text("text").get_string(&second.transact());
    assert_eq!(second, text.get_string(&doc.transact()));
}

#[test]
fn binary_values_survive_a_gap() {
    let bytes = || Any::Buffer(Arc::from([0_u8, 255, 7]));
    let doc = Doc::new();
    let (text, map) = (doc.get_or_insert_text("text"), doc.get_or_insert_map("map"));
    map.insert(&mut doc.transact_mut(), "lost", 1);
    let state = doc.transact().state_vector();
    {
        let mut transaction = doc.transact_mut();
        text.insert_embed(&mut transaction, 0, bytes());
        text.insert_with_attributes(
            &mut transaction,
            1,
            "x",
            Attrs::from([("mark".into(), bytes())]),
        );
    }
    let later = missing(&doc.transact(), &state).unwrap();
    let gap = Doc::new();
    apply(&gap, &later);
    let copy = Doc::new();
    apply(&copy, &missing(&gap.transact(), &StateVector::default()).unwrap());
    let text = copy.get_or_insert_text("text");
    let found = text.diff(&copy.transact(), yrs::types::text::YChange::identity);
    assert_eq!(found[0].insert, Out::Any(bytes()));
    assert_eq!(found[1].attributes.as_deref(), Some(&Attrs::from([("mark".into(), bytes())])));
}

/// The client, whose own changes do not contain gaps, writes what the library does.
#[test]
fn an_update_without_gaps_matches_the_librarys() {
    let doc = Doc::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    doc.observe_update_v2("test", move |transaction, event| {
        kept.lock().unwrap().push((event.update.clone(), of_transaction(transaction)));
    })
    .unwrap();
    let (text, map) = (doc.get_or_insert_text("text"), doc.get_or_insert_map("map"));
    text.push(&mut doc.transact_mut(), "naïve ☃");
    map.insert(&mut doc.transact_mut(), "key", vec![Any::from(1.5), Any::Null]);
    text.remove_range(&mut doc.transact_mut(), 1, 3);
    assert_eq!(seen.lock().unwrap().len(), 3);
    for (library, own) in seen.lock().unwrap().iter() {
        assert_eq!(own, library);
    }
    let transaction = doc.transact();
    let library = transaction.encode_state_as_update_v2(&StateVector::default());
    assert_eq!(missing(&transaction, &StateVector::default()).unwrap(), library);
}
