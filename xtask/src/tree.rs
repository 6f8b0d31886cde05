//! Shows changes of a file tree, and applies them all or none.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context as _;
use similar::{ChangeTag, TextDiff};
pub(crate) use volt_codegen::tree::{Change, changes, files_below, recover};

/// A change in one line.
pub(crate) fn shown(change: &Change) -> String {
    let path = change.path.display();
    match (&change.was, &change.is) {
        (None, Some(is)) => format!("  add     {path} ({} lines)", is.lines().count()),
        (Some(was), Some(is)) => {
            let diff = TextDiff::from_lines(was, is);
            let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
            let (plus, minus) = (count(ChangeTag::Insert), count(ChangeTag::Delete));
            format!("  change  {path} (+{plus} -{minus})")
        }
        _ => format!("  remove  {path}"),
    }
}

/// The first lines of the difference, if the file exists and has other contents.
pub(crate) fn excerpt(change: &Change, lines: usize) -> String {
    let (Some(was), Some(is)) = (&change.was, &change.is) else { return String::new() };
    let diff = TextDiff::from_lines(was, is).unified_diff().context_radius(1).to_string();
    let mut excerpt = String::new();
    for line in diff.lines().take(lines) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(excerpt, "      {line}");
    }
    if let rest @ 1.. = diff.lines().count().saturating_sub(lines) {
        let _ = writeln!(excerpt, "      … {rest} more lines");
    }
    excerpt
}

pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{collections::BTreeMap, path::PathBuf};

    use super::*;

    /// The bytes of all files below a folder, and its folders.
    pub(crate) fn snapshot(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all.extend(snapshot(&path));
                all.insert(path, None);
            } else {
                let bytes = fs::read(&path).unwrap();
                all.insert(path, Some(bytes));
            }
        }
        all
    }

    #[test]
    fn changes_are_shown_with_their_lines() {
        let change = |was: Option<&str>, is: Option<&str>| Change {
            path: "g/a".into(),
            was: was.map(Into::into),
            is: is.map(Into::into),
        };
        assert_eq!(shown(&change(None, Some("1\n"))), "  add     g/a (1 lines)");
        assert_eq!(shown(&change(Some("1\n"), None)), "  remove  g/a");
        let changed = change(Some("1\n2\n"), Some("1\n3\n"));
        assert_eq!(shown(&changed), "  change  g/a (+1 -1)");
        let lines = excerpt(&changed, 5);
        assert!(lines.contains("      -2\n      +3\n"), "{lines}");
        assert!(excerpt(&changed, 2).ends_with("more lines\n"));
    }
}
