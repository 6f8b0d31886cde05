//! `cargo xtask release`: checks and publishes the crates.

use std::path::Path;

use anyhow::ensure;
use xtask_tools::{cargo::cargo, process, root};

use crate::{package, public_api, released, secrets, tree::read};

/// Checks the published crates as for a release, and publishes them with `--execute`.
///
/// The steps: the changelog has a section for the version, every field that looks secret is decided, the public
/// API is the recorded one and fits the version, a program with the packages alone passes its tests, and `cargo
/// publish` accepts the crates. After publishing, the public API is recorded as that of the release. Without
/// `--execute` nothing is published.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Publish the crates.
    #[arg(long)]
    execute: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = root()?;
    // All published crates have one version.
    let version = env!("CARGO_PKG_VERSION");
    let noted = notes(root, version);
    if args.execute {
        noted?;
    } else if let Err(error) = noted {
        println!("before the release: {error}");
    }
    secrets::ensure_decided(root)?;
    public_api::run(&public_api::Args { check: true })?;
    released::check_workspace()?;
    package::run(&package::Args { test: true })?;
    let mut publish = cargo();
    publish.args(["publish", "--workspace", "--locked"]).current_dir(root);
    if !args.execute {
        // A dry run may have uncommitted changes.
        publish.args(["--dry-run", "--allow-dirty"]);
    }
    process::run(&mut publish)?;
    if args.execute {
        released::record(root, version)?;
        println!(
            "{version} is published. Commit tests/public-api/released, and tag the commit v{version}."
        );
    } else {
        println!("{version} can be published. This was a dry run: `--execute` publishes it.");
    }
    Ok(())
}

/// Fails unless the changelog has a section for this version.
fn notes(root: &Path, version: &str) -> anyhow::Result<()> {
    let changelog = read(&root.join("CHANGELOG.md"))?;
    let heading = format!("## [{version}]");
    ensure!(
        changelog.lines().any(|line| line.starts_with(&heading)),
        "CHANGELOG.md has no section `{heading}`: rename the section Unreleased"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    #[test]
    fn a_release_needs_its_section_in_the_changelog() {
        let root = tempfile::tempdir().unwrap();
        let changelog = root.path().join("CHANGELOG.md");
        fs::write(&changelog, "# Changelog\n\n## [Unreleased]\n").unwrap();
        let error = notes(root.path(), "0.1.0").unwrap_err().to_string();
        assert!(error.contains("`## [0.1.0]`"), "{error}");
        fs::write(&changelog, "# Changelog\n\n## [0.1.0] - 2026-12-01\n").unwrap();
        notes(root.path(), "0.1.0").unwrap();
    }
}
