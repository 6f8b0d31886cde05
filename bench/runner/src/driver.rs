//! Running a peer's program once.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;

use super::{
    cores::Machine,
    peers::{self, Peer},
    plan::Item,
    server::Server,
};
use crate::process;

/// How long a program may take for one piece of work.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Lets a peer do a piece of work, and gives what it measured.
pub(super) fn run<T: DeserializeOwned>(
    machine: &Machine,
    server: &Server,
    peer: &Peer,
    item: &Item,
    folder: &Path,
) -> anyhow::Result<T> {
    let cell = &item.cell;
    let (out, log) = (folder.join("measured.json"), folder.join("errors.log"));
    // What is left of the run before must not be taken for this one's.
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
    // One of the clients prints all that it does: to write that to a disk would be measured.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
    let mut child = command.spawn().with_context(|| format!("{} can't be run", peer.name))?;
    let Some(status) = process::wait(&mut child, TIMEOUT)? else {
        child.kill()?;
        child.wait()?;
        bail!("no end after {} s", TIMEOUT.as_secs());
    };
    if !status.success() {
        let printed = fs::read(&log)?;
        let printed = String::from_utf8_lossy(&printed);
        bail!("{status}: {}", printed.lines().last().unwrap_or("nothing was printed"));
    }
    serde_json::from_slice(&fs::read(&out)?).context("what it measured is not JSON")
}
