//! Updates that others wrote: those that the program applies itself, and hostile ones of a Volt.

use yrs::{Map as _, MapPrelim, MapRef, Out, Text as _, Transact as _};

use super::*;

fn whole(doc: &Doc) -> Vec<u8> {
    updates::missing(&doc.transact(), &StateVector::default()).unwrap()
}

fn observe(doc: &Doc) -> (Replica, Arc<Mutex<Vec<Vec<u8>>>>) {
    let local = Arc::<Mutex<Vec<Vec<u8>>>>::default();
    let kept = Arc::clone(&local);
    let changed = move |update| lock(&kept).push(update);
    let replica = Replica::observe(doc, &mut doc.transact_mut(), changed);
    (replica, local)
}

fn apply(replica: &Replica, update: &[u8]) -> Result<()> {
    let update = decode(update)?;
    replica.apply(replica.doc().transact_mut_with(replica.origin()), update)
}

/// Returns an update with a key of a map, without the one before it.
fn after_a_lost_one() -> Vec<u8> {
    let doc = Doc::new();
    let map = doc.get_or_insert_map("map");
    map.insert(&mut doc.transact_mut(), "lost", 1);
    let state = doc.transact().state_vector();
    map.insert(&mut doc.transact_mut(), "kept", 2);
    updates::missing(&doc.transact(), &state).unwrap()
}

#[test]
fn edits_behind_a_gap_reach_the_volt() {
    let doc = Doc::new();
    let (replica, local) = observe(&doc);
    let update = Update::decode_v2(&after_a_lost_one()).unwrap();
    doc.transact_mut().apply_update(update).unwrap();
    let answers = [
        beyond(&doc.transact(), &[]).unwrap(),
        // The Volt stops at the same gap.
        beyond(&doc.transact(), &vector(&doc.transact())).unwrap(),
        lock(&local).pop().expect("the edit is noticed"),
    ];
    for answer in answers {
        let volt = Doc::new();
        volt.transact_mut().apply_update(Update::decode_v2(&answer).unwrap()).unwrap();
        let map = volt.get_or_insert_map("map");
        assert!(map.contains_key(&volt.transact(), "kept"));
    }
    replica.release(&doc.transact_mut());
    doc.get_or_insert_map("map").insert(&mut doc.transact_mut(), "later", 3);
    assert!(lock(&local).is_empty());
}

#[test]
fn values_that_are_nested_too_deeply_are_an_error() {
    let nested = |depth: usize| {
        let columns: [&[u8]; 9] = [&[], &[1], &[], &[], &[0x08], &[1, b'r', 1], &[1], &[], &[1]];
        let mut update = vec![0];
        for column in columns {
            update.push(u8::try_from(column.len()).unwrap());
            update.extend_from_slice(column);
        }
        update.extend_from_slice(&[1, 1, 0]);
        update.extend([117, 1].repeat(depth));
        update.extend_from_slice(&[126, 0]);
        update
    };
    let doc = Doc::new();
    let (replica, _) = observe(&doc);
    apply(&replica, &nested(50)).unwrap();
    let error = apply(&replica, &nested(1_000_000)).unwrap_err();
    assert!(error.to_string().contains("nested too deep"), "{error}");
}

/// Nests maps in a document.
fn nest(doc: &Doc, depth: usize) {
    let mut map: MapRef = doc.get_or_insert_map("map");
    for _ in 0..depth {
        let child = map.get(&doc.transact(), "child");
        map = match child {
            Some(Out::YMap(child)) => child,
            _ => map.insert(&mut doc.transact_mut(), "child", MapPrelim::default()),
        };
    }
}

#[test]
fn shared_types_nested_too_deeply_step_by_step_are_an_error() {
    let volt = Doc::new();
    let doc = Doc::new();
    let (replica, _) = observe(&doc);
    let applied = (1..100).take_while(|step| {
        nest(&volt, step * 20);
        let update = updates::missing(&volt.transact(), &doc.transact().state_vector()).unwrap();
        apply(&replica, &update).is_ok()
    });
    let applied = applied.count();
    assert_eq!(applied, 10);
    // Content that others have deleted meanwhile does not count.
    let map = volt.get_or_insert_map("map");
    map.remove(&mut volt.transact_mut(), "child");
    apply(&replica, &whole(&volt)).unwrap();
    nest(&volt, 20);
    let update = updates::missing(&volt.transact(), &doc.transact().state_vector()).unwrap();
    apply(&replica, &update).unwrap();
}

/// The library accepts some damaged updates. Either the document can be written after one, or that is
/// reported.
#[test]
fn damaged_updates_do_not_panic() {
    let source = Doc::with_client_id(7);
    let (map, text) = (source.get_or_insert_map("map"), source.get_or_insert_text("text"));
    for number in 0..4 {
        text.insert(&mut source.transact_mut(), 0, "naïve ☃");
        let inner = MapPrelim::from([("inner", number)]);
        map.insert(&mut source.transact_mut(), format!("key {number}"), inner);
        text.remove_range(&mut source.transact_mut(), 1, 3);
    }
    let update = whole(&source);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from((random >> 33) % limit as u64).unwrap()
    };
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut damaged = update.clone();
        for _ in 0..=next(3) {
            let at = next(damaged.len());
            damaged[at] = u8::try_from(next(256)).unwrap();
        }
        let doc = Doc::new();
        let (replica, _) = observe(&doc);
        if apply(&replica, &damaged).is_err() {
            continue;
        }
        accepted += 1;
        match beyond(&doc.transact(), &[]) {
            Ok(whole) => drop(decode(&whole).unwrap()),
            Err(error) => assert!(error.to_string().contains("cannot be written"), "{error}"),
        }
    }
    assert!(accepted > 0);
}
