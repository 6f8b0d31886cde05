//! How long the generator and the compiler take.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use super::Results;
use crate::tools;

/// Measures both, so often.
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
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    let cargo = |arguments: &[&str]| {
        let mut command = tools::cargo();
        command.args(arguments).args(["--quiet", "--target-dir"]).arg(&target);
        // As it is without what earlier builds left.
        command.env("CARGO_INCREMENTAL", "0").current_dir(root);
        command
    };
    for (profile, name) in [("dev", "debug"), ("release", "release")] {
        let build = ["build", "--locked", "-p", "volt-api", "--profile", profile];
        note(&format!("volt-api and all it needs, {name}"), vec![time(&mut cargo(&build))?]);
        let mut times = Vec::new();
        for _ in 0..rounds {
            let clean = ["clean", "--locked", "-p", "volt-api", "--profile", profile];
            tools::run(&mut cargo(&clean))?;
            times.push(time(&mut cargo(&build))?);
        }
        note(&format!("volt-api alone, {name}"), times);
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
