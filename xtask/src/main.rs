//! The tasks of the maintainers: `cargo xtask --help`.

mod api;
mod codegen;
mod deny;
mod features;
mod guide;
mod layout;
mod package;
mod public_api;
mod release;
mod release_notes;
mod released;
mod runners;
mod secrets;
mod semver;
mod sentences;
mod tree;
mod versions;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The tasks of the maintainers of the Volt SDK.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Api(api::Args),
    /// Compares the speed of this SDK with other clients, and writes docs/performance.md.
    #[command(disable_help_flag = true)]
    Bench(runners::Args),
    /// Measures how long the SDK takes to build.
    #[command(disable_help_flag = true)]
    BuildTime(runners::Args),
    Codegen(codegen::Args),
    /// Runs protobuf's conformance suite against the generated code.
    #[command(disable_help_flag = true)]
    Conformance(runners::Args),
    /// Checks licences, duplicates, origins and known vulnerabilities of all dependencies.
    Deny,
    /// Checks that each service of the SDK compiles without the others.
    Features,
    /// Runs the fuzz targets.
    #[command(disable_help_flag = true)]
    Fuzz(runners::Args),
    Guide(guide::Args),
    /// Runs this SDK and the published Rust client on a Volt that breaks the protocol.
    #[command(disable_help_flag = true)]
    Hostile(runners::Args),
    /// Runs this SDK and the published clients on the embedded Volt.
    #[command(disable_help_flag = true)]
    Interop(runners::Args),
    Layout(layout::Args),
    Package(package::Args),
    /// Generates code for published .proto files of others, and type-checks it.
    #[command(disable_help_flag = true)]
    Protos(runners::Args),
    PublicApi(public_api::Args),
    Release(release::Args),
    ReleaseNotes(release_notes::Args),
    Sentences(sentences::Args),
}

/// The runner of the benchmarks.
const BENCH: &str = "volt-bench-runner";
/// The runner of the tests that need more than `cargo test`.
const TESTS: &str = "volt-test-runner";
/// The runner of the generator for published files.
const PROTOS: &str = "volt-protos";

fn main() -> ExitCode {
    if let Some(code) = public_api::as_rustdoc() {
        return code;
    }
    match run(&Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::Api(args) => api::run(args)?,
        Task::Codegen(args) => codegen::run(args)?,
        Task::Deny => deny::run()?,
        Task::Features => features::run()?,
        Task::Guide(args) => guide::run(args)?,
        Task::Layout(args) => layout::run(args)?,
        Task::Package(args) => package::run(args)?,
        Task::PublicApi(args) => {
            public_api::run(args)?;
            released::check_workspace()?;
        }
        Task::Release(args) => release::run(args)?,
        Task::ReleaseNotes(args) => release_notes::run(args)?,
        Task::Sentences(args) => sentences::run(args)?,
        Task::Bench(args) => return runners::start(BENCH, "bench", args),
        Task::Protos(args) => return runners::start_optimized(PROTOS, args),
        Task::BuildTime(args) => return runners::start(BENCH, "build-time", args),
        Task::Conformance(args) => return runners::start(TESTS, "conformance", args),
        Task::Fuzz(args) => return runners::start(TESTS, "fuzz", args),
        Task::Hostile(args) => return runners::start(TESTS, "hostile", args),
        Task::Interop(args) => return runners::start(TESTS, "interop", args),
    }
    Ok(ExitCode::SUCCESS)
}
