//! The embedded Volt as a process.

use std::{
    fs, io,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::process;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running embedded Volt; dropping it ends it.
pub(super) struct Volt {
    process: Child,
}

impl Volt {
    /// Starts a Volt with an empty store, and waits until it has written `config`.
    pub(super) fn start(program: &Path, config: &Path, log: &Path) -> anyhow::Result<Self> {
        match fs::remove_file(config) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| config.display().to_string());
            }
            _ => {}
        }
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--write-config"]).arg(config);
        let mut volt = Self { process: process::start(command, log)? };

        let deadline = Instant::now() + START_TIMEOUT;
        let url = loop {
            if let Some(url) = url(config) {
                break url;
            }
            if let Some(status) = volt.process.try_wait()? {
                bail!("the embedded Volt ended with {status}; see {}", log.display());
            }
            ensure!(Instant::now() < deadline, "the embedded Volt doesn't write its configuration");
            thread::sleep(Duration::from_millis(10));
        };
        println!("An embedded Volt listens at {url}.");
        Ok(volt)
    }
}

impl Drop for Volt {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address in a configuration, when the file is there and whole.
fn url(config: &Path) -> Option<String> {
    let config: Value = serde_json::from_slice(&fs::read(config).ok()?).ok()?;
    Some(config.get("volt")?.get("http_address")?.as_str()?.to_owned())
}
