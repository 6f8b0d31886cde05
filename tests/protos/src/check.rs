//! A crate with the generated code, which cargo checks.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde_json::Value;
use volt_codegen::Output;
use xtask_tools::{cargo, process, root};

/// The result of a type check.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) seconds: Duration,
    pub(crate) warnings: usize,
}

/// Writes the crate.
pub(crate) fn write(package: &Path, output: &Output) -> anyhow::Result<()> {
    let source = package.join("src");
    if source.exists() {
        fs::remove_dir_all(&source)?;
    }
    for file in &output.files {
        let path = source.join("generated").join(&file.path);
        fs::create_dir_all(path.parent().context("the path of the file has no parent folder")?)?;
        fs::write(&path, &file.contents).with_context(|| path.display().to_string())?;
    }
    fs::write(source.join("lib.rs"), "//! Generated code.\n\npub mod generated;\n")?;
    let runtime = root()?.join("volt-runtime");
    let manifest = format!(
        "[package]\nname = \"generated\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nvolt-runtime = {{ path = {:?}, features = [\"client\"] }}\n",
        runtime.to_string_lossy()
    );
    fs::write(package.join("Cargo.toml"), manifest)?;
    // The dependencies are those of the workspace.
    fs::copy(root()?.join("Cargo.lock"), package.join("Cargo.lock"))?;
    Ok(())
}

/// Checks the crate. The dependencies are built once for all, and shared with the workspace.
pub(crate) fn run(package: &Path) -> anyhow::Result<Checked> {
    let target = cargo::target_dir(root()?)?;
    // All trees are one package for cargo, which would take the result of the last tree for that of this one.
    let mut clean = cargo::cargo();
    clean.args(["clean", "--quiet", "--package", "generated"]).current_dir(package);
    process::run(clean.arg("--target-dir").arg(&target))?;
    let mut command = cargo::cargo();
    command.args(["check", "--quiet", "--message-format=json"]).current_dir(package);
    command.arg("--target-dir").arg(target);
    let start = Instant::now();
    let printed = command.stderr(Stdio::inherit()).output().context("cargo cannot be run")?;
    let seconds = start.elapsed();
    let messages = printed.stdout.split(|byte| *byte == b'\n');
    let messages = messages.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let messages: Vec<Value> =
        messages.filter(|line| line["reason"] == "compiler-message").collect();
    let at = |level: &'static str| {
        messages.iter().filter(move |line| line["message"]["level"] == *level)
    };
    if !printed.status.success() {
        let rendered = at("error").find_map(|line| line["message"]["rendered"].as_str());
        let count = at("error").count();
        bail!("the code does not compile: {count} errors\n{}", rendered.unwrap_or_default());
    }
    // rustc ends with a line that counts the others.
    let own = |line: &&Value| {
        line["target"]["name"] == "generated"
            && !line["message"]["spans"].as_array().is_none_or(Vec::is_empty)
    };
    Ok(Checked { seconds, warnings: at("warning").filter(own).count() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_package_is_checked_although_all_have_one_name() {
        // As the trees: below the target folder, where cargo finds the files of the last package unchanged.
        let target = cargo::target_dir(root().unwrap()).unwrap();
        let folder = tempfile::tempdir_in(target).unwrap();
        let check_of = |name: &str, code: &str| {
            let package = folder.path().join(name);
            fs::create_dir_all(package.join("src")).unwrap();
            let manifest = "[package]\nname = \"generated\"\nedition = \"2024\"\n\n[workspace]\n";
            fs::write(package.join("Cargo.toml"), manifest).unwrap();
            fs::write(package.join("src/lib.rs"), code).unwrap();
            run(&package)
        };
        check_of("right", "pub struct A;").unwrap();
        let error = check_of("wrong", "pub struct A").unwrap_err().to_string();
        assert!(error.starts_with("the code does not compile: "), "{error}");
    }
}
