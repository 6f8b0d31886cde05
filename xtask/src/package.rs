//! `cargo xtask package`: packages the published crates, and checks a program that depends only on them.
//!
//! A crate compiles in the workspace although its package lacks a file, or a version of a dependency. The
//! program in `tests/package` is therefore compiled outside of the workspace, with the packages in place of
//! the registry.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use flate2::read::GzDecoder;
use xtask_tools::{
    cargo::{cargo, target_dir},
    process, root,
};

use crate::public_api::CRATES;

/// Packages the published crates, and checks a program that depends only on these packages.
///
/// The packages are in `target/package`. Nothing is published.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run the program's tests too, which builds everything.
    #[arg(long)]
    pub(crate) test: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = root()?;
    let packages = target_dir(root)?.join("package");
    if packages.exists() {
        fs::remove_dir_all(&packages).with_context(|| packages.display().to_string())?;
    }
    let mut package = cargo();
    // The program below verifies them.
    package.args(["package", "--locked", "--allow-dirty", "--no-verify"]).current_dir(root);
    package.args(CRATES.iter().flat_map(|name| ["--package", name]));
    process::run(&mut package)?;

    let program = packages.join("program");
    copy(&root.join("tests/package"), &program)?;
    // Use the same versions of dependencies, so that fewer are rebuilt.
    fs::copy(root.join("Cargo.lock"), program.join("Cargo.lock"))?;
    let mut check = cargo();
    if args.test {
        check.arg("test");
    } else {
        check.args(["check", "--all-targets"]);
    }
    check.current_dir(&program).arg("--target-dir").arg(target_dir(root)?);
    for name in CRATES {
        // All have the version of the workspace.
        let folder = unpack(&packages, name, env!("CARGO_PKG_VERSION"))?;
        check.arg("--config").arg(format!("patch.crates-io.{name}.path='{}'", folder.display()));
    }
    process::run(&mut check).context("a program that uses the packages does not compile")
}

/// Unpacks a package, and returns its folder.
fn unpack(packages: &Path, name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let folder = packages.join(format!("{name}-{version}"));
    let file = folder.with_file_name(format!("{name}-{version}.crate"));
    let archive = fs::File::open(&file).with_context(|| file.display().to_string())?;
    tar::Archive::new(GzDecoder::new(archive)).unpack(packages)?;
    Ok(folder)
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
