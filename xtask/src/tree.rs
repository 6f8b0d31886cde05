//! Applies changes to a file tree atomically: all or none.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use similar::{ChangeTag, TextDiff};

/// A file that differs from the expected state.
pub(crate) struct Change {
    /// The path, from the root of the tree.
    path: PathBuf,
    /// The current contents.
    was: Option<String>,
    /// The expected contents.
    is: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match (&self.was, &self.is) {
            (None, Some(is)) => write!(f, "  add     {path} ({} lines)", is.lines().count()),
            (Some(was), Some(is)) => {
                let diff = TextDiff::from_lines(was, is);
                let count =
                    |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
                let (plus, minus) = (count(ChangeTag::Insert), count(ChangeTag::Delete));
                write!(f, "  change  {path} (+{plus} -{minus})")
            }
            _ => write!(f, "  remove  {path}"),
        }
    }
}

impl Change {
    /// The first lines of the difference, if the file exists and has other contents.
    pub(crate) fn excerpt(&self, lines: usize) -> String {
        let (Some(was), Some(is)) = (&self.was, &self.is) else { return String::new() };
        let diff = TextDiff::from_lines(was, is).unified_diff().context_radius(1).to_string();
        let mut excerpt: Vec<_> = diff.lines().take(lines).map(str::to_owned).collect();
        if let rest @ 1.. = diff.lines().count().saturating_sub(lines) {
            excerpt.push(format!("… {rest} more lines"));
        }
        excerpt.into_iter().flat_map(|line| ["      ", &line, "\n"].map(str::to_owned)).collect()
    }
}

