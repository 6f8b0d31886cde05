//! What a maintainer of the Volt SDK runs: `cargo xtask --help`.

mod api;
mod bench;
mod codegen;
mod conformance;
mod features;
mod interop;
mod process;
mod tools;

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
    Codegen(codegen::Args),
    Conformance(conformance::Args),
    /// Checks that each service of the SDK compiles without the others.
    Features,
    Interop(interop::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Api(args) => api::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Codegen(args) => codegen::run(&args),
        Task::Conformance(args) => conformance::run(&args),
        Task::Features => features::run(),
        Task::Interop(args) => interop::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
