//! The clients: where they come from, and how their programs are run.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::process;

/// A client's program, which takes the path of a configuration and the name of a scenario.
pub(super) struct Client {
    /// The package and its version.
    pub(super) name: String,
    /// For the names of files.
    pub(super) short_name: &'static str,
    program: PathBuf,
    /// What the program is an interpreter of.
    script: Option<PathBuf>,
}

impl Client {
    /// The command that runs a scenario.
    pub(super) fn command(&self, config: &Path, scenario: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.script).arg(config).arg(scenario);
        command
    }
}

/// What `build` made.
pub(super) struct Built {
    /// The embedded Volt's program.
    pub(super) volt: PathBuf,
    pub(super) clients: Vec<Client>,
}

/// Builds the Volt and the clients' programs, with what they need from npm and crates.io.
pub(super) fn build(root: &Path, work: &Path) -> anyhow::Result<Built> {
    let web = web(&root.join("interop/js"), &work.join("js"))?;
    let rust = rust(&root.join("interop/rust-client"), &work.join("rust-client"))?;
    // The whole workspace decides on the features of what both share, as in `cargo test`.
    let mut command = cargo(root);
    command.args(["--workspace", "--bin", "volt-embedded", "--example", "interop"]);
    let mut programs = executables(command)?;
    let sdk = Client {
        name: "volt-api (this SDK)".to_owned(),
        short_name: "sdk",
        program: take(&mut programs, "interop")?,
        script: None,
    };
    Ok(Built { volt: take(&mut programs, "volt-embedded")?, clients: vec![web, rust, sdk] })
}

/// The JavaScript client, installed beside a copy of the scenarios.
fn web(source: &Path, work: &Path) -> anyhow::Result<Client> {
    fs::create_dir_all(work).with_context(|| work.display().to_string())?;
    copy(source, work, "scenarios.mjs")?;
    let lock = "package-lock.json";
    // The second file is the last that npm writes.
    let installed = fs::read(work.join(lock)).ok() == Some(read(&source.join(lock))?)
        && work.join("node_modules/.package-lock.json").exists();
    if !installed {
        copy(source, work, "package.json")?;
        copy(source, work, lock)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(work);
        process::run(npm).context("the JavaScript client needs npm and Node 20")?;
    }
    let manifest: Value = serde_json::from_slice(&read(&source.join("package.json"))?)?;
    let version = manifest["dependencies"]["@tdxvolt/volt-client-web"].as_str();
    Ok(Client {
        name: format!("volt-client-web {}", version.context("package.json names the client")?),
        short_name: "web",
        program: "node".into(),
        script: Some(work.join("scenarios.mjs")),
    })
}

/// The Rust client, built apart from the workspace.
fn rust(source: &Path, target: &Path) -> anyhow::Result<Client> {
    let mut command = cargo(source);
    command.arg("--target-dir").arg(target);
    let program = take(&mut executables(command)?, "volt-interop-rust-client")?;
    let manifest = fs::read_to_string(source.join("Cargo.toml"))?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("volt-client-rs = \"="));
    let version = version.context("Cargo.toml names the client")?.trim_end_matches('"');
    Ok(Client {
        name: format!("volt-client-rs {version}"),
        short_name: "rust",
        program,
        script: None,
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

fn copy(from: &Path, to: &Path, name: &str) -> anyhow::Result<()> {
    fs::copy(from.join(name), to.join(name)).with_context(|| format!("{name} can't be copied"))?;
    Ok(())
}

fn cargo(directory: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--locked", "--message-format=json-render-diagnostics"]);
    command.current_dir(directory);
    command
}

/// Runs `cargo build` and gives the programs that it made, by the names of their targets.
fn executables(mut command: Command) -> anyhow::Result<HashMap<String, PathBuf>> {
    let output = command.stderr(Stdio::inherit()).output().context("cargo can't be run")?;
    if !output.status.success() {
        bail!("cargo build failed with {}", output.status);
    }
    let messages = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut executables = HashMap::new();
    for message in messages {
        let message: Value = serde_json::from_slice(message).context("cargo prints JSON")?;
        let target = message["target"]["name"].as_str();
        if let (Some(target), Some(program)) = (target, message["executable"].as_str()) {
            executables.insert(target.to_owned(), program.into());
        }
    }
    Ok(executables)
}

fn take(programs: &mut HashMap<String, PathBuf>, name: &str) -> anyhow::Result<PathBuf> {
    programs.remove(name).with_context(|| format!("cargo built no {name}"))
}
