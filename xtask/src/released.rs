//! The public API of the last release, and the version that the changes since then require.
//!
//! `tests/public-api/released` has the snapshots of the last published version, and its number. The folder is
//! missing until the first release.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, bail};
use xtask_tools::root;

use crate::{
    public_api::{CRATES, SNAPSHOTS, excerpt},
    semver::Step,
    tree::read,
    versions,
};

const FOLDER: &str = "released";
const VERSION: &str = "VERSION";

/// Fails unless the version of this workspace is high enough for the changes of the public API since the last
/// release.
pub(crate) fn check_workspace() -> anyhow::Result<()> {
    // All published crates have the version of this program.
    check(root()?, env!("CARGO_PKG_VERSION"))
}

fn check(root: &Path, version: &str) -> anyhow::Result<()> {
    let snapshots = root.join(SNAPSHOTS);
    let folder = snapshots.join(FOLDER);
    if !folder.exists() {
        return Ok(());
    }
    let released = read(&folder.join(VERSION))?.trim().to_owned();
    let before = versions::numbers(&released)
        .with_context(|| format!("`{released}` in {FOLDER}/{VERSION} is not a version"))?;
    let now = versions::numbers(version)
        .with_context(|| format!("the workspace's version `{version}` is not a version"))?;
    let mut problems = String::new();
    for name in CRATES {
        let file = Path::new(name).with_extension("txt");
        let path = folder.join(&file);
        // A crate that was not yet part of that release.
        if !path.exists() {
            continue;
        }
        let (step, lines) = Step::between(&read(&path)?, &read(&snapshots.join(file))?);
        let needed = step.after(before);
        if step != Step::Fix && now < needed {
            let needed = needed.map(|number| number.to_string()).join(".");
            // Writing to a `String` cannot fail.
            let _ = writeln!(problems, "\n{name} needs at least {needed}:\n{}", excerpt(&lines));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    bail!(
        "the public API has changed since {released}, and the version {version} is too low:\n{problems}\n\
         Raise the version in Cargo.toml, or undo the change."
    )
}

/// Records the current snapshots as those of the released version.
pub(crate) fn record(root: &Path, version: &str) -> anyhow::Result<()> {
    let snapshots = root.join(SNAPSHOTS);
    let folder = snapshots.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for name in CRATES {
        let file = Path::new(name).with_extension("txt");
        let from = snapshots.join(&file);
        fs::copy(&from, folder.join(file)).with_context(|| from.display().to_string())?;
    }
    Ok(fs::write(folder.join(VERSION), format!("{version}\n"))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A repository whose crates have this public API.
    fn repository(api: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        set(root.path(), api);
        root
    }

    fn set(root: &Path, api: &str) {
        let snapshots = root.join(SNAPSHOTS);
        fs::create_dir_all(&snapshots).unwrap();
        for name in CRATES {
            fs::write(snapshots.join(name).with_extension("txt"), api).unwrap();
        }
    }

    #[test]
    fn without_a_release_every_version_is_accepted() {
        let root = repository("pub fn a()\n");
        check(root.path(), "0.1.0").unwrap();
    }

    #[test]
    fn changes_since_the_release_require_a_higher_version() {
        let root = repository("pub fn a()\n");
        record(root.path(), "0.1.0").unwrap();
        check(root.path(), "0.1.0").unwrap();

        set(root.path(), "pub fn a()\npub fn b()\n");
        let error = check(root.path(), "0.1.0").unwrap_err().to_string();
        assert!(error.contains("volt-api needs at least 0.1.1:\n+ pub fn b()"), "{error}");
        check(root.path(), "0.1.1").unwrap();

        set(root.path(), "pub fn b()\n");
        let error = check(root.path(), "0.1.1").unwrap_err().to_string();
        assert!(error.contains("volt-api needs at least 0.2.0:\n- pub fn a()"), "{error}");
        check(root.path(), "0.2.0").unwrap();

        record(root.path(), "0.2.0").unwrap();
        check(root.path(), "0.2.0").unwrap();
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        let root = repository("pub fn a()\n");
        record(root.path(), "next").unwrap();
        let error = check(root.path(), "0.1.0").unwrap_err().to_string();
        assert!(error.contains("`next`"), "{error}");
    }
}
