//! `cargo xtask hostile`: this SDK and the published Rust client on a Volt that misbehaves.
//!
//! For each input of `interop/hostile/inputs.json` and each client there is a Volt of its own, which
//! does to the first call what the input says, and a process of its own in which the client makes that
//! call and then another. `interop/trial` is what both processes do, and how they are judged.

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

use self::outcome::Outcome;
use crate::{
    interop::clients,
    process::{self, Running},
    tools::{self, Programs},
};

/// How many trials run at once. Most of the time is spent waiting.
const AT_ONCE: usize = 6;
/// What a trial may take beyond the time for its first call: for the second, and to start.
const BESIDE: Duration = Duration::from_mins(1);

/// Compares this SDK with the published Rust client on a Volt that misbehaves.
///
/// Fails if this SDK panics, hangs, takes anything for an answer that is none, or is of no use afterwards.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the Volt does, by its names in interop/hostile/inputs.json; all of them by default.
    inputs: Vec<String>,
    /// Put the table into docs/robustness.md.
    #[arg(long, conflicts_with = "inputs")]
    write: bool,
}

/// One entry of `interop/hostile/inputs.json`.
#[derive(Clone, Deserialize)]
struct Input {
    name: String,
    what: String,
    /// What the Volt is told to do, if that has another name.
    volt: Option<String>,
    /// What the client does, if it is not one call.
    #[serde(default = "one_call")]
    trial: String,
    /// After how long a call counts as one that hangs.
    #[serde(default = "five")]
    seconds: u64,
    /// Whether a call without a deadline has every right to wait.
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
    let root = tools::root()?;
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
        ensure!(outcomes[0].is_well(input.waits), "{}: this SDK does not withstand it", input.name);
    }
    Ok(())
}

fn inputs(root: &Path, names: &[String]) -> anyhow::Result<Vec<Input>> {
    let path = root.join("interop/hostile/inputs.json");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let inputs: Vec<Input> =
        serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    if names.is_empty() {
        return Ok(inputs);
    }
    let find = |name: &String| inputs.iter().find(|input| input.name == *name).cloned();
    names
        .iter()
        .map(|name| find(name).with_context(|| format!("no input is called {name:?}")))
        .collect()
}

/// Builds the Volt, and the clients' programs: this SDK's comes first.
fn build(root: &Path) -> anyhow::Result<(PathBuf, [Client; 2])> {
    // As for the scenarios, so that nothing is built twice.
    let mut command = tools::cargo_build(root);
    command.args(["--workspace", "--features", "volt-api/server"]);
    command.args(["--bin", "hostile-peer", "--bin", "hostile-sdk"]);
    let mut programs = Programs::build(&mut command)?;
    let target = root.join("target/interop/rust-client");
    let (mut rust, name) = clients::rust_programs(&root.join("interop/rust-client"), &target)?;
    let sdk = Client {
        name: "this SDK".to_owned(),
        short_name: "sdk",
        program: programs.take("hostile-sdk")?,
    };
    let published =
        Client { name, short_name: "rust", program: rust.take("hostile-volt-client-rs")? };
    Ok((programs.take("hostile-peer")?, [sdk, published]))
}

/// Lets a client meet a Volt that does what the input says.
fn trial(peer: &Path, input: &Input, client: &Client, work: &Path) -> Outcome {
    let file = |what: &str| work.join(format!("{}.{}.{what}", input.name, client.short_name));
    let (config, log) = (file("json"), file("log"));
    let result = || {
        let mut volt = Command::new(peer);
        volt.arg(input.volt.as_ref().unwrap_or(&input.name)).arg(&config);
        let _volt = Running::start(volt, &file("volt.log"))?;
        let mut command = Command::new(&client.program);
        command.arg(&config).arg(&input.trial).arg(input.seconds.to_string());
        let result = process::result(command, &log, Duration::from_secs(input.seconds) + BESIDE)?;
        serde_json::from_value(result).context("the result cannot be read")
    };
    Outcome::from_result(result())
}

/// Does all of it, some at a time, and gives the results in order.
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
