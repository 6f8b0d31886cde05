//! The versions of the API below `proto/`.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use volt_codegen::Sources;

use crate::tree::{files_below, read};

/// The file with the version that the SDK is generated from, relative to the root of the
/// repository.
pub(crate) const CURRENT: &str = "proto/VERSION";

/// The version that the SDK is generated from.
pub(crate) fn current(root: &Path) -> anyhow::Result<String> {
    Ok(read(&root.join(CURRENT))?.trim().to_owned())
}

/// The files of a version below `proto/`.
pub(crate) fn sources(root: &Path, version: &str) -> anyhow::Result<Sources> {
    let folder = root.join("proto").join(version);
    if numbers(version).is_none() || !folder.is_dir() {
        bail!("there is no API {version} below proto/, only {}", versions(root)?.join(", "));
    }
    sources_in(&folder)
}

/// The versions below `proto/`, the oldest first.
pub(crate) fn versions(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut versions = Vec::new();
    for entry in fs::read_dir(root.join("proto")).context("proto/ cannot be read")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(numbers) = numbers(&name) {
            versions.push((numbers, name));
        }
    }
    versions.sort();
    Ok(versions.into_iter().map(|(_, name)| name).collect())
}

/// The numbers of a version such as 0.20.34; `None` if it is not one.
pub(crate) fn numbers(version: &str) -> Option<Vec<u64>> {
    let digits = version.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit());
    digits.then(|| version.split('.').map(|part| part.parse().ok()).collect())?
}

/// The `.proto` files of a folder, under their paths in it.
pub(crate) fn sources_in(folder: &Path) -> anyhow::Result<Sources> {
    let mut sources = Sources::default();
    for path in files_below(folder)? {
        if path.extension().is_some_and(|extension| extension == "proto") {
            let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
            sources.files.insert(name, read(&path)?);
        }
    }
    if sources.files.is_empty() {
        bail!("there are no .proto files in {}", folder.display());
    }
    Ok(sources)
}
