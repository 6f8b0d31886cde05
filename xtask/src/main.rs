//! What a maintainer of the Volt SDK runs: `cargo xtask --help`.

mod api;
mod bench;
mod build_time;
mod codegen;
mod conformance;
mod deny;
mod features;
mod fuzz;
mod hostile;
mod interop;
mod layout;
mod process;
mod release_notes;
mod tools;
mod tree;
mod versions;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a maintainer of the Volt SDK runs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Api(api::Args),
    Bench(bench::Args),
    BuildTime(build_time::Args),
    Codegen(codegen::Args),
    Conformance(conformance::Args),
    /// Checks licences, duplicates and origins of all dependencies, as deny.toml says.
    Deny,
    /// Checks that each service of the SDK compiles without the others.
    Features,
    Fuzz(fuzz::Args),
    Hostile(hostile::Args),
    Interop(interop::Args),
    Layout(layout::Args),
    ReleaseNotes(release_notes::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Api(args) => api::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::BuildTime(args) => build_time::run(&args),
        Task::Codegen(args) => codegen::run(&args),
        Task::Conformance(args) => conformance::run(&args),
        Task::Deny => deny::run(),
        Task::Features => features::run(),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Hostile(args) => hostile::run(&args),
        Task::Interop(args) => interop::run(&args),
        Task::Layout(args) => layout::run(&args),
        Task::ReleaseNotes(args) => release_notes::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
