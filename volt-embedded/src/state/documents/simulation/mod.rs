//! Providers of the SDK and the Volt's documents over a network that delays, cuts and reorders between
//! calls, with simulated time: after quiet all documents are equal to the one on file and hold every
//! edit, and every provider knows the awareness states of those that are attached.
//!
//! The SDK's exchange and the Volt's documents are the real ones; only their tasks and the network are
//! simulated. `VOLT_SYNC_RUNS` sets the number of runs, `VOLT_SYNC_SEED` the first seed.

mod network;
mod presence;
mod provider;
mod volt;
mod world;

use std::{collections::BTreeMap, env};

use self::{
    provider::{Provider, content, numbers},
    world::World,
};

/// The number of runs, unless the environment sets another.
const RUNS: u64 = 100;

/// The events that must happen in some of the runs.
const EVENTS: &[&str] = &[
    "a document stops",
    "a document that stops loses its call",
    "a message of a lost call arrives",
    "a provider is refused",
    "a provider may only read",
    "a provider sends an update in pieces",
    "a slow caller needs a difference",
    "an edit comes between DONE and its answer",
    "an edit is confirmed",
    "an edit is larger than a piece",
    "the Volt does not answer in time",
    "the Volt restarts",
    "the Volt sends an update in pieces",
];

/// Runs one world to its end. Returns what has happened in it.
fn run(seed: u64) -> BTreeMap<&'static str, usize> {
    let mut world = World::new(seed);
    for _ in 0..100 + world.random.below(400) {
        world.step(true);
    }
    world.recover();
    world.settle();
    check_readers(&world);
    world.let_readers_write();
    world.settle();
    check_equal(&world);
    // The states are renewed at intervals.
    for _ in 0..2 {
        world.pass(15_000);
        world.settle();
    }
    check_awareness(&world);
    world.retire();
    world.settle();
    check_awareness(&world);
    check_equal(&world);
    world.seen
}

/// Checks that the Volt has every edit except those of documents that send none, which stay there.
fn check_readers(world: &World) {
    let stored = numbers(&world.volt.stored());
    for provider in &world.providers {
        let here = numbers(&provider.doc);
        assert!(here.is_superset(&stored), "a document lacks edits");
        let own = provider.added.iter().copied().collect();
        assert!(here.is_superset(&own), "a document lacks its own edits");
        if provider.settings.read_only {
            assert!(stored.is_disjoint(&own), "the Volt has the edits of a reader");
        } else {
            assert!(stored.is_superset(&own), "the Volt lacks edits");
        }
    }
}

/// Checks that all documents are equal, and that they hold every edit.
fn check_equal(world: &World) {
    let stored = world.volt.stored();
    assert!(numbers(&stored).into_iter().eq(1..=world.edits), "the Volt lacks edits");
    let whole = content(&stored);
    for provider in &world.providers {
        assert_eq!(provider.content(), whole, "the documents differ");
    }
    let yrs::Any::Map(writes) = &whole.1["volt"] else { panic!("not a map") };
    assert_eq!(i64::try_from(writes.len()), Ok(world.writes), "changes by the Volt are lost");
}

/// Checks that every attached provider knows the states of all that are attached.
fn check_awareness(world: &World) {
    let attached = world.providers.iter().filter(|provider| provider.attachment.is_some());
    let present: BTreeMap<_, _> = attached.clone().filter_map(Provider::own_state).collect();
    for states in attached.filter_map(Provider::states) {
        assert_eq!(states, present, "the awareness states differ");
    }
}

#[test]
fn providers_and_the_stored_document_become_equal() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let runs = number("VOLT_SYNC_RUNS").unwrap_or(RUNS);
    let first = number("VOLT_SYNC_SEED").unwrap_or(0);
    let mut seen = BTreeMap::<_, usize>::new();
    for seed in first..first + runs {
        let Ok(events) = std::panic::catch_unwind(|| run(seed)) else {
            panic!("repeat it with VOLT_SYNC_RUNS=1 VOLT_SYNC_SEED={seed}");
        };
        for (event, times) in events {
            *seen.entry(event).or_default() += times;
        }
    }
    let missing: Vec<_> = EVENTS.iter().filter(|what| !seen.contains_key(*what)).collect();
    assert!(runs < RUNS || missing.is_empty(), "no run has {missing:?}: {seen:?}");
}
