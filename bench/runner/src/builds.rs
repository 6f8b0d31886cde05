//! Measures the time of the generator and of a clean build.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::Context as _;
use xtask_tools::{
    cargo::{self, Programs, cargo},
    process::run,
};

use crate::results::Results;

/// Measures the generator `rounds` times, and a clean build once for each profile.
pub(super) fn measure(
    results: &mut Results,
    root: &Path,
    work: &Path,
    rounds: usize,
) -> anyhow::Result<()> {
    let mut note = |name: &str, times| results.builds.push((name.to_owned(), times));
    let xtask = Programs::build(cargo::build(root).args(["--package", "xtask"]))?.take("xtask");
    let mut generating = Command::new(xtask.context("the executable of xtask was not built")?);
    generating.args(["codegen", "--check"]).stdout(Stdio::null()).current_dir(root);
    let times = (0..rounds).map(|_| time(&mut generating));
    note("`cargo xtask codegen --check`", times.collect::<Result<_, _>>()?);

    let target = work.join("build-time");
    for (profile, name) in [("dev", "debug"), ("release", "release")] {
        if target.exists() {
            fs::remove_dir_all(&target)?;
        }
        let mut build = cargo();
        build.args(["build", "--locked", "--quiet", "-p", "volt-api", "--profile", profile]);
        build.arg("--target-dir").arg(&target).current_dir(root);
        note(&format!("`volt-api` and its dependencies, {name}"), vec![time(&mut build)?]);
    }
    fs::remove_dir_all(&target)?;
    Ok(())
}

/// The seconds that a program runs.
fn time(command: &mut Command) -> anyhow::Result<f64> {
    let started = Instant::now();
    run(command)?;
    Ok(started.elapsed().as_secs_f64())
}
