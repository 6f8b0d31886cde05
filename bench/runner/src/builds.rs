//! How long the generator and the compiler take.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use super::Results;
use crate::tools;

/// Measures both: the generator so often, and the compiler once, from nothing.
pub(super) fn measure(
    results: &mut Results,
    root: &Path,
    work: &Path,
    rounds: usize,
) -> anyhow::Result<()> {
    let mut note = |name: &str, times| results.builds.push((name.to_owned(), times));
    let mut generating = Command::new(env::current_exe()?);
    generating.args(["codegen", "--check"]).stdout(Stdio::null()).current_dir(root);
    let times = (0..rounds).map(|_| time(&mut generating));
    note("`cargo xtask codegen --check`", times.collect::<Result<_, _>>()?);

    let target = work.join("build-time");
    for (profile, name) in [("dev", "debug"), ("release", "release")] {
        if target.exists() {
            fs::remove_dir_all(&target)?;
        }
        let mut build = tools::cargo();
        build.args(["build", "--locked", "--quiet", "-p", "volt-api", "--profile", profile]);
        build.arg("--target-dir").arg(&target).current_dir(root);
        note(&format!("`volt-api` and all that it needs, {name}"), vec![time(&mut build)?]);
    }
    fs::remove_dir_all(&target)?;
    Ok(())
}

/// Seconds that a program takes to its end.
fn time(command: &mut Command) -> anyhow::Result<f64> {
    let started = Instant::now();
    tools::run(command)?;
    Ok(started.elapsed().as_secs_f64())
}
