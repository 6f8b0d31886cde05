//! `cargo xtask api`: the versions of the API that are below `proto/`.

mod diff;
mod import;
mod source;

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use volt_codegen::Sources;

use crate::{codegen, tree};

pub(crate) use diff::report;

/// The file that names the version that the SDK is generated from, from the root of the repository.
pub(crate) const CURRENT: &str = "proto/VERSION";

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
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match &args.task {
        Task::Diff(args) => diff::run(args),
        Task::Import(args) => import::run(args),
    }
}

/// The version that the SDK is generated from.
pub(crate) fn current(root: &Path) -> anyhow::Result<String> {
    Ok(tree::read(&root.join(CURRENT))?.trim().to_owned())
}

/// The files of a version below `proto/`.
pub(crate) fn sources(root: &Path, version: &str) -> anyhow::Result<Sources> {
    let folder = root.join("proto").join(version);
    if numbers(version).is_none() || !folder.is_dir() {
        bail!("there is no API {version} below proto/, only {}", versions(root)?.join(", "));
    }
    codegen::sources_in(&folder)
}

/// The versions below `proto/`, the oldest first.
pub(crate) fn versions(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut versions = Vec::new();
    for entry in fs::read_dir(root.join("proto")).context("proto/ can't be read")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(numbers) = numbers(&name) {
            versions.push((numbers, name));
        }
    }
    versions.sort();
    Ok(versions.into_iter().map(|(_, name)| name).collect())
}

/// What a version such as 0.20.34 consists of.
pub(crate) fn numbers(version: &str) -> Option<Vec<u64>> {
    let digits = version.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit());
    digits.then(|| version.split('.').map(|part| part.parse().ok()).collect())?
}
