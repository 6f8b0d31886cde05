//! The host of the service that the scenario `hosted` calls, as a process.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};

use crate::process;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running host; dropping it ends it.
pub(super) struct Host(Child);

impl Host {
    /// Starts a host, and waits until it is online, which it says by its first line.
    pub(super) fn start(command: Command, log: &Path) -> anyhow::Result<Self> {
        let mut host = Self(process::start(command, log)?);
        let deadline = Instant::now() + START_TIMEOUT;
        while !fs::read_to_string(log)?.contains('\n') {
            if let Some(status) = host.0.try_wait()? {
                bail!("the host ended with {status}; see {}", log.display());
            }
            ensure!(Instant::now() < deadline, "the host doesn't come online");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(host)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
