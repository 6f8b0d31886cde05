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

/// A running embedded Volt. Dropping it kills the process.
pub(super) struct Volt {
    _process: Running,
    config: PathBuf,
    legacy_config: PathBuf,
    authority: Option<PathBuf>,
}

impl Volt {
    /// Starts a Volt with an empty store, and waits until it has written its configurations.
    pub(super) fn start(
        program: &Path,
        work: &Path,
        log: &Path,
        tls: bool,
    ) -> anyhow::Result<Self> {
        // A temporary store would be left behind, because the process is killed in the end.
        let (data, config) = (work.join("data"), work.join("volt.config.json"));
        let legacy_config = work.join("legacy.config.json");
        absent(fs::remove_dir_all(&data)).with_context(|| data.display().to_string())?;
        for file in [&config, &legacy_config] {
            absent(fs::remove_file(file)).with_context(|| file.display().to_string())?;
        }
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--data"]).arg(&data);
        command.arg("--write-config").arg(&config);
        command.arg("--write-legacy-config").arg(&legacy_config);
        command.args(tls.then_some("--tls"));
        let (process, url) = Running::start_until(command, log, START_TIMEOUT, || {
            // The Volt writes the legacy configuration last.
            let written = read(&legacy_config, "id").and_then(|_| read(&config, "http_address"));
            Ok(written)
        })?;
        let authority = match read(&config, "ca_pem") {
            Some(pem) => {
                let authority = work.join("authority.pem");
                fs::write(&authority, pem).with_context(|| authority.display().to_string())?;
                Some(authority)
            }
            None => None,
        };
        println!("The embedded Volt listens at {url}.");
        Ok(Self { _process: process, config, legacy_config, authority })
    }

    /// The client configuration of the Volt's owner.
    pub(super) fn config(&self) -> &Path {
        &self.config
    }

    /// The same for the legacy protocol.
    pub(super) fn legacy_config(&self) -> &Path {
        &self.legacy_config
    }

    /// The Volt's CA certificate, with TLS.
    pub(super) fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }
}

/// Ignores an error if it says that the file does not exist.
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
