//! The clients: where they come from, and how their programs are run.

use std::{
    ffi::OsString,
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
    /// What comes before the configuration.
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, &'static str)>,
    /// What it runs, if that is not everything.
    scenarios: Option<&'static [&'static str]>,
    /// Whether it speaks the legacy protocol.
    pub(super) is_legacy: bool,
    /// Whether it can connect by TLS.
    pub(super) speaks_tls: bool,
}

/// What the Python client can do.
const PYTHON: &[&str] = &["unary", "refused", "wire", "sql"];
/// What the program of volt-client-rs has: everything but calls to hosted services.
const RUST: &[&str] = &[
    "unary",
    "refused",
    "connect",
    "download",
    "refused-stream",
    "upload",
    "wire",
    "sql",
    "sql-helper",
];

impl Client {
    /// The command that runs a scenario.
    pub(super) fn command(&self, config: &Path, scenario: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(config).arg(scenario);
        command.envs(self.environment.iter().copied());
        command
    }

    /// Whether it has this scenario.
    pub(super) fn runs(&self, scenario: &str) -> bool {
        self.scenarios.is_none_or(|scenarios| scenarios.contains(&scenario))
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
    let [js, wasm] = web(&root.join("interop/js"), &work.join("js"))?;
    let python = python(&root.join("interop/python"), &work.join("python"))?;
    let rust = rust(&root.join("interop/rust-client"), &work.join("rust-client"))?;
    // The whole workspace decides on the features of what both share, as in `cargo test`.
    let mut command = tools::cargo_build(root);
    command.args(["--workspace", "--features", "volt-api/server"]);
    command.args(["--bin", "volt-embedded", "--example", "interop"]);
    let mut programs = Programs::build(&mut command)?;
    let sdk = Client {
        name: "volt-api (this SDK)".to_owned(),
        short_name: "sdk",
        program: programs.take("interop")?,
        arguments: Vec::new(),
        environment: Vec::new(),
        scenarios: None,
        is_legacy: false,
        speaks_tls: true,
    };
    Ok(Built { volt: programs.take("volt-embedded")?, clients: vec![js, wasm, python, rust, sdk] })
}

/// Both builds of the JavaScript client, installed beside a copy of the scenarios.
fn web(source: &Path, work: &Path) -> anyhow::Result<[Client; 2]> {
    tools::npm_install(source, work)?;
    let script = work.join("scenarios.mjs");
    fs::copy(source.join("scenarios.mjs"), &script).context("the scenarios can't be copied")?;
    let version = tools::npm_version(source, "@tdxvolt/volt-client-web")?;
    Ok(["js", "wasm"].map(|build| Client {
        name: format!("volt-client-web {version} {build}"),
        short_name: build,
        program: "node".into(),
        arguments: vec![script.clone().into()],
        environment: vec![("VOLT_CLIENT_BUILD", build)],
        scenarios: None,
        is_legacy: false,
        speaks_tls: true,
    }))
}

/// The Python client, in a virtual environment of its own.
fn python(source: &Path, work: &Path) -> anyhow::Result<Client> {
    let requirements = tools::pip_install(source, work)?;
    let version = requirements.lines().find_map(|line| line.strip_prefix("volt_client_web=="));
    let version = version.context("requirements.txt names the client")?.trim();
    Ok(Client {
        name: format!("volt_client_web {version} (Python)"),
        short_name: "python",
        program: work.join("bin/python"),
        arguments: ["-W", "ignore"]
            .into_iter()
            .map(OsString::from)
            .chain([source.join("scenarios.py").into()])
            .collect(),
        environment: Vec::new(),
        scenarios: Some(PYTHON),
        is_legacy: true,
        speaks_tls: true,
    })
}

/// The Rust client.
fn rust(source: &Path, target: &Path) -> anyhow::Result<Client> {
    let (mut programs, name) = rust_programs(source, target)?;
    Ok(Client {
        name,
        short_name: "rust",
        program: programs.take("volt-interop-rust-client")?,
        arguments: Vec::new(),
        environment: Vec::new(),
        scenarios: Some(RUST),
        is_legacy: false,
        speaks_tls: false,
    })
}

/// The programs of the Rust client, built apart from the workspace, and its name with its version.
pub(crate) fn rust_programs(source: &Path, target: &Path) -> anyhow::Result<(Programs, String)> {
    let mut command = tools::cargo_build(source);
    command.arg("--target-dir").arg(target);
    let programs = Programs::build(&mut command)?;
    let manifest = fs::read_to_string(source.join("Cargo.toml"))?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("volt-client-rs = \"="));
    let version = version.context("Cargo.toml names the client")?.trim_end_matches('"');
    Ok((programs, format!("volt-client-rs {version}")))
}
