//! Runs other programs, with a limit on their time.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// The prefix of the line with a client's result.
const RESULT: &str = "result: ";

/// The time limit for a background program to become ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a program to its end. Fails if the program does.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().display().to_string();
    let status = command.status().with_context(|| format!("{program} cannot be run"))?;
    ensure!(status.success(), "{program} failed with {status}");
    Ok(())
}

/// Runs a program to its end and returns what it prints. Fails if the program does.
pub fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let program = command.get_program().display().to_string();
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("{program} cannot be run"))?;
    ensure!(output.status.success(), "{program} failed with {}", output.status);
    Ok(output.stdout)
}

/// A background program. Dropping it kills the process.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts a program and waits for its first line, which reports that it is ready.
    pub fn start(command: Command, log: &Path) -> anyhow::Result<Self> {
        let ready = || Ok(fs::read_to_string(log)?.contains('\n').then_some(()));
        let (running, ()) = Self::start_until(command, log, START_TIMEOUT, ready)?;
        Ok(running)
    }

    /// Starts a program and polls `ready` until it returns a value.
    pub fn start_until<T>(
        command: Command,
        log: &Path,
        timeout: Duration,
        mut ready: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<(Self, T)> {
        let program = command.get_program().display().to_string();
        let mut running = Self(start(command, log)?);
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(value) = ready()? {
                return Ok((running, value));
            }
            if let Some(status) = running.0.try_wait()? {
                bail!("{program} ended with {status}; see {}", log.display());
            }
            let waited = timeout.as_secs();
            ensure!(Instant::now() < deadline, "{program} is not ready after {waited} s");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Errors are ignored: the process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program that prints to the file `log`.
fn start(mut command: Command, log: &Path) -> anyhow::Result<Child> {
    let program = command.get_program().display().to_string();
    let file = File::create(log).with_context(|| log.display().to_string())?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .env("RUST_BACKTRACE", "0")
        .spawn()
        .with_context(|| format!("{program} cannot be run"))
}

/// Runs a client's program and returns the result that it printed. Kills it after `timeout`.
pub fn result(command: Command, log: &Path, timeout: Duration) -> anyhow::Result<Value> {
    let mut child = start(command, log)?;
    let status = wait(&mut child, timeout)?;
    let printed = fs::read(log).with_context(|| log.display().to_string())?;
    let printed = String::from_utf8_lossy(&printed);
    if !status.success() {
        let error = printed.lines().rfind(|line| !line.starts_with("note: "));
        bail!("{status}: {}", error.unwrap_or("the program printed nothing"));
    }
    let result = printed.lines().find_map(|line| line.strip_prefix(RESULT));
    serde_json::from_str(result.context("the program printed no result")?)
        .context("the result is not JSON")
}

/// Waits for the end of a process. Kills it after `timeout`, which is an error.
pub fn wait(child: &mut Child, timeout: Duration) -> anyhow::Result<ExitStatus> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("the program was killed after {} s", timeout.as_secs());
        }
        thread::sleep(Duration::from_millis(10));
    }
}
