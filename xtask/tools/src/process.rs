//! Programs that must come to an end.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// What the line with a client's result begins with.
const RESULT: &str = "result: ";

/// How long a program that runs on may take to be ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A program that runs until this is dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts a program, and waits until it is ready, which it says by its first line.
    pub(crate) fn start(command: Command, log: &Path) -> anyhow::Result<Self> {
        let program = command.get_program().display().to_string();
        let mut running = Self(start(command, log)?);
        let deadline = Instant::now() + START_TIMEOUT;
        while !fs::read_to_string(log)?.contains('\n') {
            if let Some(status) = running.0.try_wait()? {
                bail!("{program} ended with {status}; see {}", log.display());
            }
            ensure!(Instant::now() < deadline, "{program} doesn't get ready");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program that prints to a file.
pub(crate) fn start(mut command: Command, log: &Path) -> anyhow::Result<Child> {
    let program = command.get_program().display().to_string();
    let file = File::create(log).with_context(|| log.display().to_string())?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .env("RUST_BACKTRACE", "0")
        .spawn()
        .with_context(|| format!("{program} can't be run"))
}

/// Runs a client's program and gives the result that it printed.
///
/// One that takes too long is killed.
pub(crate) fn result(command: Command, log: &Path, timeout: Duration) -> anyhow::Result<Value> {
    let mut child = start(command, log)?;
    let Some(status) = wait(&mut child, timeout)? else {
        child.kill()?;
        child.wait()?;
        bail!("no end after {} s", timeout.as_secs());
    };
    let printed = fs::read(log).with_context(|| log.display().to_string())?;
    let printed = String::from_utf8_lossy(&printed);
    if !status.success() {
        let error = printed.lines().rfind(|line| !line.starts_with("note: "));
        bail!("{status}: {}", error.unwrap_or("nothing was printed"));
    }
    let result = printed.lines().find_map(|line| line.strip_prefix(RESULT));
    serde_json::from_str(result.context("no result was printed")?).context("the result is not JSON")
}

/// Waits for the end, but not longer than that.
pub(crate) fn wait(child: &mut Child, timeout: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + timeout;
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() > deadline {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
}
