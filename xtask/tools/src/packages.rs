//! Installs packages from npm and pip into folders below `target/`.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::process::run;

/// Installs the packages of `source`'s `package.json` and lock file in `work`, unless they are there.
pub fn npm_install(source: &Path, work: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(work).with_context(|| work.display().to_string())?;
    let lock = "package-lock.json";
    let wanted = fs::read(source.join(lock)).with_context(|| source.display().to_string())?;
    // npm writes the second file last.
    let installed = fs::read(work.join(lock)).is_ok_and(|lock| lock == wanted)
        && work.join("node_modules/.package-lock.json").exists();
    if installed {
        return Ok(());
    }
    for name in ["package.json", lock] {
        fs::copy(source.join(name), work.join(name))
            .with_context(|| format!("{name} cannot be copied to {}", work.display()))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(work);
    run(&mut npm).context("npm and Node 20 are needed")
}

/// The version that a `package.json` pins a package to.
pub fn npm_version(source: &Path, package: &str) -> anyhow::Result<String> {
    let path = source.join("package.json");
    let manifest = fs::read(&path).with_context(|| path.display().to_string())?;
    let manifest: Value = serde_json::from_slice(&manifest).context("package.json is not JSON")?;
    match manifest["dependencies"][package].as_str() {
        Some(version) => Ok(version.to_owned()),
        None => bail!("{} does not depend on {package}", path.display()),
    }
}

/// Creates a Python virtual environment in `work` with the packages of `source`'s `requirements.txt`,
/// unless it exists. Returns the text of that file.
///
/// The file must list every package: pip does not resolve dependencies here.
pub fn pip_install(source: &Path, work: &Path) -> anyhow::Result<String> {
    let wanted = source.join("requirements.txt");
    let wanted = fs::read_to_string(&wanted).with_context(|| wanted.display().to_string())?;
    // Written after everything else.
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
