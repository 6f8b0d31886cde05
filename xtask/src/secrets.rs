//! The fields whose values `Debug` hides. The decisions are kept in a file beside each version.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};
use volt_codegen::looks_secret;

use crate::{tree, versions};

/// The start of the file.
const HEAD: &str = "\
# Fields of strings and bytes whose values `Debug` hides: `secret`, or `open` for fields that only look secret.
# A name selects a field in every message. A full name selects one field, and takes precedence. A field that
# looks secret and is not listed is hidden; `cargo xtask api import` reports such fields.
";

/// The decisions for one version, by the names of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Secrets(BTreeMap<String, Decision>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Secret,
    Open,
}

/// The file with the decisions for a version, relative to the root of the repository.
pub(crate) fn file(version: &str) -> PathBuf {
    Path::new("proto").join(version).join("SECRETS")
}

impl Secrets {
    /// The decisions for a version below `proto/`; empty if there is no file.
    pub(crate) fn read(root: &Path, version: &str) -> anyhow::Result<Self> {
        let path = root.join(file(version));
        if !path.exists() {
            return Ok(Self::default());
        }
        Self::parse(&tree::read(&path)?).with_context(|| path.display().to_string())
    }

    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut decisions = BTreeMap::new();
        for (line, number) in text.lines().zip(1..) {
            let line = line.split('#').next().unwrap_or_default();
            let decision = match line.split_whitespace().collect::<Vec<_>>()[..] {
                [] => continue,
                ["secret", name] => (name.to_owned(), Decision::Secret),
                ["open", name] => (name.to_owned(), Decision::Open),
                _ => bail!("line {number} is not `secret` or `open` and the name of a field"),
            };
            if decisions.insert(decision.0.clone(), decision.1).is_some() {
                bail!("line {number} repeats the decision about `{}`", decision.0);
            }
        }
        Ok(Self(decisions))
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (name, decision) in &self.0 {
            let word = if *decision == Decision::Secret { "secret" } else { "open" };
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "{word} {name}");
        }
        text
    }

    /// Adds the decisions of another version on fields without one here.
    pub(crate) fn or(mut self, other: Self) -> Self {
        for (name, decision) in other.0 {
            self.0.entry(name).or_insert(decision);
        }
        self
    }

    /// The full names of the fields to hide, including those that look secret and are undecided.
    pub(crate) fn hidden(&self, set: &FileDescriptorSet) -> Vec<String> {
        let hides = |(full, name): &(String, String)| match self.decision(full, name) {
            Some(decision) => decision == Decision::Secret,
            None => looks_secret(name),
        };
        fields(set).into_iter().filter(hides).map(|(full, _)| full).collect()
    }

    /// The full names of the fields that look secret, and are not.
    pub(crate) fn open(&self, set: &FileDescriptorSet) -> Vec<String> {
        let opens = |(full, name): &(String, String)| {
            looks_secret(name) && self.decision(full, name) == Some(Decision::Open)
        };
        fields(set).into_iter().filter(opens).map(|(full, _)| full).collect()
    }

    /// The full names of the fields that look secret, without a decision.
    pub(crate) fn undecided(&self, set: &FileDescriptorSet) -> Vec<String> {
        let open = |(full, name): &(String, String)| {
            looks_secret(name) && self.decision(full, name).is_none()
        };
        fields(set).into_iter().filter(open).map(|(full, _)| full).collect()
    }

    /// The names of the fields that are secret in every message, including those that look secret and are undecided.
    pub(crate) fn names(&self, set: &FileDescriptorSet) -> BTreeSet<String> {
        let decided = self.secrets().filter(|name| !name.contains('.')).map(str::to_owned);
        let undecided = self.undecided(set).into_iter();
        decided
            .chain(undecided.filter_map(|full| Some(full.rsplit('.').next()?.to_owned())))
            .collect()
    }

    /// The full names of the fields that are decided to be secret in one message.
    pub(crate) fn single_fields(&self) -> impl Iterator<Item = &str> {
        self.secrets().filter(|name| name.contains('.'))
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        let secrets = self.0.iter().filter(|(_, decision)| **decision == Decision::Secret);
        secrets.map(|(name, _)| name.as_str())
    }

    fn decision(&self, full: &str, name: &str) -> Option<Decision> {
        self.0.get(full).or_else(|| self.0.get(name)).copied()
    }
}

