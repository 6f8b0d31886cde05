//! Kills the program at random while it is busy: everything that it acknowledged is still there
//! after a restart, and nothing else.
//!
//! `VOLT_KILL_SECONDS` sets how long the program is killed and restarted. By default it is killed
//! three times. `VOLT_KILL_SEED` repeats the moments of a failed run.

#![allow(clippy::unwrap_used)]

mod documents;
mod facts;
mod follow;
mod process;

use std::{
    collections::BTreeSet,
    env,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tempfile::tempdir;
use volt_api::{
    Client,
    data::{CreateDatabaseRequest, SqlBulkUpdateRequest},
    volt::{GetResourcesRequest, Resource, SaveSyncDatabaseRequest, SaveWireRequest},
};
use volt_test_support::soon;

use self::{
    facts::{Fact, KINDS, Places},
    process::Process,
};

/// The number of kills, unless a time is set.
const KILLS: usize = 3;
/// The number of facts that are acknowledged before a kill.
const BUSY: usize = 60;
/// The longest time between that and the kill, in milliseconds.
const LATER: u64 = 500;

/// Creates what the work needs.
async fn prepare(client: &Client) -> Places {
    let create = CreateDatabaseRequest::default().with_name("db");
    let database = client.sqlite_server().create_database(create).await.unwrap().resource.unwrap();
    let tables = ["CREATE TABLE pair (n INTEGER, half TEXT)", "CREATE TABLE single (n INTEGER)"];
    let tables =
        SqlBulkUpdateRequest::default().with_database_id(&database.id).with_statement(tables);
    client.sqlite_database().bulk_update(tables).await.unwrap();
    let wire = SaveWireRequest::default()
        .with_resource(Resource::default().with_name("wire"))
        .with_create(true)
        .with_persist(true);
    let wire = client.wire().save_wire(wire).await.unwrap().resource.unwrap();
    let replaced = facts::save(client, "", "replaced", "volt:file").await.unwrap();
    facts::upload(client, &replaced, "0").await.unwrap();
    let documents = SaveSyncDatabaseRequest::default()
        .with_resource(Resource::default().with_name("documents"))
        .with_create(true);
    let documents = client.sync().save_sync_database(documents).await.unwrap().resource.unwrap();
    Places { database: database.id, wire: wire.id, replaced, documents: documents.id }
}

/// Runs work until the Volt is killed, which happens after `delay`. Returns the acknowledged facts.
async fn work(
    mut volt: Process,
    client: Client,
    places: &Places,
    next: &Arc<AtomicUsize>,
    delay: Duration,
) -> Vec<Fact> {
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..KINDS)
        .map(|kind| {
            let (client, places) = (client.clone(), places.clone());
            let (next, acknowledged) = (Arc::clone(next), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let mut facts = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    match facts::work(kind, &client, &places, number).await {
                        Ok(fact) => facts.push(fact),
                        Err(error) => {
                            assert!(error.is_connection(), "kind {kind}: {error}");
                            break facts;
                        }
                    }
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    soon(async {
        while acknowledged.load(Ordering::Relaxed) < BUSY {
            tokio::task::yield_now().await;
        }
    })
    .await;
    tokio::time::sleep(delay).await;
    volt.kill();
    // Otherwise calls would wait indefinitely for a new connection, because the Volt is not
    // restarted there.
    client.close().await;
    let mut facts = Vec::new();
    for worker in workers {
        facts.extend(soon(worker).await.unwrap());
    }
    facts
}

/// Checks that the data folder contains only data of existing resources.
async fn no_orphans(client: &Client, data: &Path) {
    let all = client.volt().get_resources(GetResourcesRequest::default()).await.unwrap();
    let ids: BTreeSet<_> = all.resource.iter().map(|one| one.id.replace(':', "+")).collect();
    for (folder, end) in
        [("files", ""), ("databases", ".db"), ("documents", ".db"), ("incoming", "")]
    {
        for entry in std::fs::read_dir(data.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let id = if end.is_empty() { &name } else { name.rsplit_once(end).unwrap().0 };
            assert!(ids.contains(id), "{folder}/{name}");
        }
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Returns a seed that differs from run to run.
fn by_time() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::from(time.subsec_nanos())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_a_kill() {
    let begin = Instant::now();
    let seconds = number("VOLT_KILL_SECONDS").map(Duration::from_secs);
    let seed = number("VOLT_KILL_SEED").unwrap_or_else(by_time);
    println!("VOLT_KILL_SEED={seed}");
    let (data, other) = (tempdir().unwrap(), tempdir().unwrap());
    let config = other.path().join("volt.config.json");
    let (mut volt, mut client) = Process::start(data.path(), &config).await;
    let places = prepare(&client).await;
    let (next, mut all, mut kills) = (Arc::new(AtomicUsize::new(1)), Vec::new(), 0);
    let mut random = seed;
    let go_on = |kills| match seconds {
        Some(seconds) => begin.elapsed() < seconds,
        None => kills < KILLS,
    };
    while go_on(kills) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let delay = Duration::from_millis((random >> 33) % LATER);
        let facts = work(volt, client, &places, &next, delay).await;
        kills += 1;
        (volt, client) = Process::start(data.path(), &config).await;
        facts::check(&client, &places, &facts).await;
        no_orphans(&client, data.path()).await;
        all.extend(facts);
    }
    // Facts acknowledged before the first kill survived the last one.
    facts::check(&client, &places, &all).await;
    println!("{kills} kills, {} acknowledged facts, all kept", all.len());
}
