//! The embedded Volt as a process.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::process;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running embedded Volt; dropping it ends it.
pub(super) struct Volt {
    process: Child,
    config: PathBuf,
    legacy_config: PathBuf,
    authority: Option<PathBuf>,
}

impl Volt {
    /// Starts a Volt with an empty store, and waits until it has written its configuration.
    pub(super) fn start(
        program: &Path,
        work: &Path,
        log: &Path,
        tls: bool,
    ) -> anyhow::Result<Self> {
        // A store of its own choice would stay behind, since the process is killed at the end.
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
        let process = process::start(command, log)?;
        let mut volt = Self { process, config, legacy_config, authority: None };

        let deadline = Instant::now() + START_TIMEOUT;
        let url = loop {
            // The second is the last that it writes.
            let found = (read(&volt.config, "http_address"), read(&volt.legacy_config, "id"));
            if let (Some(url), Some(_)) = found {
                break url;
            }
            if let Some(status) = volt.process.try_wait()? {
                bail!("the embedded Volt ended with {status}; see {}", log.display());
            }
            ensure!(Instant::now() < deadline, "the embedded Volt doesn't write its configuration");
            thread::sleep(Duration::from_millis(10));
        };
        if let Some(pem) = read(&volt.config, "ca_pem") {
            let authority = work.join("authority.pem");
            fs::write(&authority, pem).with_context(|| authority.display().to_string())?;
            volt.authority = Some(authority);
        }
        println!("An embedded Volt listens at {url}.");
        Ok(volt)
    }

    /// The configuration of its owner's client.
    pub(super) fn config(&self) -> &Path {
        &self.config
    }

    /// The same for the legacy protocol.
    pub(super) fn legacy_config(&self) -> &Path {
        &self.legacy_config
    }

    /// The certificate of its authority, if it speaks TLS.
    pub(super) fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }
}

impl Drop for Volt {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes nothing of an error which says that there is no such file.
fn absent(outcome: io::Result<()>) -> io::Result<()> {
    outcome.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

/// A field of the Volt's part of a configuration, when the file is there and whole.
fn read(config: &Path, field: &str) -> Option<String> {
    let config: Value = serde_json::from_slice(&fs::read(config).ok()?).ok()?;
    Some(config.get("volt")?.get(field)?.as_str()?.to_owned())
}
