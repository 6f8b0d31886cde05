//! The versions of the API in which its elements were added.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

use crate::versions;

/// The elements of an API that older versions below `proto/` lack.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Since(BTreeMap<String, Added>);

/// The versions between which an element was added. Those below `proto/` are not all that were published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Added {
    /// The last known version without the element.
    pub(super) after: String,
    /// The first known version with it.
    pub(super) by: String,
}

impl Since {
    pub(super) fn new(root: &Path, version: &str, set: &FileDescriptorSet) -> anyhow::Result<Self> {
        let own = versions::numbers(version);
        let mut older = Vec::new();
        for name in versions::versions(root)? {
            if versions::numbers(&name) < own {
                let set = versions::sources(root, &name)?.compile()?;
                older.push((name, names(&set)));
            }
        }
        let mut since = BTreeMap::new();
        for element in names(set) {
            // The first version from which on all have the element.
            let before = older.iter().rposition(|(_, names)| !names.contains(&element));
            if let Some((before, (after, _))) = before.and_then(|at| Some((at, older.get(at)?))) {
                let by = older.get(before + 1).map_or(version, |(name, _)| name).to_owned();
                since.insert(element, Added { after: after.clone(), by });
            }
        }
        Ok(Self(since))
    }

    /// The elements whose documentation names the version, without the parts of elements that are as new.
    pub(super) fn documented(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(element, added)| {
            let parent = element.rsplit_once('.').and_then(|(parent, _)| self.0.get(parent));
            (parent != Some(added)).then_some((element.as_str(), added.by.as_str()))
        })
    }

    /// The methods among the elements, by their paths.
    pub(super) fn methods(&self, set: &FileDescriptorSet) -> BTreeMap<String, &Added> {
        let mut methods = BTreeMap::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let service = join(file.package(), service.name());
                    if let Some(added) = self.0.get(&join(&service, method.name())) {
                        methods.insert(format!("/{service}/{}", method.name()), added);
                    }
                }
            }
        }
        methods
    }
}

/// The full names of all elements.
fn names(set: &FileDescriptorSet) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in &set.file {
        collect(&mut names, file.package(), &file.message_type, &file.enum_type);
        for service in &file.service {
            let name = join(file.package(), service.name());
            names.extend(service.method.iter().map(|method| join(&name, method.name())));
            names.insert(name);
        }
    }
    names
}

fn collect(
    names: &mut BTreeSet<String>,
    prefix: &str,
    messages: &[DescriptorProto],
    enums: &[EnumDescriptorProto],
) {
    for item in enums {
        let name = join(prefix, item.name());
        names.extend(item.value.iter().map(|value| join(&name, value.name())));
        names.insert(name);
    }
    for message in messages {
        let name = join(prefix, message.name());
        names.extend(message.field.iter().map(|field| join(&name, field.name())));
        collect(names, &name, &message.nested_type, &message.enum_type);
        names.insert(name);
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    #[test]
    fn elements_date_from_the_first_version_that_has_them() {
        let root = tempfile::tempdir().unwrap();
        for (version, body) in [
            ("1.0.0", "message M { int32 a = 1; int32 d = 4; }"),
            (
                "1.2.0",
                "message M { int32 a = 1; int32 b = 2; } service S { rpc G(M) returns (M); }",
            ),
            (
                "1.10.0",
                "message M { int32 a = 1; int32 b = 2; int32 c = 3; int32 d = 4; } message N { int32 a = 1; } \
                 service S { rpc G(M) returns (M); rpc H(N) returns (N); }",
            ),
            ("2.0.0", "message Later {}"),
        ] {
            let folder = root.path().join("proto").join(version);
            fs::create_dir_all(&folder).unwrap();
            let text = format!("syntax = \"proto3\"; package p; {body}");
            fs::write(folder.join("p.proto"), text).unwrap();
        }
        let set = versions::sources(root.path(), "1.10.0").unwrap().compile().unwrap();
        let since = Since::new(root.path(), "1.10.0", &set).unwrap();
        let documented: Vec<_> = since.documented().collect();
        assert_eq!(
            documented,
            [
                ("p.M.b", "1.2.0"),
                ("p.M.c", "1.10.0"),
                // It was removed in between.
                ("p.M.d", "1.10.0"),
                ("p.N", "1.10.0"),
                ("p.S", "1.2.0"),
                ("p.S.H", "1.10.0"),
            ]
        );
        let methods = since.methods(&set);
        let methods: Vec<_> = methods
            .iter()
            .map(|(path, added)| (path.as_str(), &*added.after, &*added.by))
            .collect();
        assert_eq!(methods, [("/p.S/G", "1.0.0", "1.2.0"), ("/p.S/H", "1.2.0", "1.10.0")]);
    }
}