/// The changes needed so that these files exist, and these folders contain no others.
pub(crate) fn changes(
    root: &Path,
    mut wanted: BTreeMap<PathBuf, String>,
    folders: &[&Path],
) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for folder in folders {
        if root.join(folder).exists() {
            for path in files_below(&root.join(folder))? {
                let path = path.strip_prefix(root)?.to_owned();
                if !wanted.contains_key(&path) {
                    let was = Some(read_lossy(&root.join(&path))?);
                    changes.push(Change { path, was, is: None });
                }
            }
        }
    }
    while let Some((path, is)) = wanted.pop_first() {
        let found = root.join(&path);
        let was = found.exists().then(|| read_lossy(&found)).transpose()?;
        if was.as_ref() != Some(&is) {
            changes.push(Change { path, was, is: Some(is) });
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

/// Applies the changes. If one fails, the tree is restored.
pub(crate) fn apply(root: &Path, changes: &[Change]) -> anyhow::Result<()> {
    apply_with(root, changes, &mut |path, text| fs::write(path, text))
}

/// All texts are written beside the tree first, so that only renames remain; replaced files are
/// kept until the end.
fn apply_with(
    root: &Path,
    changes: &[Change],
    write: &mut dyn FnMut(&Path, &str) -> io::Result<()>,
) -> anyhow::Result<()> {
    let staging = tempfile::Builder::new()
        .prefix(".xtask-")
        .tempdir_in(root)
        .with_context(|| format!("{} can't be written to", root.display()))?;
    let staged = |kind: &str, index: usize| staging.path().join(format!("{kind}-{index}"));
    for (index, change) in changes.iter().enumerate() {
        if let Some(text) = &change.is {
            write(&staged("new", index), text).with_context(|| {
                format!("{} can't be written; nothing was changed", change.path.display())
            })?;
        }
    }
    for (index, change) in changes.iter().enumerate() {
        let moved = exchange(
            &root.join(&change.path),
            change.is.is_some().then(|| staged("new", index)).as_deref(),
            &staged("old", index),
        );
        let Err(error) = moved else { continue };
        let place = change.path.display();
        for (index, change) in changes.iter().enumerate().take(index).rev() {
            let (old, path) = (staged("old", index), root.join(&change.path));
            if let Err(error) =
                exchange(&path, old.exists().then_some(&*old), &staged("new", index))
            {
                let kept = staging.keep();
                bail!(
                    "{place} can't be written, and {} can't be put back: {error}; what was there is \
                     in {}",
                    change.path.display(),
                    kept.display()
                );
            }
        }
        return Err(error)
            .with_context(|| format!("{place} can't be written; nothing was changed"));
    }
    Ok(())
}

/// Moves an existing file at a path to `old`, and `new`, if given, in its place; or changes
/// nothing. Folders are created and removed with their files.
fn exchange(path: &Path, new: Option<&Path>, old: &Path) -> io::Result<()> {
    let existed = path.is_file();
    if existed {
        fs::rename(path, old)?;
    }
    let put = match (new, path.parent()) {
        (Some(new), Some(folder)) => {
            fs::create_dir_all(folder).and_then(|()| fs::rename(new, path))
        }
        _ => Ok(()),
    };
    if put.is_err() && existed {
        fs::rename(old, path)?;
    }
    if put.is_err() || new.is_none() {
        for folder in path.ancestors().skip(1) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
    put
}

/// All files below a folder, sorted.
pub(crate) fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// A file that may be in the way, with any contents.
fn read_lossy(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

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

    /// A tree with one file to add, one to change, one to remove and one to keep.
    fn tree() -> (tempfile::TempDir, Vec<Change>) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("g/old")).unwrap();
        for (path, text) in [("g/a", "1\n2\n"), ("g/old/b", "b\n"), ("g/same", "s\n")] {
            fs::write(root.path().join(path), text).unwrap();
        }
        let wanted = [("g/a", "1\n3\n"), ("g/new/c", "c\n"), ("g/same", "s\n"), ("other/d", "d\n")];
        let wanted = wanted.map(|(path, text)| (path.into(), text.to_owned())).into();
        let changes = changes(root.path(), wanted, &["g".as_ref(), "none".as_ref()]).unwrap();
        (root, changes)
    }

    #[test]
    fn changes_are_shown_and_made() {
        let (root, found) = tree();
        let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "  change  g/a (+1 -1)",
                "  add     g/new/c (1 lines)",
                "  remove  g/old/b",
                "  add     other/d (1 lines)"
            ]
        );
        let excerpt = found[0].excerpt(5);
        assert!(excerpt.contains("      -2\n      +3\n"), "{excerpt}");
        assert!(found[0].excerpt(2).ends_with("more lines\n"));
        apply(root.path(), &found).unwrap();
        let paths: Vec<_> = files_below(root.path()).unwrap();
        let names = paths.iter().map(|path| path.strip_prefix(root.path()).unwrap());
        let expected = ["g/a", "g/new/c", "g/same", "other/d"];
        assert_eq!(names.collect::<Vec<_>>(), expected.map(Path::new));
        assert!(!root.path().join("g/old").exists(), "a folder goes with its last file");
        assert_eq!(fs::read_to_string(root.path().join("g/a")).unwrap(), "1\n3\n");
    }

    /// A writer to a disk with room for this number of files: the kernel then rejects the next one.
    fn full_after(files: usize) -> impl FnMut(&Path, &str) -> io::Result<()> {
        let mut left = files;
        move |path, text| match left.checked_sub(1) {
            Some(less) => {
                left = less;
                fs::write(path, text)
            }
            None if Path::new("/dev/full").exists() => fs::write("/dev/full", text),
            None => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    #[test]
    fn a_full_disk_changes_nothing() {
        for room in 0..3 {
            let (root, changes) = tree();
            let before = snapshot(root.path());
            let error = apply_with(root.path(), &changes, &mut full_after(room)).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains("can't be written; nothing was changed"), "{error}");
            assert!(error.to_lowercase().contains("no space left"), "{error}");
            assert_eq!(snapshot(root.path()), before);
        }
    }

    #[test]
    fn something_in_the_way_changes_nothing() {
        // A file in place of a folder: detected after the others were moved.
        let (root, changes) = tree();
        fs::write(root.path().join("other"), "in the way\n").unwrap();
        let before = snapshot(root.path());
        let error = format!("{:#}", apply(root.path(), &changes).unwrap_err());
        assert!(error.starts_with("other/d can't be written; nothing was changed"), "{error}");
        assert_eq!(snapshot(root.path()), before);
    }
}
