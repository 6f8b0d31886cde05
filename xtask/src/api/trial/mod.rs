//! `cargo xtask api trial`: the import of an invented version that breaks no source, in a copy of the repository.

mod grow;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use volt_codegen::{
    diff::Surface,
    text::{Comments, write},
};
use xtask_tools::{cargo, process};

use self::grow::grow;
use super::import;
use crate::{
    codegen::{self, former::FormerNames},
    versions,
};

/// The steps of the gate that an import can affect and that take little time.
const STEPS: [&[&str]; 7] = [
    &["fmt", "--all", "--check"],
    &[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--keep-going",
        "--",
        "-D",
        "warnings",
    ],
    &["xtask", "codegen", "--check"],
    &["xtask", "guide", "--check"],
    &["xtask", "layout", "--check"],
    // The new version changes the snapshots.
    &["xtask", "public-api"],
    &["xtask", "features"],
];

/// Imports an invented next version in a copy of the repository below target/trial, and checks everything there.
///
/// The version adds fields to every message, values to every enum and methods to every service, and breaks no source.
/// The copy must therefore pass the gate. These steps run: formatting, clippy, the generated code, the guide, the
/// layout, the snapshots of the public API, which are written, and the features.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also run the tests of the workspace.
    #[arg(long)]
    test: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = xtask_tools::root()?;
    let work = cargo::target_dir(root)?.join("trial");
    let copy = work.join("repository");
    copy_repository(root, &copy)?;

    let current = versions::current(root)?;
    let old = versions::sources(root, &current)?.compile()?;
    let mut new = old.clone();
    grow(&mut new);
    let report = codegen::diff(root, &old, &new, &FormerNames::default())?;
    ensure!(
        report.breaking(Surface::Source) == 0,
        "the version breaks source:\n{}",
        report.to_text()
    );
    let source = work.join("next");
    if source.exists() {
        fs::remove_dir_all(&source)?;
    }
    for (name, text) in write(&new, &Comments::default())?.files {
        let path = source.join(name);
        fs::create_dir_all(path.parent().context("the path of the file has no parent folder")?)?;
        fs::write(path, text)?;
    }
    let [major, minor, _] =
        versions::numbers(&current).context("the version is not of the form MAJOR.MINOR.PATCH")?;
    let version = format!("{major}.{}.0", minor + 1);
    let said = import::folder(&copy, &source, &version)?;
    println!("{} lines of the import, the last of which are:", said.lines().count());
    let last: Vec<_> = said.lines().rev().take(12).collect();
    last.iter().rev().for_each(|line| println!("  {line}"));

    let cargo = |task: &[&str]| {
        println!("cargo {} in {}", task.join(" "), copy.display());
        let mut command = cargo::cargo();
        // Set as a variable, not as an argument, because `cargo xtask` runs cargo itself.
        command.current_dir(&copy).args(task).env("CARGO_TARGET_DIR", work.join("target"));
        process::run(&mut command)
    };
    STEPS.into_iter().try_for_each(cargo)?;
    if args.test {
        cargo(&["test", "--workspace", "--no-fail-fast"])?;
    }
    Ok(())
}

/// Copies the files that git knows, and new ones that it does not ignore.
fn copy_repository(root: &Path, copy: &Path) -> anyhow::Result<()> {
    if copy.exists() {
        fs::remove_dir_all(copy)?;
    }
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed =
        String::from_utf8(process::output(&mut git)?).context("the output of git is not UTF-8")?;
    for name in listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from) {
        let (from, to) = (root.join(&name), copy.join(&name));
        // Deleted files are still listed. Folders are links, which a checkout need not have.
        if from.is_file() {
            fs::create_dir_all(to.parent().context("the path of the file has no parent folder")?)?;
            fs::copy(&from, &to).with_context(|| from.display().to_string())?;
        }
    }
    Ok(())
}
