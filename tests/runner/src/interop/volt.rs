//! Runs the embedded Volt as a process.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;
use xtask_tools::process::Running;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running embedded Volt, and another one that is its relay. Dropping it kills both processes.
pub(super) struct Volt {
    _processes: [Running; 2],
    configs: Configs,
    authorities: Option<PathBuf>,
}

/// The configurations of clients with the owner's rights.
pub(super) struct Configs {
    pub(super) direct: PathBuf,
    /// Through the relay.
    pub(super) relayed: Option<PathBuf>,
    /// For the legacy protocol.
    pub(super) legacy: Option<PathBuf>,
}

impl Volt {
    /// Starts a relay and a Volt with empty stores, and waits until they have written their
    /// configurations.
    pub(super) fn start(
        program: &Path,
        work: &Path,
        logs: &Path,
        tls: bool,
    ) -> anyhow::Result<Self> {
        let file = |name: &str| work.join(format!("{name}.config.json"));
        let (relay, config) = (file("relay"), file("volt"));
        let (relayed, legacy) = (file("relayed"), file("legacy"));
        for file in [&relay, &config, &relayed, &legacy] {
            absent(fs::remove_file(file)).with_context(|| file.display().to_string())?;
        }
        let start = |name: &str, config: &Path, options: &[(&str, &Path)], last: &Path| {
            // A temporary store would remain, because the process is killed.
            let data = work.join(name);
            absent(fs::remove_dir_all(&data)).with_context(|| data.display().to_string())?;
            let mut command = Command::new(program);
            command.args(["--listen", "127.0.0.1:0", "--data"]).arg(&data);
            command.arg("--write-config").arg(config);
            for (option, path) in options {
                command.arg(option).arg(path);
            }
            command.args(tls.then_some("--tls"));
            let log = logs.join(format!("{name}.log"));
            Running::start_until(command, &log, START_TIMEOUT, || {
                Ok(read(last, "id").and_then(|_| read(config, "http_address")))
            })
        };
        let (first, _) = start("relay", &relay, &[], &relay)?;
        let options = [
            ("--relay", &*relay),
            ("--write-relayed-config", &*relayed),
            // The last to be written.
            ("--write-legacy-config", &*legacy),
        ];
        let (second, url) = start("volt", &config, &options, &legacy)?;
        let authorities = if tls {
            let path = work.join("authorities.pem");
            let pems = [&config, &relay]
                .map(|config| read(config, "ca_pem").unwrap_or_default())
                .join("\n");
            fs::write(&path, pems).with_context(|| path.display().to_string())?;
            Some(path)
        } else {
            None
        };
        println!("The embedded Volt listens at {url}.");
        let configs = Configs { direct: config, relayed: Some(relayed), legacy: Some(legacy) };
        Ok(Self { _processes: [second, first], configs, authorities })
    }

    /// The configurations of the Volt's clients.
    pub(super) fn configs(&self) -> &Configs {
        &self.configs
    }

    /// The CA certificates of the Volt and its relay, with TLS.
    pub(super) fn authorities(&self) -> Option<&Path> {
        self.authorities.as_deref()
    }
}

/// Ignores the error of a file that does not exist.
fn absent(outcome: io::Result<()>) -> io::Result<()> {
    outcome.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

/// A field of the Volt's part of a configuration. `None` while the file is missing or incomplete.
fn read(config: &Path, field: &str) -> Option<String> {
    let config: Value = serde_json::from_slice(&fs::read(config).ok()?).ok()?;
    Some(config.get("volt")?.get(field)?.as_str()?.to_owned())
}
