//! The versions of the API below `proto/`.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use volt_codegen::Sources;

use crate::tree::{Change, files_below, read};

/// The file with the version that the SDK is generated from, relative to the root of the
/// repository.
pub(crate) const CURRENT: &str = "proto/VERSION";

/// The version that the SDK is generated from.
pub(crate) fn current(root: &Path) -> anyhow::Result<String> {
    Ok(read(&root.join(CURRENT))?.trim().to_owned())
}

/// Applies changes of the repository.
pub(crate) fn apply(root: &Path, mut changes: Vec<Change>) -> anyhow::Result<()> {
    sort(&mut changes);
    Ok(volt_codegen::tree::apply(root, &changes)?)
}

/// Sorts the name of the SDK's version to the end: the version exists when it is named.
fn sort(changes: &mut [Change]) {
    changes.sort_by_key(|change| change.path == Path::new(CURRENT));
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

/// The numbers of a version such as 0.20.34; `None` if it is not one. Each version has one spelling.
pub(crate) fn numbers(version: &str) -> Option<[u64; 3]> {
    let mut parts = version.split('.').map(|part| {
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        let is_short = part == "0" || !part.starts_with('0');
        part.parse().ok().filter(|_| is_number && is_short)
    });
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// [`volt_codegen::tree::apply`] keeps the order.
    #[test]
    fn the_name_of_the_version_is_written_last() {
        let change = |path: &str| Change { path: path.into(), was: None, is: Some(String::new()) };
        let paths = ["proto/1.0.0/a.proto", CURRENT, "proto/VERSIONS", "volt-api/src/version.rs"];
        let mut changes: Vec<_> = paths.into_iter().map(change).collect();
        sort(&mut changes);
        let sorted: Vec<_> = changes.iter().filter_map(|change| change.path.to_str()).collect();
        let expected =
            ["proto/1.0.0/a.proto", "proto/VERSIONS", "volt-api/src/version.rs", CURRENT];
        assert_eq!(sorted, expected);
    }
}