/// Fails if a version below `proto/` has fields that look secret, without a decision.
pub(crate) fn ensure_decided(root: &Path) -> anyhow::Result<()> {
    for version in versions::versions(root)? {
        let set = versions::sources(root, &version)?.compile()?;
        let undecided = Secrets::read(root, &version)?.undecided(&set);
        ensure!(
            undecided.is_empty(),
            "these fields look secret: {} must say `secret` or `open` for each:\n  {}",
            file(&version).display(),
            undecided.join("\n  ")
        );
    }
    Ok(())
}

/// The full and the short names of all fields of strings and bytes.
fn fields(set: &FileDescriptorSet) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for file in &set.file {
        for message in &file.message_type {
            collect(&mut found, file.package(), message);
        }
    }
    found
}

fn collect(found: &mut BTreeSet<(String, String)>, scope: &str, message: &DescriptorProto) {
    let options = message.options.as_ref();
    if options.is_some_and(prost_types::MessageOptions::map_entry) {
        return;
    }
    let full = if scope.is_empty() {
        message.name().to_owned()
    } else {
        format!("{scope}.{}", message.name())
    };
    for field in &message.field {
        if matches!(field.r#type(), Type::String | Type::Bytes) {
            found.insert((format!("{full}.{}", field.name()), field.name().to_owned()));
        }
    }
    for nested in &message.nested_type {
        collect(found, &full, nested);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use volt_codegen::Sources;

    use super::*;

    fn set() -> FileDescriptorSet {
        let mut sources = Sources::default();
        let text = "syntax = \"proto3\";\npackage p;\n\
                    message M { string access_token = 1; bytes secret_key = 2; string name = 3; int32 pin = 4; \
                    repeated string passwords = 5; string page_token = 6; string public_key = 7; \
                    map<string, string> token = 8; Inner inner = 9; message Inner { string token = 1; } }\n";
        sources.files.insert("m.proto".to_owned(), text.to_owned());
        sources.compile().unwrap()
    }

    #[test]
    fn secret_looking_fields_are_hidden_until_decided() {
        let looks = [
            "p.M.Inner.token",
            "p.M.access_token",
            "p.M.page_token",
            "p.M.passwords",
            "p.M.secret_key",
        ];
        let undecided = Secrets::default();
        assert_eq!(
            (undecided.hidden(&set()), undecided.undecided(&set())),
            (looks.map(str::to_owned).to_vec(), looks.map(str::to_owned).to_vec())
        );
        let text = "# Ours.\nopen page_token\nsecret name\nsecret token\nopen p.M.Inner.token # A full name.\n";
        let decided = Secrets::parse(text).unwrap();
        assert_eq!(
            decided.hidden(&set()),
            ["p.M.access_token", "p.M.name", "p.M.passwords", "p.M.secret_key"]
        );
        assert_eq!(
            decided.undecided(&set()),
            ["p.M.access_token", "p.M.passwords", "p.M.secret_key"]
        );
        assert_eq!(Secrets::parse(&decided.text()).unwrap(), decided);
    }

    #[test]
    fn mistakes_in_the_file_are_errors_with_their_line() {
        let error = |text: &str| Secrets::parse(text).unwrap_err().to_string();
        assert_eq!(error("\nhide a"), "line 2 is not `secret` or `open` and the name of a field");
        assert_eq!(error("open a\nsecret a"), "line 2 repeats the decision about `a`");
    }

    /// Undecided fields are allowed until a release: they are hidden.
    #[test]
    fn the_files_of_the_repository_are_normalized() {
        let root = xtask_tools::root().unwrap();
        for version in versions::versions(root).unwrap() {
            let secrets = Secrets::read(root, &version).unwrap();
            let text = tree::read(&root.join(file(&version))).unwrap();
            assert_eq!(secrets.text(), text, "{version}");
        }
    }

    #[test]
    fn a_release_needs_decisions() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("proto/1.0.0");
        fs::create_dir_all(&folder).unwrap();
        let text = "syntax = \"proto3\"; package p; message M { string access_token = 1; }";
        fs::write(folder.join("m.proto"), text).unwrap();
        let error = ensure_decided(root.path()).unwrap_err().to_string();
        assert!(
            error.contains("proto/1.0.0/SECRETS") && error.contains("p.M.access_token"),
            "{error}"
        );
        fs::write(root.path().join(file("1.0.0")), "open access_token\n").unwrap();
        ensure_decided(root.path()).unwrap();
    }
}
