//! The peers: the programs that are measured, and the work that each can do.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use xtask_tools::{
    cargo::{self, Programs, locked_version},
    published::{self, Grpc, Python, WEB_BUILDS, Web},
};

use crate::{nodelay, plan::Work, server::Config};

/// A peer's program.
pub(super) struct Peer {
    pub(super) short_name: &'static str,
    /// The name in the report.
    pub(super) name: String,
    pub(super) program: PathBuf,
    /// The arguments before the work.
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(&'static str, OsString)>,
    pub(super) config: Config,
    works: &'static [Work],
    /// A slow peer does only one `part`-th of a count.
    part: u64,
}

/// The programs of one run.
pub(super) struct Built {
    pub(super) server: PathBuf,
    pub(super) peers: Vec<Peer>,
}

/// The work of a Volt client.
const CLIENT: &[Work] = &[
    Work::Unary,
    Work::OpenClose,
    Work::Connect,
    Work::Idle,
    Work::Rows,
    Work::Download,
    Work::Upload,
    Work::Wire,
];
/// All but idle calls: opening them takes minutes if Nagle's algorithm delays each.
const DELAYED: &[Work] = &[
    Work::Unary,
    Work::OpenClose,
    Work::Connect,
    Work::Rows,
    Work::Download,
    Work::Upload,
    Work::Wire,
];
/// The work that Nagle's algorithm slows down, and idle calls.
const UNDELAYED: &[Work] =
    &[Work::Unary, Work::OpenClose, Work::Connect, Work::Idle, Work::Upload, Work::Wire];
/// The work that waits for the round trip of a key exchange.
const AHEAD: &[Work] = &[Work::Unary];
/// The work for which volt-client-grpc for Rust has methods.
const RUST_GRPC: &[Work] = &[Work::Unary, Work::Connect];
const TONIC: &[Work] = &[Work::Unary, Work::Download, Work::Upload];
const FLOOR: &[Work] = &[Work::Unary, Work::Alone];
/// The part that the slowest peers do.
const SLOWEST: u64 = 10;
const PYTHON: &[Work] = &[Work::Unary, Work::Rows];

impl Peer {
    fn new(
        short_name: &'static str,
        name: impl Into<String>,
        program: impl Into<PathBuf>,
        works: &'static [Work],
    ) -> Self {
        Self {
            short_name,
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            config: Config::Client,
            works,
            part: 1,
        }
    }

    /// Returns whether the peer can do this work.
    pub(super) fn does(&self, work: Work) -> bool {
        self.works.contains(&work)
    }

    /// The share of a count that it does.
    pub(super) fn share(&self, count: u64) -> u64 {
        count.div_ceil(self.part)
    }

