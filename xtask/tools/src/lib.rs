//! Other programs: run to their end, built by cargo, fetched by npm.

use std::{
    collections::HashMap,
    env, fs,
    path::{self, Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// The workspace's root.
pub(crate) fn root() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is in a workspace")
}

/// Runs a program to its end and fails if it does.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().display().to_string();
    let status = command.status().with_context(|| format!("{program} can't be run"))?;
    ensure!(status.success(), "{program} failed with {status}");
    Ok(())
}

/// Runs a program to its end and gives what it prints.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let program = command.get_program().display().to_string();
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("{program} can't be run"))?;
    ensure!(output.status.success(), "{program} failed with {}", output.status);
    Ok(output.stdout)
}

/// `cargo build` in a directory.
pub(crate) fn cargo_build(directory: &Path) -> Command {
    let mut command = cargo();
    command.args(["build", "--locked", "--message-format=json-render-diagnostics"]);
    command.current_dir(directory);
    command
}

/// Where cargo puts what it builds of the workspace. What another workspace needs as well is there.
pub(crate) fn target_dir(root: &Path) -> anyhow::Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        // What it is relative to is not where another workspace is built.
        Some(folder) => Ok(path::absolute(folder)?),
        None => Ok(root.join("target")),
    }
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The programs that cargo made, by the names of their targets.
pub(crate) struct Programs(HashMap<String, PathBuf>);

impl Programs {
    /// Runs a [build](cargo_build).
    pub(crate) fn build(command: &mut Command) -> anyhow::Result<Self> {
        let printed = output(command)?;
        let messages = printed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut programs = HashMap::new();
        for message in messages {
            let message: Value = serde_json::from_slice(message).context("cargo prints JSON")?;
            let target = message["target"]["name"].as_str();
            if let (Some(target), Some(program)) = (target, message["executable"].as_str()) {
                programs.insert(target.to_owned(), program.into());
            }
        }
        Ok(Self(programs))
    }

    pub(crate) fn take(&mut self, name: &str) -> anyhow::Result<PathBuf> {
        self.0.remove(name).with_context(|| format!("cargo built no {name}"))
    }
}

/// Another program of cargo's, in this version: installed below `target/` if it isn't there.
pub(crate) fn cargo_tool(name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let work = root()?.join("target/tools").join(format!("{name}-{version}"));
    let program = work.join("bin").join(name).with_extension(env::consts::EXE_EXTENSION);
    if !program.exists() {
        println!("{name} {version} is not there yet: installing it, which takes minutes");
        let mut install = cargo();
        install.args(["install", "--locked", "--quiet", "--no-track", name, "--version", version]);
        // Building it for speed takes longer than it ever saves.
        install.arg("--debug");
        install.arg("--root").arg(&work).arg("--target-dir").arg(work.join("build"));
        run(&mut install).with_context(|| format!("{name} can't be installed"))?;
        fs::remove_dir_all(work.join("build")).ok();
    }
    Ok(program)
}

/// Installs in `work` what the `package.json` and the lock file in `source` say, if it isn't there.
pub(crate) fn npm_install(source: &Path, work: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(work).with_context(|| work.display().to_string())?;
    let lock = "package-lock.json";
    let wanted = fs::read(source.join(lock)).with_context(|| source.display().to_string())?;
    // The second file is the last that npm writes.
    let installed = fs::read(work.join(lock)).is_ok_and(|lock| lock == wanted)
        && work.join("node_modules/.package-lock.json").exists();
    if installed {
        return Ok(());
    }
    for name in ["package.json", lock] {
        fs::copy(source.join(name), work.join(name))
            .with_context(|| format!("{name} can't be copied"))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(work);
    run(&mut npm).context("npm and Node 20 are needed")
}

/// Makes a virtual environment of Python's in `work` with what `requirements.txt` says, all of which
/// it names, if it isn't there. Gives that file's text.
pub(crate) fn pip_install(source: &Path, work: &Path) -> anyhow::Result<String> {
    let wanted = source.join("requirements.txt");
    let wanted = fs::read_to_string(&wanted).with_context(|| wanted.display().to_string())?;
    // Written when everything is there.
    let done = work.join("installed.txt");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(wanted);
    }
    let needed = "Python 3.11 or newer is needed, with venv and pip";
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(work)).context(needed)?;
    let mut pip = Command::new(work.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]);
    pip.arg("--requirement").arg(source.join("requirements.txt"));
    run(&mut pip).context(needed)?;
    fs::write(&done, &wanted).with_context(|| done.display().to_string())?;
    Ok(wanted)
}

/// The version that a `package.json` pins a package to.
pub(crate) fn npm_version(source: &Path, package: &str) -> anyhow::Result<String> {
    let path = source.join("package.json");
    let manifest = fs::read(&path).with_context(|| path.display().to_string())?;
    let manifest: Value = serde_json::from_slice(&manifest).context("package.json is JSON")?;
    match manifest["dependencies"][package].as_str() {
        Some(version) => Ok(version.to_owned()),
        None => bail!("{} doesn't name {package}", path.display()),
    }
}
