//! Who is measured: where the programs come from, and what they can do.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{plan::Work, server::Config};
use crate::tools::{self, Programs};

/// A peer's program.
pub(super) struct Peer {
    pub(super) short_name: &'static str,
    /// For whoever reads the report.
    pub(super) name: String,
    pub(super) program: PathBuf,
    /// What comes before the work.
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(&'static str, &'static str)>,
    pub(super) config: Config,
    works: &'static [Work],
    /// It does this part of a count only, because it takes so much longer.
    part: u64,
}

/// What `build` made.
pub(super) struct Built {
    pub(super) server: PathBuf,
    pub(super) peers: Vec<Peer>,
}

/// What a Volt client does.
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
/// Without idle calls: opening them one by one takes minutes where Nagle's algorithm delays each.
const DELAYED: &[Work] = &[
    Work::Unary,
    Work::OpenClose,
    Work::Connect,
    Work::Rows,
    Work::Download,
    Work::Upload,
    Work::Wire,
];
/// Where Nagle's algorithm makes a difference, and what the one above leaves out.
const UNDELAYED: &[Work] =
    &[Work::Unary, Work::OpenClose, Work::Connect, Work::Idle, Work::Upload, Work::Wire];
/// Where the round trip of the key exchange counts.
const AHEAD: &[Work] = &[Work::Unary];
const TONIC: &[Work] = &[Work::Unary, Work::Download];
const FLOOR: &[Work] = &[Work::Unary, Work::Alone];
/// The part that the slowest do.
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

    /// Whether it has a program for this work.
    pub(super) fn does(&self, work: Work) -> bool {
        self.works.contains(&work)
    }

    /// How much of a count it does.
    pub(super) fn share(&self, count: u64) -> u64 {
        count.div_ceil(self.part)
    }

    /// In how many of the rounds it takes part: the slowest would make a run too long.
    pub(super) fn rounds(&self, rounds: usize) -> usize {
        if self.part >= SLOWEST { rounds.min(3) } else { rounds }
    }
}

/// Builds the load server and the programs, with what they need from npm, pip and crates.io.
///
/// A smoke run builds only what comes from this repository, and with cargo's `dev` profile into the
/// workspace's own target directory, where most of it is already.
pub(super) fn build(root: &Path, work: &Path, smoke: bool) -> anyhow::Result<Built> {
    let mut command = tools::cargo_build(&root.join("bench"));
    if smoke {
        command.arg("--no-default-features").arg("--target-dir").arg(tools::target_dir(root)?);
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
            ..Peer::new("sdk-ahead", "this SDK, 64 keys ahead", sdk, AHEAD)
        },
        Peer {
            config: Config::Peers,
            ..Peer::new("floor", "raw websocket echo", programs.take("floor")?, FLOOR)
        },
    ];
    if !smoke {
        let version = locked_version(&root.join("bench/Cargo.lock"), "tonic")?;
        let (name, program) = (format!("tonic {version} over TLS"), programs.take("tonic")?);
        peers.push(Peer { config: Config::Peers, ..Peer::new("tonic", name, program, TONIC) });
        peers.extend(rust(&root.join("bench/volt-client-rs"), work)?);
        peers.extend(web(root)?);
        peers.push(python(root)?);
    }
    Ok(Built { server, peers })
}

/// The Rust client as it is published, and with one socket option more.
fn rust(source: &Path, work: &Path) -> anyhow::Result<[Peer; 2]> {
    let version = locked_version(&source.join("Cargo.lock"), "volt-client-rs")?;
    let name = "volt-bench-volt-client-rs";
    let build = |folder: &Path, name: &str| {
        let mut command = tools::cargo_build(folder);
        command.arg("--release").arg("--target-dir").arg(work.join("build"));
        Programs::build(&mut command)?.take(name)
    };
    let published = build(source, name)?;
    let patched_name = format!("{name}-nodelay");
    let patched = work.join("volt-client-rs-nodelay");
    patch(source, &patched, name, &patched_name)?;
    let patched = build(&patched, &patched_name)?;
    let name = format!("volt-client-rs {version}");
    Ok([
        Peer { part: 4, ..Peer::new("rust", name.clone(), published, DELAYED) },
        Peer {
            part: 4,
            ..Peer::new("rust-nodelay", format!("{name} + TCP_NODELAY"), patched, UNDELAYED)
        },
    ])
}

