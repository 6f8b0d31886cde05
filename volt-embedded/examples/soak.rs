//! Keeps one connection busy while the Volt restarts, and shows that no resources leak.
//!
//! ```sh
//! cargo run --release -p volt-embedded --example soak -- --seconds 180
//! ```
//!
//! Each line reports the calls and messages so far, the calls that were retried because the
//! connection was lost before they can have been executed, the calls that were lost with their
//! connection, the open calls, and the memory of the process. The last line is a summary.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Parser;
use volt_api::{
    Client, Executed, Result,
    data::{CreateDatabaseRequest, SqlExecuteRequest, SqlExecuteStart},
    volt::{
        DownloadFileRequest, GetResourceRequest, Resource, SaveResourceRequest,
        SetFileContentRequest,
    },
};
use volt_embedded::EmbeddedVolt;

/// Keeps one connection busy while the Volt restarts.
#[derive(Parser)]
struct Args {
    /// The duration of the test, in seconds.
    #[arg(long, default_value_t = 180)]
    seconds: u64,
    /// The number of tasks that make calls back to back.
    #[arg(long, default_value_t = 64)]
    tasks: usize,
    /// The number of times the Volt is restarted.
    #[arg(long, default_value_t = 5)]
    restarts: u32,
}

#[derive(Default)]
struct Counts {
    calls: AtomicU64,
    messages: AtomicU64,
    again: AtomicU64,
    lost: AtomicU64,
}

#[derive(Clone)]
struct Work {
    client: Client,
    file: String,
    database: String,
    counts: Arc<Counts>,
}

impl Work {
    /// Makes one call; `turn` selects its kind. Returns the number of messages received.
    async fn call(&self, turn: usize) -> Result<u64> {
        match turn % 3 {
            0 => {
                let request = GetResourceRequest::default().with_resource_id(&self.file);
                self.client.volt().get_resource(request).await.map(|_| 1)
            }
            1 => {
                let request = DownloadFileRequest::default().with_resource_id(&self.file);
                let mut blocks = self.client.file().download_file(request).await?;
                let mut count = 0;
                while blocks.message().await?.is_some() {
                    count += 1;
                }
                Ok(count)
            }
            _ => {
                let start = SqlExecuteStart::default()
                    .with_database_id(&self.database)
                    .with_statement(
                        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 500) \
                         SELECT n FROM n",
                    );
                let mut rows = self.client.sqlite_database().execute().await?;
                rows.send(SqlExecuteRequest::default().with_start(start)).await?;
                rows.half_close();
                let mut count = 0;
                while rows.message().await?.is_some() {
                    count += 1;
                }
                Ok(count)
            }
        }
    }

    async fn run(self, first: usize, until: Instant) -> Result<()> {
        let mut turn = first;
        while Instant::now() < until {
            match self.call(turn).await {
                Ok(messages) => {
                    self.counts.calls.fetch_add(1, Ordering::Relaxed);
                    self.counts.messages.fetch_add(messages, Ordering::Relaxed);
                    turn += 1;
                }
                // The client retries unary calls itself, so those are not counted.
                Err(error) if error.is_connection() && error.executed() == Executed::No => {
                    self.counts.again.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if error.is_connection() => {
                    self.counts.lost.fetch_add(1, Ordering::Relaxed);
                    turn += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let mut volt = EmbeddedVolt::builder().data_dir(folder.path()).start().await?;
    let address: SocketAddr = volt.url().trim_start_matches("http://").parse()?;
    let client = Client::connect(volt.config()).await?;
    let work = prepare(&client).await?;

    let begin = Instant::now();
    let until = begin + Duration::from_secs(args.seconds);
    let tasks: Vec<_> =
        (0..args.tasks).map(|first| tokio::spawn(work.clone().run(first, until))).collect();
    let pause = Duration::from_secs(args.seconds) / (args.restarts + 1);
    let mut lines = Vec::new();
    for _ in 0..args.restarts {
        tokio::time::sleep(pause).await;
        lines.push(report(begin, &work));
        volt.shutdown().await;
        volt = EmbeddedVolt::builder().data_dir(folder.path()).listen(address).start().await?;
    }
    for task in tasks {
        task.await??;
    }
    lines.push(report(begin, &work));
    ensure!(client.channel().open_calls() == 0, "calls were left open");
    client.close().await;
    volt.shutdown().await;
    let memory = |line: usize| lines.get(line).map_or("unknown", String::as_str);
    println!(
        "{} restarts; memory {} after the first stretch, {} in the middle, {} at the end",
        args.restarts,
        memory(0),
        memory(lines.len() / 2),
        memory(lines.len() - 1),
    );
    Ok(())
}

async fn prepare(client: &Client) -> anyhow::Result<Work> {
    let resource = Resource::default().with_name("soak").with_kind(["volt:file"]);
    let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
    let file = client.volt().save_resource(request).await?.resource.context("no file")?.id;
    let content = vec![7; 256 << 10];
    let request = SetFileContentRequest::default().with_resource_id(&file).with_content(content);
    client.file().set_file_content(request).await?;
    let request = CreateDatabaseRequest::default().with_name("soak.db");
    let database = client.sqlite_server().create_database(request).await?;
    let database = database.resource.context("no database")?.id;
    Ok(Work { client: client.clone(), file, database, counts: Arc::default() })
}

/// Prints the progress. Returns the memory usage of the process.
fn report(begin: Instant, work: &Work) -> String {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let memory = memory();
    println!(
        "{:4} s  {:9} calls  {:10} messages  {:5} again  {:5} lost  {:4} open  {memory}",
        begin.elapsed().as_secs(),
        count(&work.counts.calls),
        count(&work.counts.messages),
        count(&work.counts.again),
        count(&work.counts.lost),
        work.client.channel().open_calls(),
    );
    memory
}

/// Returns the current memory usage of the process, on systems that report it.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    resident.map_or_else(|| "unknown".to_owned(), |resident| resident.trim().to_owned())
}
