//! The former names of elements that a version of the API renamed. They still compile with that version, with a
//! warning. The file beside the version is written by hand.

use std::path::{Path, PathBuf};

use anyhow::bail;
use volt_codegen::Options;

use crate::tree;

/// Pairs of a former and a new full name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FormerNames(Vec<(String, String)>);

/// The file with the names for a version, relative to the root of the repository.
pub(crate) fn file(version: &str) -> PathBuf {
    Path::new("proto").join(version).join("RENAMES")
}

impl FormerNames {
    /// Reads the names of a version below `proto/`. Without a file, there are none.
    pub(crate) fn read(root: &Path, version: &str) -> anyhow::Result<Self> {
        let path = root.join(file(version));
        let text = if path.is_file() { tree::read(&path)? } else { String::new() };
        let mut names = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let line = line.split('#').next().unwrap_or_default();
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                [] => {}
                [former, name] if scope(former) == scope(name) && former != name => {
                    names.push((former.to_owned(), name.to_owned()));
                }
                _ => bail!(
                    "{} line {number}: expected a former and a new full name in the same package or service",
                    path.display()
                ),
            }
        }
        Ok(Self(names))
    }

    /// Adds the names to the options of the generator.
    pub(crate) fn declare(&self, options: Options) -> Options {
        self.0.iter().fold(options, |options, (former, name)| {
            let own = former.rsplit('.').next().unwrap_or(former);
            options.former_name(name, own)
        })
    }
}

fn scope(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(scope, _)| scope)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    #[test]
    fn names_stay_in_their_package_or_service() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(FormerNames::read(root.path(), "1.0.0").unwrap(), FormerNames::default());
        fs::create_dir_all(root.path().join("proto/1.0.0")).unwrap();
        let read = |text: &str| {
            fs::write(root.path().join(file("1.0.0")), text).unwrap();
            FormerNames::read(root.path(), "1.0.0").map_err(|error| error.to_string())
        };
        let found = read("# c\np.Old p.New # c\n\np.S.Old p.S.New\n").unwrap();
        assert_eq!(found.0.len(), 2);
        for wrong in ["p.Old", "p.Old q.New", "p.Old p.Old", "p.A p.B p.C"] {
            assert!(read(wrong).unwrap_err().contains("RENAMES line 1"), "{wrong}");
        }
    }
}
