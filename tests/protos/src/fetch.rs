//! Fetches packages with the registries' own clients, and caches them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use volt_codegen::tree::files_below;
use xtask_tools::{
    cargo,
    process::{output, run},
};

use crate::trees::{Package, Registry, Tree};

/// Unpacks a tree's `.proto` files in `source`, unless they are there.
pub(crate) fn tree(tree: &Tree, source: &Path) -> anyhow::Result<()> {
    let done = source.join("packages.txt");
    let wanted = tree.packages_shown();
    if fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if source.exists() {
        fs::remove_dir_all(source)?;
    }
    let scratch = source.with_file_name("packages");
    for package in tree.packages {
        let unpacked = scratch.join(package.name.replace('/', "+"));
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked)?;
        }
        fs::create_dir_all(&unpacked)?;
        let folder = fetch(package, &unpacked)
            .with_context(|| format!("{} {} cannot be fetched", package.name, package.version))?;
        copy(&folder, &source.join(package.into))?;
    }
    // Written after everything else.
    fs::write(&done, wanted)?;
    fs::remove_dir_all(scratch)?;
    Ok(())
}

/// Fetches a package into a folder, and returns the folder with its files.
fn fetch(package: &Package, into: &Path) -> anyhow::Result<PathBuf> {
    let Package { name, version, .. } = package;
    match package.registry {
        Registry::Npm => {
            let mut npm = Command::new("npm");
            npm.args(["pack", "--silent", "--ignore-scripts", &format!("{name}@{version}")]);
            output(npm.current_dir(into)).context("npm is needed")?;
            let [tarball] = &files_below(into)?[..] else { anyhow::bail!("npm packed nothing") };
            run(Command::new("tar").arg("--extract").arg("--file").arg(tarball).current_dir(into))?;
            fs::remove_file(tarball)?;
            only_folder(into)
        }
        Registry::PyPi => {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]);
            pip.args(["--disable-pip-version-check", "--root-user-action", "ignore", "--target"]);
            run(pip.arg(into).arg(format!("{name}=={version}")))
                .context("Python 3 with pip is needed")?;
            Ok(into.to_owned())
        }
        Registry::Crates => {
            let manifest = format!(
                "[package]\nname = \"fetched\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
                 [dependencies]\n{name} = {{ version = \"={version}\", default-features = false }}\n"
            );
            fs::create_dir_all(into.join("src"))?;
            fs::write(into.join("src/lib.rs"), "")?;
            fs::write(into.join("Cargo.toml"), manifest)?;
            run(cargo::cargo().args(["fetch", "--quiet"]).current_dir(into))?;
            let mut metadata = cargo::cargo();
            metadata.args(["metadata", "--format-version", "1", "--quiet"]).current_dir(into);
            let metadata: Value = serde_json::from_slice(&output(&mut metadata)?)?;
            let mut packages = metadata["packages"].as_array().into_iter().flatten();
            let found = packages.find(|found| found["name"] == **name);
            let manifest = found.and_then(|found| found["manifest_path"].as_str());
            let manifest = manifest.context("cargo does not list the package")?;
            Ok(Path::new(manifest)
                .parent()
                .context("the path of the manifest has no parent folder")?
                .to_owned())
        }
    }
}

fn only_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut entries = fs::read_dir(folder)?;
    let entry = entries.next().context("the package is empty")??;
    ensure!(entries.next().is_none(), "the package has several folders");
    Ok(entry.path())
}

/// Copies the `.proto` files.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for file in files_below(from)? {
        if file.extension().is_some_and(|extension| extension == "proto") {
            let copy = to.join(file.strip_prefix(from)?);
            fs::create_dir_all(
                copy.parent().context("the path of the file has no parent folder")?,
            )?;
            fs::copy(&file, &copy).with_context(|| copy.display().to_string())?;
        }
    }
    Ok(())
}