    /// The number of rounds in which it is measured. The slowest peers skip some, to limit the time of
    /// a run.
    pub(super) fn rounds(&self, rounds: usize) -> usize {
        if self.part >= SLOWEST { rounds.min(3) } else { rounds }
    }
}

/// Builds the load server and the programs, with the packages that they need from npm, pip and
/// crates.io.
///
/// A smoke run builds only the programs of this repository, with cargo's `dev` profile in the
/// workspace's target directory, which has most of their dependencies already.
pub(super) fn build(root: &Path, work: &Path, smoke: bool) -> anyhow::Result<Built> {
    let load = root.join("bench/load");
    let mut command = cargo::build(&load);
    if smoke {
        command.arg("--no-default-features").arg("--target-dir").arg(cargo::target_dir(root)?);
    } else {
        command.arg("--release").arg("--target-dir").arg(work.join("build"));
    }
    let mut programs = Programs::build(&mut command)?;
    let server = programs.take("server")?;
    let sdk = programs.take("sdk")?;
    let mut peers = vec![
        Peer::new("sdk", "this SDK", sdk.clone(), CLIENT),
        Peer {
            arguments: ["--preopened-calls", "64"].map(OsString::from).into(),
            ..Peer::new("sdk-ahead", "this SDK, 64 pre-opened calls", sdk.clone(), AHEAD)
        },
        Peer {
            arguments: vec!["--grpc".into()],
            config: Config::Grpc,
            ..Peer::new("sdk-grpc", "this SDK over gRPC", sdk, CLIENT)
        },
        Peer {
            config: Config::Peers,
            ..Peer::new("floor", "raw websocket echo", programs.take("floor")?, FLOOR)
        },
    ];
    if !smoke {
        let version = locked_version(&load.join("Cargo.lock"), "tonic")?;
        let (name, program) = (format!("tonic {version} over TLS"), programs.take("tonic")?);
        peers.push(Peer { config: Config::Peers, ..Peer::new("tonic", name, program, TONIC) });
        peers.extend(rust(root, work)?);
        peers.push(rust_grpc(root, work)?);
        peers.extend(web(root)?);
        peers.push(grpc(root)?);
        peers.push(python(root)?);
    }
    Ok(Built { server, peers })
}

/// The Rust client as it is published, and a copy with `TCP_NODELAY`.
fn rust(root: &Path, work: &Path) -> anyhow::Result<[Peer; 2]> {
    let (source, program) = (root.join("bench/clients/rust"), "volt-bench-volt-client-rs");
    let published = released(&source, work, program)?;
    let patched_program = format!("{program}-nodelay");
    let copy = work.join("volt-client-rs-nodelay");
    let lock = published::source(root, "rust").join("Cargo.lock");
    nodelay::write(&source, &lock, &copy, [program, &patched_program])?;
    let patched = released(&copy, work, &patched_program)?;
    let name = published::rust_name(root, "volt-client-rs")?;
    Ok([
        Peer { part: 4, ..Peer::new("rust", name.clone(), published, DELAYED) },
        Peer {
            part: 4,
            ..Peer::new("rust-nodelay", format!("{name} + TCP_NODELAY"), patched, UNDELAYED)
        },
    ])
}

/// The Rust client for gRPC.
fn rust_grpc(root: &Path, work: &Path) -> anyhow::Result<Peer> {
    let source = root.join("bench/clients/rust-grpc");
    let program = released(&source, work, "volt-bench-volt-client-grpc")?;
    let name = published::rust_name(root, "volt-client-grpc")? + " (Rust)";
    Ok(Peer { config: Config::Grpc, ..Peer::new("rsgrpc", name, program, RUST_GRPC) })
}

/// Builds a package with optimizations, and returns its program with this name.
fn released(folder: &Path, work: &Path, program: &str) -> anyhow::Result<PathBuf> {
    let mut command = cargo::build(folder);
    command.arg("--release").arg("--target-dir").arg(work.join("build"));
    Programs::build(&mut command)?.take(program)
}

/// Both builds of the JavaScript client.
fn web(root: &Path) -> anyhow::Result<[Peer; 2]> {
    let web = Web::install(root)?;
    let script = web.script(&root.join("bench/clients/js/driver.mjs"))?;
    Ok(WEB_BUILDS.map(|build| Peer {
        arguments: vec![script.clone().into()],
        environment: vec![("VOLT_CLIENT_BUILD", build.into())],
        part: SLOWEST,
        ..Peer::new(build, format!("{} {build}", web.name), "node", CLIENT)
    }))
}

/// The JavaScript client for gRPC.
fn grpc(root: &Path) -> anyhow::Result<Peer> {
    let grpc = Grpc::install(root)?;
    let script = grpc.script(&root.join("bench/clients/js/driver.mjs"))?;
    Ok(Peer {
        arguments: Grpc::arguments(script),
        config: Config::Grpc,
        part: SLOWEST,
        ..Peer::new("grpc", grpc.name, "node", CLIENT)
    })
}

fn python(root: &Path) -> anyhow::Result<Peer> {
    let python = Python::install(root)?;
    Ok(Peer {
        arguments: Python::arguments(root.join("bench/clients/python/driver.py")),
        environment: python.environment(),
        config: Config::Legacy,
        part: SLOWEST,
        ..Peer::new("python", python.name, python.program, PYTHON)
    })
}

/// Adds a peer's arguments and environment to its command.
pub(super) fn with_arguments(mut command: Command, peer: &Peer) -> Command {
    command.args(&peer.arguments);
    command.envs(peer.environment.iter().map(|(name, value)| (name, value)));
    command
}
