//! The load server as a process.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use super::plan::Work;
use crate::process;

const START_TIMEOUT: Duration = Duration::from_mins(2);

/// A running load server; dropping it ends it, and removes what it had.
pub(super) struct Server {
    process: Child,
    folder: PathBuf,
    resources: Resources,
}

/// What the server made for the programs.
#[derive(Deserialize)]
struct Resources {
    database: String,
    wire: String,
}

/// What a program reads to find the server.
#[derive(Clone, Copy)]
pub(super) enum Config {
    /// A client configuration.
    Client,
    /// The same with RSA keys, for the legacy protocol.
    Legacy,
    /// The ports of what is no Volt.
    Peers,
}

impl Server {
    /// Starts a server with so many rows, and waits until it is ready.
    pub(super) fn start(mut command: Command, folder: &Path, rows: u64) -> anyhow::Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        command.arg(folder).args(["--rows", &rows.to_string()]);
        let log = folder.with_extension("log");
        let mut process = process::start(command, &log)?;
        let deadline = Instant::now() + START_TIMEOUT;
        // The last that it writes.
        let ready = folder.join("peers.json");
        while !ready.exists() {
            if let Some(status) = process.try_wait()? {
                bail!("the load server ended with {status}; see {}", log.display());
            }
            if Instant::now() > deadline {
                process.kill()?;
                ensure!(process.wait()?.success(), "the load server does not get ready");
            }
            thread::sleep(Duration::from_millis(10));
        }
        let resources = serde_json::from_slice(&fs::read(&ready)?).context("peers.json")?;
        Ok(Self { process, folder: folder.to_owned(), resources })
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where a program finds what it works on.
    pub(super) fn config(&self, config: Config, work: Work) -> PathBuf {
        // Only what needs a store is done by the embedded Volt.
        let volt = if matches!(work, Work::Rows | Work::Wire) { "volt" } else { "mock" };
        self.folder.join(match config {
            Config::Client => format!("{volt}.json"),
            Config::Legacy => format!("{volt}-legacy.json"),
            Config::Peers => "peers.json".to_owned(),
        })
    }

    /// The id of what a program works on.
    pub(super) fn resource(&self, work: Work) -> &str {
        match work {
            Work::Rows => &self.resources.database,
            Work::Wire => &self.resources.wire,
            _ => "",
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
