//! The types that the older versions of the API share with the SDK's own.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use prost_types::FileDescriptorSet;
use volt_codegen::{Options, same_types};

use super::{
    ROOT, as_sdk,
    modules::{Older, has_type},
};
use crate::versions;

/// Types by full name, with their paths.
type Types = BTreeMap<String, String>;

/// The changes of the types that an older version shares with the SDK's own, when that changes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sharing {
    module: String,
    /// The types that are separate now, by full names.
    apart: Vec<String>,
    /// The types that are shared now.
    joined: Vec<String>,
}

impl Sharing {
    /// Compares an API of this name with the next one.
    pub(crate) fn changes(
        root: &Path,
        (name, old): (&str, &FileDescriptorSet),
        new: &FileDescriptorSet,
    ) -> anyhow::Result<Vec<Self>> {
        let mut changes = Vec::new();
        for older in Older::list(root)? {
            // A version is not older than itself.
            if versions::numbers(name)
                .is_some_and(|own| versions::numbers(&older.version) >= Some(own))
            {
                continue;
            }
            let set = versions::sources(root, &older.version)?.compile()?;
            let same = |sdk| {
                let options = [&Options::default().root(ROOT), &as_sdk(Options::default())];
                same_types([&set, sdk], options)
            };
            let [before, after] = [same(old)?, same(new)?];
            let lost = |these: &Types, those: &Types, other| {
                let lost = these.keys().filter(|name| !those.contains_key(*name));
                lost.filter(|name| has_type(other, name)).cloned().collect::<Vec<_>>()
            };
            let (apart, joined) = (lost(&before, &after, new), lost(&after, &before, old));
            if !(apart.is_empty() && joined.is_empty()) {
                changes.push(Self { module: older.module, apart, joined });
            }
        }
        Ok(changes)
    }

    /// The changes as a section of Markdown with a heading of this level, or nothing.
    pub(crate) fn to_markdown(changes: &[Self], level: usize) -> String {
        let mut text = String::new();
        for Self { module, apart, joined } in changes {
            for (names, what) in [(apart, "two types now"), (joined, "one type now")] {
                if names.is_empty() {
                    continue;
                }
                // Writing to a `String` cannot fail.
                let _ = writeln!(
                    text,
                    "\nIn this crate and in `{module}`, these are {what} (source: code that uses both modules):\n"
                );
                for name in names {
                    let _ = writeln!(text, "- `{name}`");
                }
            }
        }
        let heading = "#".repeat(level);
        if text.is_empty() { text } else { format!("\n{heading} Older versions\n{text}") }
    }

    /// The number of types in one line for each change.
    pub(crate) fn summary(&self) -> String {
        let Self { module, apart, joined } = self;
        format!(
            "types of `{module}` that are those of the SDK's API: {} no longer, {} from now on\n",
            apart.len(),
            joined.len()
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    #[test]
    fn types_that_part_from_an_older_version_are_listed() {
        let root = tempfile::tempdir().unwrap();
        for (version, body) in [
            (
                "1.0.0",
                "message A { int32 a = 1; } message B { int32 a = 1; } message C { int32 a = 1; }",
            ),
            (
                "2.0.0",
                "message A { int32 a = 1; } message B { int64 a = 1; } message C { int32 a = 1; }",
            ),
            ("3.0.0", "message A { int64 a = 1; } message B { int32 a = 1; }"),
        ] {
            let folder = root.path().join("proto").join(version);
            fs::create_dir_all(&folder).unwrap();
            let text = format!("syntax = \"proto3\"; package p; {body}");
            fs::write(folder.join("p.proto"), text).unwrap();
        }
        fs::write(root.path().join("proto/VERSIONS"), "1.0.0 v1\n2.0.0 v2\n").unwrap();
        let set = |version| versions::sources(root.path(), version).unwrap().compile().unwrap();
        let (old, new) = (set("2.0.0"), set("3.0.0"));
        let changes = Sharing::changes(root.path(), ("2.0.0", &old), &new).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected =
            Sharing { module: "v1".to_owned(), apart: names(&["p.A"]), joined: names(&["p.B"]) };
        assert_eq!(changes, [expected]);
        let text = Sharing::to_markdown(&changes, 2);
        assert!(text.starts_with("\n## Older versions\n\nIn this crate and in `v1`"), "{text}");
        assert!(text.contains("two types now") && text.ends_with("\n- `p.B`\n"), "{text}");
        assert_eq!(Sharing::to_markdown(&[], 2), "");
    }
}
