//! `cargo xtask api`: adds and compares versions of the API.

mod diff;
mod import;
mod source;
mod trial;
mod undocumented;

use clap::Subcommand;

pub(crate) use diff::report;

/// Manages the versions of the API below proto/.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Diff(diff::Args),
    Import(import::Args),
    Trial(trial::Args),
    Undocumented(undocumented::Args),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match &args.task {
        Task::Diff(args) => diff::run(args),
        Task::Import(args) => import::run(args),
        Task::Trial(args) => trial::run(args),
        Task::Undocumented(args) => undocumented::run(args),
    }
}
