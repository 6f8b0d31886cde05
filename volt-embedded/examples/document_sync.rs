//! Measures documents on an embedded Volt in its own process.
//!
//! ```text
//! cargo run --release -p volt-embedded --example document_sync
//! cargo run --release -p volt-embedded --example document_sync -- target/clients/js
//! ```
//!
//! It prints the time until a new client has a document of 1 and 10 MiB, the edits per second that 1, 10
//! and 100 others receive and the latency of single edits, and the Volt's memory for 1,000 open documents.
//! All readers of a document share a connection. Each part has its own Volt.
//!
//! With a folder that has the published JavaScript client (`cargo xtask interop` installs it there), the same
//! is measured with its sync provider, by `bench/clients/js/document_sync.mjs`: on the same Volts, except that
//! the memory is measured on a Volt for each client. The variable `VOLT_CLIENT_BUILD` selects the build of the
//! client.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    env, fs, future,
    io::{self, BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::NamedTempFile;
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

/// The sizes of the documents that are read, in MiB.
const SIZES: [usize; 2] = [1, 10];
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

fn sized(mebibytes: usize) -> String {
    format!("size-{mebibytes}")
}

/// Prints the time until a new client has a document, and the next one while the first keeps it open.
async fn sizes(client: &Client, reader: &Client, web: Option<&Web<'_>>) -> Fallible {
    println!("| size | client | a new one has it after | the next one after |");
    println!("|---|---|---:|---:|");
    // The writers stay attached to the end, so that the Volt has the documents in memory for all readers.
    let mut writers = Vec::new();
    for mebibytes in SIZES {
        let doc = Doc::new();
        let text = doc.get_or_insert_text("text");
        for line in 0..mebibytes << 14 {
            // Insert at the beginning, so that each line remains a separate block.
            text.insert(&mut doc.transact_mut(), 0, &format!("{line:>62}.\n"));
        }
        let writer = attach(client, &doc, &sized(mebibytes)).await?;
        writer.flush().await?;
        writers.push(writer);
    }
    let mut readers = Vec::new();
    for mebibytes in SIZES {
        let mut times = Vec::new();
        for _ in 0..2 {
            let copy = Doc::new();
            let begin = Instant::now();
            readers.push(attach(reader, &copy, &sized(mebibytes)).await?);
            times.push(begin.elapsed().as_millis());
            let text = copy.get_or_insert_text("text");
            assert_eq!(text.get_string(&copy.transact()).len(), mebibytes << 20);
        }
        println!("| {mebibytes} MiB | this SDK | {} ms | {} ms |", times[0], times[1]);
    }
    for reader in readers {
        reader.stop().await?;
    }
    if let Some(web) = web {
        for (mebibytes, times) in SIZES.iter().zip(web.run(&["sizes"])?) {
            println!("| {mebibytes} MiB | web | {} ms |", times.replace(' ', " ms | "));
        }
    }
    for writer in writers {
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

/// Waits until each reader has this many edits. Returns the time at which each reader had them.
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
        // The writer sends its pending edits.
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
    println!("| {count} | this SDK | {rate:.0} | {:.2} ms | {:.2} ms |", at(50), at(99));
    for document in documents {
        document.stop().await?;
    }
    Ok(writer.stop().await?)
}

/// Prints the same for the published provider.
fn web_readers(web: &Web<'_>, count: usize) -> Fallible {
    let numbers = [count.to_string(), EDITS.to_string(), SINGLE.to_string(), "20".to_owned()];
    let arguments: Vec<_> =
        ["readers"].into_iter().chain(numbers.iter().map(String::as_str)).collect();
    for line in web.run(&arguments)? {
        let values: Vec<_> = line.split(' ').collect();
        println!("| {count} | web | {} ms |", values.join(" ms | ").replacen(" ms", "", 1));
    }
    Ok(())
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
    print_memory("this SDK", before, volt.memory());
    Ok(())
}

fn print_memory(client: &str, before: f64, after: f64) {
    let each = (after - before) * 1024.0 / f64::from(DOCUMENTS);
    println!("| {client} | {before:.1} MiB | {after:.1} MiB | {each:.1} KiB |");
}

/// The published JavaScript client.
struct Web<'a> {
    /// The folder in which it is installed.
    folder: &'a Path,
    config: &'a Path,
}

impl Web<'_> {
    fn start(&self, arguments: &[&str]) -> io::Result<Child> {
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/clients/js/document_sync.mjs");
        let script = self.folder.join("document_sync.mjs");
        // Packages are found from the folder of the script.
        fs::copy(source, &script)?;
        let mut command = Command::new("node");
        command.arg(script).arg(self.config).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    }

    /// Runs a part to its end. Returns the lines that it prints.
    fn run(&self, arguments: &[&str]) -> Fallible<Vec<String>> {
        let output = self.start(arguments)?.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("node: {}", output.status).into());
        }
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    }

    /// Prints the Volt's memory for open documents.
    fn memory(&self, volt: &Process) -> Fallible {
        let before = volt.memory();
        let mut node = self.start(&["memory", &DOCUMENTS.to_string()])?;
        let mut line = String::new();
        BufReader::new(node.stdout.take().unwrap()).read_line(&mut line)?;
        let after = volt.memory();
        // Its input ends.
        node.wait()?;
        if line.trim() != "open" {
            return Err("the documents are not open".into());
        }
        print_memory("web", before, after);
        Ok(())
    }
}

async fn connect(config: &Path) -> Fallible<Client> {
    let config: ClientConfig = serde_json::from_str(&fs::read_to_string(config)?)?;
    Ok(Client::connect(config).await?)
}

/// Starts a Volt with a database of documents.
async fn start() -> Fallible<(Process, Client, NamedTempFile)> {
    let mut volt = Process::start(&["serve"])?;
    let text = volt.line()?;
    let config = NamedTempFile::new()?;
    fs::write(&config, &text)?;
    let client = connect(config.path()).await?;
    client.sync().ensure_sync_database("@bench").await?;
    Ok((volt, client, config))
}

async fn run(folder: Option<&Path>) -> Fallible {
    let (_volt, client, config) = start().await?;
    let web = folder.map(|folder| Web { folder, config: config.path() });
    // The web client does not share the writers' connection either.
    let reader = connect(config.path()).await?;
    sizes(&client, &reader, web.as_ref()).await?;

    let (_volt, client, config) = start().await?;
    let web = folder.map(|folder| Web { folder, config: config.path() });
    println!("\n| others | client | edits per second | p50 | p99 |\n|---:|---|---:|---:|---:|");
    for count in [1, 10, 100] {
        readers(&client, count).await?;
    }
    for count in [1, 10, 100] {
        web.as_ref().map_or(Ok(()), |web| web_readers(web, count))?;
    }

    println!("\n{DOCUMENTS} open documents of 1 KiB: the Volt's memory\n");
    println!("| client | before | with them | each |\n|---|---:|---:|---:|");
    let (volt, client, _) = start().await?;
    memory(&client, &volt).await?;
    if let Some(folder) = folder {
        let (volt, _client, config) = start().await?;
        Web { folder, config: config.path() }.memory(&volt)?;
    }
    Ok(())
}

async fn serve() -> Fallible {
    let volt = EmbeddedVolt::start().await?;
    println!("{}", serde_json::to_string(&volt.config())?);
    future::pending().await
}

fn main() -> Fallible {
    let runtime = Runtime::new()?;
    match env::args_os().nth(1) {
        Some(role) if role == "serve" => runtime.block_on(serve()),
        folder => runtime.block_on(run(folder.as_deref().map(Path::new))),
    }
}
