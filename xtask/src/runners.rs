//! Starts the runners below `bench/` and `tests/`.
//!
//! Cargo builds a runner when it is started, so that tasks such as `codegen` do not wait for it.

use std::{
    ffi::OsString,
    process::{Command, ExitCode},
};
use xtask_tools::cargo;

use anyhow::Context as _;

/// The arguments of a runner, which parses them itself.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    arguments: Vec<OsString>,
}

/// Runs one task of a runner and returns its exit code.
///
/// The runner has printed its error already if it failed.
pub(crate) fn start(package: &str, task: &str, args: &Args) -> anyhow::Result<ExitCode> {
    let mut cargo = cargo::cargo();
    cargo.args(["run", "--quiet", "--locked", "--package", package]);
    finish(&mut cargo, &[task], args)
}

/// Runs a runner with a single task, in an optimized build.
pub(crate) fn start_optimized(package: &str, args: &Args) -> anyhow::Result<ExitCode> {
    let mut cargo = cargo::cargo();
    cargo.args(["run", "--quiet", "--locked", "--release", "--package", package]);
    finish(&mut cargo, &[], args)
}

fn finish(cargo: &mut Command, task: &[&str], args: &Args) -> anyhow::Result<ExitCode> {
    cargo.arg("--manifest-path").arg(xtask_tools::root()?.join("Cargo.toml"));
    cargo.arg("--").args(task).args(&args.arguments);
    let status = cargo.status().context("cargo cannot be run")?;
    // A runner that was killed has no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(code.into())
}
