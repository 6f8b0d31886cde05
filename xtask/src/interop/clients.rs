//! The clients: where they come from, and how their programs are run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use crate::tools::{self, Programs};

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
    let mut command = tools::cargo_build(root);
    command.args(["--workspace", "--bin", "volt-embedded", "--example", "interop"]);
    let mut programs = Programs::build(&mut command)?;
    let sdk = Client {
        name: "volt-api (this SDK)".to_owned(),
        short_name: "sdk",
        program: programs.take("interop")?,
        script: None,
    };
    Ok(Built { volt: programs.take("volt-embedded")?, clients: vec![web, rust, sdk] })
}

/// The JavaScript client, installed beside a copy of the scenarios.
fn web(source: &Path, work: &Path) -> anyhow::Result<Client> {
    tools::npm_install(source, work)?;
    let script = work.join("scenarios.mjs");
    fs::copy(source.join("scenarios.mjs"), &script).context("the scenarios can't be copied")?;
    let version = tools::npm_version(source, "@tdxvolt/volt-client-web")?;
    Ok(Client {
        name: format!("volt-client-web {version}"),
        short_name: "web",
        program: "node".into(),
        script: Some(script),
    })
}

/// The Rust client, built apart from the workspace.
fn rust(source: &Path, target: &Path) -> anyhow::Result<Client> {
    let mut command = tools::cargo_build(source);
    command.arg("--target-dir").arg(target);
    let program = Programs::build(&mut command)?.take("volt-interop-rust-client")?;
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
