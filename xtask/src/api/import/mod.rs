//! `cargo xtask api import`: adds a version of the API, with our documentation.

use std::{fmt::Write as _, path::Path, process::Command};

use anyhow::{Context as _, ensure};
use volt_codegen::{
    diff::{diff, moved},
    text::{Comments, write},
};

use super::source::{self, Source};
use crate::{codegen::Plan, tree, versions};

/// Adds an API version below proto/, or normalizes an existing one.
///
/// The files are written in a canonical form. Their own comments are replaced with ours, from the
/// same version if it exists, otherwise from the version in proto/VERSION. The output lists new
/// elements without documentation and summarizes the changes since that version. A failed import
/// changes nothing.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A folder, a tarball (.tar, .tar.gz, .tgz), or a published version of the package
    /// @tdxvolt/volt-client-grpc, such as npm:0.20.34.
    source: Source,
    /// The API version. Default: the version of the npm package.
    #[arg(long)]
    version: Option<String>,
    /// Also generate the SDK from it, as `cargo xtask codegen VERSION` does.
    #[arg(long)]
    codegen: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    print!("{}", import(xtask_tools::root()?, args, &mut Command::new("npm"))?);
    Ok(())
}

/// Returns the text to print. `npm` is the program.
fn import(root: &Path, args: &Args, npm: &mut Command) -> anyhow::Result<String> {
    let found = source::read(&args.source, npm)?;
    let version = args.version.clone().or(found.version);
    let version = version.context("the source doesn't say its version: give it with --version")?;
    ensure!(versions::numbers(&version).is_some(), "{version:?} is no version, such as 0.20.34");

    let set = found.sources.compile().context("the files of the source don't compile")?;
    let folder = Path::new("proto").join(&version);
    let existed = root.join(&folder).is_dir();
    let current = versions::current(root)?;
    let before = versions::sources(root, &current)?.compile()?;
    let mut comments = Comments::default();
    if existed {
        comments = Comments::of(&versions::sources(root, &version)?.compile()?);
    }
    let comments = comments.or(Comments::of(&before).moved(&moved(&before, &set)));
    let written = write(&set, &comments)?;

    let files = written.files.iter().map(|(name, text)| (folder.join(name), text.clone()));
    let mut changes = tree::changes(root, files.collect(), &[&folder])?;
    let mut said = format!(
        "{} {} files in {}\n",
        if existed { "Rewrote" } else { "Wrote" },
        written.files.len(),
        folder.display()
    );
    if args.codegen {
        let plan = Plan::new(root, &version, &written)?;
        said += &plan.shown();
        changes.extend(plan.changes);
    }
    tree::apply(root, &changes)?;

    let unknown = comments.unknown(&set);
    if !unknown.is_empty() {
        writeln!(said, "{} new elements need documentation:", unknown.len())?;
        for name in unknown {
            writeln!(said, "  {name}")?;
        }
    }
    if version != current {
        writeln!(said, "Since API {current} (cargo xtask api diff {current} {version}):")?;
        said += &diff(&before, &set).summary("  ");
    }
    if !args.codegen {
        writeln!(said, "To generate the SDK from it: cargo xtask codegen {version}")?;
    }
    Ok(said)
}

#[cfg(test)]
mod tests;
