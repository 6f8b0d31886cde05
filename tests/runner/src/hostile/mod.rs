//! `cargo xtask hostile`: this SDK and the published Rust client on a Volt that breaks the protocol.
//!
//! Each input of `tests/interop/hostile/inputs.json` is tried with each client: a new Volt process
//! applies the input to the first call, and a new client process makes that call and then another.
//! `tests/interop/trial` is the part of the client processes that is the same for all clients.

mod outcome;
mod table;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use xtask_tools::{
    cargo::{self, Programs},
    process::{self, Running},
    published, root,
};

use self::outcome::Outcome;
use crate::interop::clients;

/// The number of concurrent trials. They mostly wait.
const AT_ONCE: usize = 6;
/// The time limit of a trial beyond its first call: for starting and for the second call.
const MARGIN: Duration = Duration::from_mins(1);

/// Compares this SDK with the published Rust client on a Volt that breaks the protocol.
///
/// Fails if this SDK panics, hangs, accepts an invalid answer, or cannot make another call afterwards.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The inputs to try, by their names in tests/interop/hostile/inputs.json. Default: all.
    inputs: Vec<String>,
    /// Write the table to docs/robustness.md.
    #[arg(long, conflicts_with = "inputs")]
    write: bool,
}

/// One entry of `tests/interop/hostile/inputs.json`.
#[derive(Clone, Deserialize)]
struct Input {
    name: String,
    what: String,
    /// The name by which the Volt knows the input, if it differs.
    volt: Option<String>,
    /// The operation of the client. Default: one call.
    #[serde(default = "one_call")]
    trial: String,
    /// The seconds after which a call counts as hanging.
    #[serde(default = "five")]
    seconds: u64,
    /// Set if a call without a deadline may wait indefinitely.
    #[serde(default)]
    waits: bool,
}

fn one_call() -> String {
    "call".to_owned()
}

fn five() -> u64 {
    5
}

/// A client's program.
struct Client {
    name: String,
    short_name: &'static str,
    program: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = root()?;
    let work = root.join("target/hostile");
    fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
    let inputs = inputs(root, &args.inputs)?;
    let (peer, clients) = build(root)?;

    let trials: Vec<_> =
        inputs.iter().flat_map(|input| clients.iter().map(move |client| (input, client))).collect();
    let outcomes = all(&trials, |(input, client)| {
        let outcome = trial(&peer, input, client, &work);
        println!("{:<16} {:<24} {outcome}", input.name, client.name);
        outcome
    });
    let rows: Vec<_> = inputs.iter().zip(outcomes.chunks(clients.len())).collect();
    let names: Vec<_> = clients.iter().map(|client| &*client.name).collect();
    let table = table::render(&names, &rows);
    println!("\n{table}");
    if args.write {
        table::write(&root.join("docs/robustness.md"), &table)?;
    }
    for (input, outcomes) in rows {
        ensure!(outcomes[0].is_well(input.waits), "this SDK fails on input {}", input.name);
    }
    Ok(())
}

fn inputs(root: &Path, names: &[String]) -> anyhow::Result<Vec<Input>> {
    let path = root.join("tests/interop/hostile/inputs.json");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let inputs: Vec<Input> =
        serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    if names.is_empty() {
        return Ok(inputs);
    }
    let find = |name: &String| inputs.iter().find(|input| input.name == *name).cloned();
    names.iter().map(|name| find(name).with_context(|| format!("unknown input {name:?}"))).collect()
}

/// Builds the Volt and the clients' programs. This SDK's outcome comes first.
fn build(root: &Path) -> anyhow::Result<(PathBuf, [Client; 2])> {
    // The same features as for the interop scenarios, so that nothing is built twice.
    let mut command = cargo::build(root);
    command.args(["--workspace", "--features", "volt-api/server"]);
    command.args(["--bin", "hostile-peer", "--bin", "hostile-sdk"]);
    let mut programs = Programs::build(&mut command)?;
    let sdk = Client {
        name: "this SDK".to_owned(),
        short_name: "sdk",
        program: programs.take("hostile-sdk")?,
    };
    let published = Client {
        name: published::rust_name(root, "volt-client-rs")?,
        short_name: "rust",
        program: clients::published_rust(root, "volt-interop-rust-client")?
            .take("hostile-volt-client-rs")?,
    };
    Ok((programs.take("hostile-peer")?, [sdk, published]))
}

/// Runs one client on a Volt that applies the input.
fn trial(peer: &Path, input: &Input, client: &Client, work: &Path) -> Outcome {
    let file = |what: &str| work.join(format!("{}.{}.{what}", input.name, client.short_name));
    let (config, log) = (file("json"), file("log"));
    let result = || {
        let mut volt = Command::new(peer);
        volt.arg(input.volt.as_ref().unwrap_or(&input.name)).arg(&config);
        let _volt = Running::start(volt, &file("volt.log"))?;
        let mut command = Command::new(&client.program);
        command.arg(&config).arg(&input.trial).arg(input.seconds.to_string());
        let result = process::result(command, &log, Duration::from_secs(input.seconds) + MARGIN)?;
        serde_json::from_value(result).context("the result has an unexpected form")
    };
    Outcome::from_result(result())
}

/// Processes all items, [`AT_ONCE`] at a time. Returns the results in order.
fn all<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (Mutex::new(items.iter().enumerate()), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let item = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((index, item)) = item else { break };
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}
