//! Runs a peer's program once.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use xtask_tools::process;

use crate::{
    cores::Machine,
    peers::{self, Peer},
    plan::Item,
    server::Server,
};

/// The time limit of one piece of work.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Runs a peer on a piece of work and returns its measurements.
pub(super) fn run<T: DeserializeOwned>(
    machine: &Machine,
    server: &Server,
    peer: &Peer,
    item: &Item,
    folder: &Path,
) -> anyhow::Result<T> {
    let cell = &item.cell;
    let (out, log) = (folder.join("measured.json"), folder.join("errors.log"));
    // An empty file, so that the measurements of an earlier run are never read.
    fs::write(&out, "")?;
    let mut command = peers::with_arguments(machine.client(&peer.program, cell.cores), peer);
    command.arg(cell.work.name());
    command.arg("--config").arg(server.config(peer.config, cell.work));
    command.arg("--out").arg(&out);
    command.args(["--in-flight", &cell.in_flight.to_string()]);
    command.args(["--size", &cell.size.to_string()]);
    command.args(["--count", &peer.share(cell.count).to_string()]);
    command.args(["--seconds", &item.seconds.to_string()]);
    command.args(["--warm-up", &(item.seconds / 2.0).to_string()]);
    command.args(["--resource", server.resource(cell.work)]);
    command.args(["--server", &server.id().to_string()]);
    // One of the clients logs every call to its output; writing that to a disk would be measured.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
    let mut child = command.spawn().with_context(|| format!("{} cannot be run", peer.name))?;
    let status = process::wait(&mut child, TIMEOUT)?;
    if !status.success() {
        let printed = fs::read(&log)?;
        let printed = String::from_utf8_lossy(&printed);
        bail!("{status}: {}", printed.lines().last().unwrap_or("the program printed nothing"));
    }
    serde_json::from_slice(&fs::read(&out)?).context("its measurements are not JSON")
}
