//! Runs the load server as a process.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context as _;
use serde::Deserialize;
use xtask_tools::process::Running;

use crate::plan::Work;

const START_TIMEOUT: Duration = Duration::from_mins(2);

/// A running load server. Dropping it kills the process and removes its folder.
pub(super) struct Server {
    /// Taken when the server is dropped: the process ends before its folder is removed.
    process: Option<Running>,
    folder: PathBuf,
    resources: Resources,
}

/// The resources that the server created for the programs.
#[derive(Deserialize)]
struct Resources {
    database: String,
    wire: String,
}

/// The file in which a program finds the server.
#[derive(Clone, Copy)]
pub(super) enum Config {
    /// A client configuration.
    Client,
    /// The same for gRPC.
    Grpc,
    /// The same with RSA keys, for the legacy protocol.
    Legacy,
    /// The ports of the servers that are not Volts.
    Peers,
}

impl Server {
    /// Starts a server whose table has this many rows, and waits until it is ready.
    pub(super) fn start(mut command: Command, folder: &Path, rows: u64) -> anyhow::Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        command.arg(folder).args(["--rows", &rows.to_string()]);
        // The server writes this file last.
        let ready = folder.join("peers.json");
        let (process, text) =
            Running::start_until(command, &folder.with_extension("log"), START_TIMEOUT, || {
                Ok(fs::read(&ready).ok())
            })?;
        let resources = serde_json::from_slice(&text).context("peers.json")?;
        Ok(Self { process: Some(process), folder: folder.to_owned(), resources })
    }

    /// The id of the process.
    pub(super) fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, Running::id)
    }

    /// The file in which a program finds the server for some work.
    pub(super) fn config(&self, config: Config, work: Work) -> PathBuf {
        // The embedded Volt does the work that needs a store.
        let volt = if matches!(work, Work::Rows | Work::Wire) { "volt" } else { "mock" };
        self.folder.join(match config {
            Config::Client => format!("{volt}.json"),
            Config::Grpc => format!("{volt}-grpc.json"),
            Config::Legacy => format!("{volt}-legacy.json"),
            Config::Peers => "peers.json".to_owned(),
        })
    }

    /// The id of the resource that a program works on.
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
        self.process = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}
