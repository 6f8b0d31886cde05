//! Advisories about vulnerable versions of crates, and the versions in a lock file.

use std::{cmp::Ordering, fmt};

use anyhow::Context as _;

/// The only registry that dependencies come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A package in a lock file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// Empty for the packages of the workspace itself.
    source: String,
}

/// One line of the list: the versions of a crate that an advisory is about.
#[derive(Debug, PartialEq)]
pub(super) struct Advisory {
    name: String,
    affected: Vec<Bound>,
    id: String,
    title: String,
}

#[derive(Debug, PartialEq)]
struct Bound {
    /// The comparison of a version with the bound, for versions within it.
    permits: &'static [Ordering],
    version: [u64; 3],
}

/// Reads the list: `crate versions id title` in each line, with the versions as bounds that are
/// separated by commas. `#` begins a comment.
pub(super) fn read(list: &str) -> anyhow::Result<Vec<Advisory>> {
    let lines = list.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            parse(line).with_context(|| format!("advisories.txt, line {}: `{line}`", index + 1))
        })
        .collect()
}

fn parse(line: &str) -> Option<Advisory> {
    let mut words = line.split_whitespace();
    let name = words.next()?.to_owned();
    let affected = words.next()?.split(',').map(bound).collect::<Option<_>>()?;
    let id = words.next()?.to_owned();
    let title = words.collect::<Vec<_>>().join(" ");
    (!title.is_empty()).then_some(Advisory { name, affected, id, title })
}

fn bound(text: &str) -> Option<Bound> {
    use Ordering::{Equal, Greater, Less};
    let (permits, version): (&'static [Ordering], _) = if let Some(rest) = text.strip_prefix(">=") {
        (&[Greater, Equal], rest)
    } else {
        (&[Less], text.strip_prefix('<')?)
    };
    Some(Bound { permits, version: numbers(version)? })
}

/// Returns the numbers of a version. A pre-release counts as its release.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let numbers = version.split(['-', '+']).next()?;
    let mut parts = numbers.split('.').map(|part| part.parse().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// Returns the packages of a lock file.
pub(super) fn packages(lock: &str) -> Vec<Package> {
    let entries = lock.split("[[package]]").skip(1);
    entries
        .map(|entry| {
            let value = |name: &str| {
                let line = entry.lines().find_map(|line| line.strip_prefix(name))?;
                Some(line.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned())
            };
            Package {
                name: value("name").unwrap_or_default(),
                version: value("version").unwrap_or_default(),
                source: value("source").unwrap_or_default(),
            }
        })
        .collect()
}

impl Package {
    /// Returns whether the package is from crates.io, or a part of the workspace.
    pub(super) fn is_from_registry(&self) -> bool {
        self.source.is_empty() || self.source == REGISTRY
    }
}

impl Advisory {
    /// Returns whether this version of the package is affected. A version that cannot be read is.
    pub(super) fn is_about(&self, package: &Package) -> bool {
        self.name == package.name
            && numbers(&package.version).is_none_or(|version| {
                self.affected
                    .iter()
                    .all(|bound| bound.permits.contains(&version.cmp(&bound.version)))
            })
    }
}

impl fmt::Display for Advisory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of `{}` is affected by {}: {}", self.name, self.id, self.title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str) -> Package {
        Package { name: name.to_owned(), version: version.to_owned(), source: REGISTRY.to_owned() }
    }

    #[test]
    fn affected_versions_lie_within_all_bounds() {
        let list = read("# comment\n\none >=0.23.13,<0.23.18 ID-1 a title\n").unwrap();
        let [advisory] = &list[..] else { panic!("{list:?}") };
        for (version, affected) in [
            ("0.23.12", false),
            ("0.23.13", true),
            ("0.23.17", true),
            ("0.23.18", false),
            ("1.0.0", false),
            ("0.23.14-rc.1+build", true),
            ("unreadable", true),
        ] {
            assert_eq!(advisory.is_about(&package("one", version)), affected, "{version}");
        }
        assert!(!advisory.is_about(&package("two", "0.23.13")));
        for wrong in ["one", "one 1.0.0 ID title", "one <1.0 ID title", "one <1.0.0 ID"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn packages_have_versions_and_origins() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\n\
                    name = \"b\"\nversion = \"2.0.0\"\nsource = \"git+https://example.com/b\"\n";
        let packages = packages(lock);
        let found: Vec<_> =
            packages.iter().map(|one| (one.name.as_str(), one.version.as_str())).collect();
        assert_eq!(found, [("a", "1.0.0"), ("b", "2.0.0")]);
        assert!(packages[0].is_from_registry() && !packages[1].is_from_registry());
    }

    #[test]
    fn the_list_can_be_read() {
        assert!(read(include_str!("advisories.txt")).unwrap().len() > 30);
    }
}
