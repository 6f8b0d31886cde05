//! A copy of `volt-client-rs` that sets `TCP_NODELAY`, which the published one does not.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use xtask_tools::{cargo::cargo, process::output};

/// The code with which the published client connects, and its replacement in the copy.
const CONNECT: [&str; 2] = [
    "connect_async(url).await",
    "tokio_tungstenite::connect_async_with_config(url, None, true).await",
];

/// Writes a copy of the program in `source`, renamed from `name` to `patched_name`, and of the
/// published client that it depends on, into `copy`.
///
/// `lock` is the lock file of the program's workspace. Files that are unchanged keep their times, so
/// that cargo does not build them again.
pub(super) fn write(
    source: &Path,
    lock: &Path,
    copy: &Path,
    [name, patched_name]: [&str; 2],
) -> anyhow::Result<()> {
    let client_copy = copy.join("client");
    mirror(&client_source(source)?, &client_copy, &|text| text.replace(CONNECT[0], CONNECT[1]))?;
    let connecting = fs::read_to_string(client_copy.join("src/volt_client.rs"))?;
    ensure!(connecting.contains(CONNECT[1]), "volt-client-rs connects differently than expected");
    mirror(&source.join("src"), &copy.join("src"), &str::to_owned)?;

    let manifest = fs::read_to_string(source.join("Cargo.toml"))?.replace(name, patched_name);
    let manifest = absolute(&own_workspace(&manifest), source);
    let patch = format!(
        "\n[patch.crates-io]\nvolt-client-rs = {{ path = \"{}\" }}\n",
        client_copy.display()
    );
    write_changed(&copy.join("Cargo.toml"), &(manifest + &patch))?;
    let lock = fs::read_to_string(lock).with_context(|| lock.display().to_string())?;
    write_changed(&copy.join("Cargo.lock"), &locked_to_path(&lock.replace(name, patched_name)))?;
    // Drops the packages of the workspace's other members, with which the lock file would count as outdated.
    let mut metadata = cargo();
    metadata.args(["metadata", "--offline", "--format-version", "1"]).current_dir(copy);
    output(&mut metadata).map(drop)
}

/// The folder of the published client's source in cargo's registry.
fn client_source(program: &Path) -> anyhow::Result<std::path::PathBuf> {
    let mut metadata = cargo();
    metadata.args(["metadata", "--locked", "--format-version", "1"]).current_dir(program);
    let metadata: Value = serde_json::from_slice(&output(&mut metadata)?)?;
    let packages =
        metadata["packages"].as_array().context("`cargo metadata` printed no packages")?;
    let client = packages.iter().find(|package| package["name"] == "volt-client-rs");
    let manifest = client.and_then(|client| client["manifest_path"].as_str());
    let folder =
        Path::new(manifest.context("`cargo metadata` does not list volt-client-rs")?).parent();
    Ok(folder.context("the path of the manifest has no parent folder")?.to_owned())
}

/// The manifest of a workspace member as that of a workspace.
fn own_workspace(manifest: &str) -> String {
    let lines = manifest.lines().filter(|line| !line.starts_with("workspace = "));
    lines.flat_map(|line| [line, "\n"]).collect::<String>() + "\n[workspace]\n"
}

/// The manifest with absolute paths of its dependencies.
fn absolute(manifest: &str, folder: &Path) -> String {
    manifest.replace("path = \"../", &format!("path = \"{}/../", folder.display()))
}

/// The lock file with the client as a package in a folder, without source and checksum.
fn locked_to_path(lock: &str) -> String {
    let packages = lock.split("\n\n").map(|package| {
        let lines = package.lines();
        if package.contains("\nname = \"volt-client-rs\"\n") {
            let of_registry =
                |line: &&str| line.starts_with("source") || line.starts_with("checksum");
            lines.filter(|line| !of_registry(line)).collect::<Vec<_>>().join("\n")
        } else {
            lines.collect::<Vec<_>>().join("\n")
        }
    });
    packages.collect::<Vec<_>>().join("\n\n") + "\n"
}

/// Copies a folder of text files with a change to each.
fn mirror(from: &Path, to: &Path, change: &dyn Fn(&str) -> String) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            mirror(&from, &to, change)?;
        } else if let Ok(text) = fs::read_to_string(&from) {
            write_changed(&to, &change(&text))?;
        }
    }
    Ok(())
}

fn write_changed(path: &Path, text: &str) -> anyhow::Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_client_is_locked_to_a_folder() {
        let package = |name: &str, rest: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{rest}")
        };
        let rest = "source = \"registry\"\nchecksum = \"00\"\ndependencies = [\n \"tokio\",\n]";
        let lock = |client: &str| {
            let packages = [package("tokio", rest), package("volt-client-rs", client)];
            format!("version = 4\n\n{}\n", packages.join("\n\n"))
        };
        let patched = lock("dependencies = [\n \"tokio\",\n]");
        assert_eq!(locked_to_path(&lock(rest)), patched);
    }

    #[test]
    fn copied_manifest_is_a_workspace_with_absolute_paths() {
        let manifest = "[package]\nworkspace = \"../clients\"\n\n\
                        [dependencies]\nmeasure = { path = \"../measure\" }\n";
        let copy = absolute(&own_workspace(manifest), Path::new("/volt/bench/rust"));
        assert_eq!(
            copy,
            "[package]\n\n[dependencies]\nmeasure = { path = \"/volt/bench/rust/../measure\" }\n\
             \n[workspace]\n"
        );
    }
}
