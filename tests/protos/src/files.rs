//! The files of a tree for which code is generated.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use anyhow::Context as _;
use volt_codegen::{is_builtin, text::Header, tree::files_below};

use crate::trees::Tree;

/// The files of a tree.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) wanted: Vec<PathBuf>,
    /// The number of files that the tree leaves out.
    pub(crate) left_out: usize,
    /// The names of the files that import, directly or indirectly, a file that none of the packages
    /// contains. No compiler accepts them.
    pub(crate) incomplete: Vec<String>,
}

impl Files {
    /// Finds the files below the folders in which imports begin.
    pub(crate) fn of(tree: &Tree, includes: &[PathBuf]) -> anyhow::Result<Self> {
        let mut paths = BTreeMap::new();
        for folder in includes {
            for path in files_below(folder)? {
                if path.extension().is_some_and(|extension| extension == "proto") {
                    let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
                    // The first folder that has a file provides it, as for imports.
                    paths.entry(name).or_insert(path);
                }
            }
        }
        let incomplete = incomplete(&paths)?;
        let begins =
            |starts: &[&str], name: &str| starts.iter().any(|start| name.starts_with(start));
        let mut files = Self { wanted: Vec::new(), left_out: 0, incomplete: Vec::new() };
        for (name, path) in paths {
            let is_wanted = tree.only.is_none_or(|only| begins(only, &name));
            if !is_wanted || begins(tree.except, &name) {
                files.left_out += 1;
            } else if incomplete.contains(&name) {
                files.incomplete.push(name);
            } else {
                files.wanted.push(path);
            }
        }
        Ok(files)
    }
}

/// The names of the files that import a missing file, or import such a file.
fn incomplete(paths: &BTreeMap<String, PathBuf>) -> anyhow::Result<BTreeSet<String>> {
    let mut importers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, path) in paths {
        let text = fs::read(path).with_context(|| path.display().to_string())?;
        // The generator reports a file that cannot be parsed.
        let header = Header::of(&String::from_utf8_lossy(&text));
        for import in header.into_iter().flat_map(|header| header.imports) {
            importers.entry(import).or_default().push(name);
        }
    }
    let missing = |name: &&String| !paths.contains_key(*name) && !is_builtin(name);
    let mut open: Vec<&str> = importers.keys().filter(missing).map(String::as_str).collect();
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        for importer in importers.get(name).into_iter().flatten() {
            if found.insert((*importer).to_owned()) {
                open.push(importer);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn files_whose_imports_are_missing_are_left_out_with_their_importers() {
        let folder = tempfile::tempdir().unwrap();
        let mut paths = BTreeMap::new();
        for (name, imports) in [
            ("a.proto", "import \"google/protobuf/any.proto\";"),
            ("b.proto", "import \"a.proto\";"),
            ("c.proto", "// import \"gone.proto\";"),
            ("d.proto", "import \"a.proto\"; import \"gone.proto\";"),
            ("e.proto", "import public \"d.proto\";"),
            ("f.proto", "import \"google/protobuf/unittest.proto\";"),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, format!("syntax = \"proto3\";\n{imports}\n")).unwrap();
            paths.insert(name.to_owned(), path);
        }
        let found = incomplete(&paths);
        assert_eq!(
            found.unwrap().into_iter().collect::<Vec<_>>(),
            ["d.proto", "e.proto", "f.proto"]
        );
    }
}
