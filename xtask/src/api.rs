//! `cargo xtask api`: the versions of the API that are below `proto/`.

mod import;
mod source;

use clap::Subcommand;

/// Manages the versions of the API below proto/.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Import(import::Args),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match &args.task {
        Task::Import(args) => import::run(args),
    }
}
