//! Builds programs with cargo.

use std::{
    collections::HashMap,
    env, fs,
    path::{self, Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    process::{output, run},
    root,
};

/// The cargo that runs this program.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// `cargo build` in a directory, for [`Programs::build`].
pub fn build(directory: &Path) -> Command {
    let mut command = cargo();
    command.args(["build", "--locked", "--message-format=json-render-diagnostics"]);
    command.current_dir(directory);
    command
}

/// The target directory of the workspace at `root`, as an absolute path: builds of other workspaces
/// share it.
pub fn target_dir(root: &Path) -> anyhow::Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => Ok(path::absolute(folder)?),
        None => Ok(root.join("target")),
    }
}

/// The executables of one build, by the names of their targets.
#[derive(Debug)]
pub struct Programs(HashMap<String, PathBuf>);

impl Programs {
    /// Runs a [`build`] and collects its executables.
    pub fn build(command: &mut Command) -> anyhow::Result<Self> {
        let printed = output(command)?;
        let messages = printed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut programs = HashMap::new();
        for message in messages {
            let message: Value =
                serde_json::from_slice(message).context("the output of cargo is not JSON")?;
            let target = message["target"]["name"].as_str();
            if let (Some(target), Some(program)) = (target, message["executable"].as_str()) {
                programs.insert(target.to_owned(), program.into());
            }
        }
        Ok(Self(programs))
    }

    /// Removes and returns the executable of a target.
    pub fn take(&mut self, name: &str) -> anyhow::Result<PathBuf> {
        self.0.remove(name).with_context(|| format!("cargo did not build {name}"))
    }
}

/// A published cargo tool at this version, installed below `target/tools` if it is missing.
pub fn tool(name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let work = root()?.join("target/tools").join(format!("{name}-{version}"));
    let program = work.join("bin").join(name).with_extension(env::consts::EXE_EXTENSION);
    if !program.exists() {
        println!("installing {name} {version}, which takes minutes");
        let mut install = cargo();
        install.args(["install", "--locked", "--quiet", "--no-track", name, "--version", version]);
        // An optimized build takes longer than it ever saves, and so does debug information.
        install.arg("--debug").env("CARGO_PROFILE_DEV_DEBUG", "none");
        install.arg("--root").arg(&work).arg("--target-dir").arg(work.join("build"));
        run(&mut install).with_context(|| format!("{name} {version} cannot be installed"))?;
        fs::remove_dir_all(work.join("build")).ok();
    }
    Ok(program)
}

/// The version of a package in a lock file.
pub fn locked_version(lock: &Path, package: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(lock).with_context(|| lock.display().to_string())?;
    let named = format!("name = \"{package}\"\nversion = \"");
    let version = text.split_once(&named).and_then(|(_, rest)| rest.split('"').next());
    Ok(version.with_context(|| format!("{} does not lock {package}", lock.display()))?.to_owned())
}