/// Copies the program and the published client's source, so that the copy of the client sets
/// `TCP_NODELAY` when it connects.
fn patch(source: &Path, copy: &Path, name: &str, patched_name: &str) -> anyhow::Result<()> {
    let mut metadata = tools::cargo();
    metadata.args(["metadata", "--locked", "--format-version", "1"]).current_dir(source);
    let metadata: Value = serde_json::from_slice(&tools::output(&mut metadata)?)?;
    let packages = metadata["packages"].as_array().context("cargo names the packages")?;
    let client = packages.iter().find(|package| package["name"] == "volt-client-rs");
    let client = client.and_then(|client| client["manifest_path"].as_str());
    let client = Path::new(client.context("the client is among them")?).parent();

    let client_copy = copy.join("client");
    let lock = fs::read_to_string(source.join("Cargo.lock"))?;
    // What is there already stays, so that cargo sees that it is the same.
    mirror(client.context("it is in a folder")?, &client_copy, &|text| {
        text.replace(
            "connect_async(url).await",
            "tokio_tungstenite::connect_async_with_config(url, None, true).await",
        )
    })?;
    let connecting = fs::read_to_string(client_copy.join("src/volt_client.rs"))?;
    ensure!(connecting.contains("with_config(url, None, true)"), "the client connects otherwise");
    mirror(&source.join("src"), &copy.join("src"), &str::to_owned)?;
    let measure = source.join("../measure");
    let manifest = fs::read_to_string(source.join("Cargo.toml"))?
        .replace(name, patched_name)
        .replace("\"../measure\"", &format!("\"{}\"", measure.display()));
    let patch = format!(
        "\n[patch.crates-io]\nvolt-client-rs = {{ path = \"{}\" }}\n",
        client_copy.display()
    );
    write(&copy.join("Cargo.toml"), &(manifest + &patch))?;
    write(&copy.join("Cargo.lock"), &locked_to_path(&lock.replace(name, patched_name)))
}

/// The lock file with the client as a package in a folder, which has no source and no checksum.
fn locked_to_path(lock: &str) -> String {
    let packages = lock.split("\n\n").map(|package| {
        let lines = package.lines();
        if package.contains("\nname = \"volt-client-rs\"\n") {
            let of_registry =
                |line: &&str| line.starts_with("source") || line.starts_with("checksum");
            lines.filter(|line| !of_registry(line)).collect::<Vec<_>>().join("\n")
        } else {
            lines.collect::<Vec<_>>().join("\n")
        }
    });
    packages.collect::<Vec<_>>().join("\n\n") + "\n"
}

/// Copies a folder of text files, changed.
fn mirror(from: &Path, to: &Path, change: &dyn Fn(&str) -> String) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            mirror(&from, &to, change)?;
        } else if let Ok(text) = fs::read_to_string(&from) {
            write(&to, &change(&text))?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// Both builds of the JavaScript client, installed where `cargo xtask interop` has them.
fn web(root: &Path) -> anyhow::Result<[Peer; 2]> {
    let (source, work) = (root.join("interop/js"), root.join("target/interop/js"));
    tools::npm_install(&source, &work)?;
    let script = work.join("driver.mjs");
    fs::copy(root.join("bench/js/driver.mjs"), &script).context("the program can't be copied")?;
    let version = tools::npm_version(&source, "@tdxvolt/volt-client-web")?;
    Ok(["js", "wasm"].map(|build| Peer {
        arguments: vec![script.clone().into()],
        environment: vec![("VOLT_CLIENT_BUILD", build)],
        part: SLOWEST,
        ..Peer::new(build, format!("volt-client-web {version} {build}"), "node", CLIENT)
    }))
}

/// The Python client, in the same virtual environment as for `cargo xtask interop`.
fn python(root: &Path) -> anyhow::Result<Peer> {
    let work = root.join("target/interop/python");
    let requirements = tools::pip_install(&root.join("interop/python"), &work)?;
    let version = requirements.lines().find_map(|line| line.strip_prefix("volt_client_web=="));
    let version = version.context("requirements.txt names the client")?.trim();
    let name = format!("volt_client_web {version} (Python)");
    Ok(Peer {
        arguments: ["-W".into(), "ignore".into(), root.join("bench/python/driver.py").into()]
            .into(),
        config: Config::Legacy,
        part: SLOWEST,
        ..Peer::new("python", name, work.join("bin/python"), PYTHON)
    })
}

/// The version of a package in a lock file.
fn locked_version(lock: &Path, package: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(lock).with_context(|| lock.display().to_string())?;
    let named = format!("name = \"{package}\"\nversion = \"");
    let version = text.split_once(&named).and_then(|(_, rest)| rest.split('"').next());
    Ok(version.with_context(|| format!("{} has no {package}", lock.display()))?.to_owned())
}

/// Runs a program with its arguments.
pub(super) fn with_arguments(mut command: Command, peer: &Peer) -> Command {
    command.args(&peer.arguments).envs(peer.environment.iter().copied());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_client_is_locked_to_a_folder() {
        let package = |name: &str, rest: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{rest}")
        };
        let rest = "source = \"registry\"\nchecksum = \"00\"\ndependencies = [\n \"tokio\",\n]";
        let lock = |client: &str| {
            let packages = [package("tokio", rest), package("volt-client-rs", client)];
            format!("version = 4\n\n{}\n", packages.join("\n\n"))
        };
        let patched = lock("dependencies = [\n \"tokio\",\n]");
        assert_eq!(locked_to_path(&lock(rest)), patched);
    }
}
