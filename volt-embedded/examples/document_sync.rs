//! Measures documents on an embedded Volt in its own process.
//!
//! ```text
//! cargo run --release -p volt-embedded --example document_sync
//! ```
//!
//! It prints the time until a new client has a document of 1 and 10 MiB, the edits per second that 1, 10
//! and 100 others receive and the latency of single edits, and the Volt's memory for 1,000 open documents.
//! All clients are in this process.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    env, future,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Runtime,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::yield_now,
    time::interval,
};
use volt_api::{
    Client, ClientConfig, Result,
    documents::{
        SyncedDocument,
        yrs::{Array as _, ArrayRef, Doc, GetString as _, Text as _, Transact as _},
    },
};
use volt_embedded::EmbeddedVolt;

use self::support::Process;

type Fallible<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The number of edits that are made as fast as possible, and of those whose latency is measured.
const EDITS: u32 = 2000;
const SINGLE: u32 = 500;
/// The pause between two edits whose latency is measured.
const PAUSE: Duration = Duration::from_millis(20);
const DOCUMENTS: u32 = 1000;

async fn attach(client: &Client, doc: &Doc, id: &str) -> Result<SyncedDocument> {
    let document = client.sync().attach(doc, "@bench", id).batch(Duration::ZERO).await?;
    document.synced().await?;
    Ok(document)
}

/// Prints the time until a new client has a document.
async fn sizes(client: &Client) -> Fallible {
    println!("| size | a new client has it after | the next one after |");
    println!("|---|---:|---:|");
    for mebibytes in [1, 10] {
        let id = format!("size-{mebibytes}");
        let doc = Doc::new();
        let text = doc.get_or_insert_text("text");
        for line in 0..mebibytes << 14 {
            // At the beginning, so that each line stays a block of its own.
            text.insert(&mut doc.transact_mut(), 0, &format!("{line:>62}.\n"));
        }
        let length = text.get_string(&doc.transact()).len();
        let writer = attach(client, &doc, &id).await?;
        writer.flush().await?;
        let mut times = Vec::new();
        for _ in 0..2 {
            let copy = Doc::new();
            let begin = Instant::now();
            let reader = attach(client, &copy, &id).await?;
            times.push(begin.elapsed().as_millis());
            let text = copy.get_or_insert_text("text");
            assert_eq!(text.get_string(&copy.transact()).len(), length);
            reader.stop().await?;
        }
        println!("| {mebibytes} MiB | {} ms | {} ms |", times[0], times[1]);
        writer.stop().await?;
    }
    Ok(())
}

/// A reader of a document. Reports the length of the list after each change.
fn observe(doc: &Doc) -> UnboundedReceiver<(u32, Instant)> {
    let list = doc.get_or_insert_array("list");
    let (lengths, received) = unbounded_channel();
    doc.observe_update_v2("bench", move |transaction, _| {
        // The receiver is dropped at the end.
        let _ = lengths.send((list.len(transaction), Instant::now()));
    })
    .unwrap();
    received
}

/// Waits until each reader has so many edits. Returns when each had them.
async fn reached(readers: &mut [UnboundedReceiver<(u32, Instant)>], edits: u32) -> Vec<Instant> {
    let mut times = Vec::new();
    for reader in readers {
        while let Some((length, at)) = reader.recv().await {
            if length >= edits {
                times.push(at);
                break;
            }
        }
    }
    times
}

fn edit(doc: &Doc, list: &ArrayRef, number: u32) {
    list.push_back(&mut doc.transact_mut(), number);
}

/// Prints how many edits others receive, and how soon.
async fn readers(client: &Client, count: usize) -> Fallible {
    let id = format!("readers-{count}");
    let doc = Doc::new();
    let list = doc.get_or_insert_array("list");
    let writer = attach(client, &doc, &id).await?;
    let docs: Vec<_> = (0..count).map(|_| Doc::new()).collect();
    let mut received: Vec<_> = docs.iter().map(observe).collect();
    let mut documents = Vec::new();
    for doc in &docs {
        documents.push(attach(client, doc, &id).await?);
    }
    let begin = Instant::now();
    for number in 0..EDITS {
        edit(&doc, &list, number);
        // The writer sends what there is.
        yield_now().await;
    }
    let end = reached(&mut received, EDITS).await.into_iter().max().unwrap();
    let rate = f64::from(EDITS) / (end - begin).as_secs_f64();
    let mut latencies = Vec::new();
    let mut ticks = interval(PAUSE);
    for number in EDITS..EDITS + SINGLE {
        ticks.tick().await;
        let begin = Instant::now();
        edit(&doc, &list, number);
        let times = reached(&mut received, number + 1).await;
        latencies.extend(times.into_iter().map(|at| at - begin));
    }
    latencies.sort();
    let at = |percent: usize| {
        latencies[(latencies.len() * percent / 100).min(latencies.len() - 1)].as_secs_f64() * 1e3
    };
    println!("| {count} | {rate:.0} | {:.2} ms | {:.2} ms |", at(50), at(99));
    for document in documents {
        document.stop().await?;
    }
    Ok(writer.stop().await?)
}

/// Prints the Volt's memory for open documents.
async fn memory(client: &Client, volt: &Process) -> Fallible {
    let before = volt.memory();
    let mut open = Vec::new();
    for number in 0..DOCUMENTS {
        let doc = Doc::new();
        let text = doc.get_or_insert_text("text");
        text.insert(&mut doc.transact_mut(), 0, &"x".repeat(1024));
        open.push(attach(client, &doc, &format!("memory-{number}")).await?);
    }
    let after = volt.memory();
    let each = (after - before) * 1024.0 / f64::from(DOCUMENTS);
    println!(
        "{DOCUMENTS} open documents of 1 KiB: {:.1} MiB in the Volt, {each:.1} KiB each (before: \
         {before:.1} MiB, with them: {after:.1} MiB)",
        after - before
    );
    Ok(())
}

async fn run() -> Fallible {
    let mut volt = Process::start(&["serve"])?;
    let config: ClientConfig = serde_json::from_str(&volt.line()?)?;
    let client = Client::connect(config).await?;
    client.sync().ensure_sync_database("@bench").await?;
    sizes(&client).await?;
    println!("\n| others | edits per second | p50 | p99 |\n|---:|---:|---:|---:|");
    for count in [1, 10, 100] {
        readers(&client, count).await?;
    }
    println!();
    memory(&client, &volt).await
}

async fn serve() -> Fallible {
    let volt = EmbeddedVolt::start().await?;
    println!("{}", serde_json::to_string(&volt.config())?);
    future::pending().await
}

fn main() -> Fallible {
    let runtime = Runtime::new()?;
    if env::args().nth(1).as_deref() == Some("serve") {
        runtime.block_on(serve())
    } else {
        runtime.block_on(run())
    }
}
