//! Runs the tests that need more than `cargo test`: `cargo xtask interop` and its siblings.

mod conformance;
mod fuzz;
mod hostile;
mod interop;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs the tests that need more than `cargo test`.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Subcommand)]
enum Suite {
    Conformance(conformance::Args),
    Fuzz(fuzz::Args),
    Hostile(hostile::Args),
    Interop(interop::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().suite {
        Suite::Conformance(args) => conformance::run(&args),
        Suite::Fuzz(args) => fuzz::run(&args),
        Suite::Hostile(args) => hostile::run(&args),
        Suite::Interop(args) => interop::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
