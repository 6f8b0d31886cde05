//! Runs the benchmarks: `cargo xtask bench` and `cargo xtask build-time`.

// All counts here are far below 2^52.
#![allow(clippy::cast_precision_loss)]

mod build_time;
mod builds;
mod chart;
mod cores;
mod driver;
mod measure;
mod nodelay;
mod peers;
mod plan;
mod report;
mod results;
mod server;
mod targets;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs the benchmarks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Bench(measure::Args),
    BuildTime(build_time::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Bench(args) => measure::run(&args),
        Task::BuildTime(args) => build_time::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
