#![allow(clippy::unwrap_used)]

use super::*;

/// The content of each file below a folder, and `None` for each folder, by their paths in it.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), PathBuf::from(entry.file_name()));
        if path.is_dir() {
            all.extend(snapshot(&path).into_iter().map(|(inner, bytes)| (name.join(inner), bytes)));
            all.insert(name, None);
        } else {
            all.insert(name, Some(fs::read(&path).unwrap()));
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
fn changes_are_applied() {
    let (root, found) = tree();
    apply(root.path(), &found).unwrap();
    let paths: Vec<_> = files_below(root.path()).unwrap();
    let names = paths.iter().map(|path| path.strip_prefix(root.path()).unwrap());
    let expected = ["g/a", "g/new/c", "g/same", "other/d"];
    assert_eq!(names.collect::<Vec<_>>(), expected.map(Path::new));
    assert!(!root.path().join("g/old").exists(), "a folder is removed with its last file");
    assert_eq!(fs::read_to_string(root.path().join("g/a")).unwrap(), "1\n3\n");
}

/// A disk with room for this number of files: the kernel then rejects the next one.
struct Full {
    left: usize,
}

impl Disk for Full {
    fn write(&mut self, path: &Path, text: &str) -> io::Result<()> {
        match self.left.checked_sub(1) {
            Some(less) => {
                self.left = less;
                fs::write(path, text)
            }
            None if Path::new("/dev/full").exists() => fs::write("/dev/full", text),
            None => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

/// A process that is killed after this number of steps: nothing that it does later has an effect.
struct Killed {
    left: usize,
}

impl Disk for Killed {
    fn step(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("killed"))?;
        Ok(())
    }

    fn write(&mut self, path: &Path, text: &str) -> io::Result<()> {
        match self.step() {
            Ok(()) => fs::write(path, text),
            // It may be killed in the middle of a file.
            Err(error) => fs::write(path, &text[..text.len() / 2]).and(Err(error)),
        }
    }
}

/// The file that killed processes may leave half written is in the staging folder.
#[test]
fn a_tree_is_whole_after_a_kill_at_any_step() {
    let (root, changes) = tree();
    let before = snapshot(root.path());
    apply(root.path(), &changes).unwrap();
    let after = snapshot(root.path());
    let mut outcomes = [0, 0];
    for steps in 0.. {
        let (root, changes) = tree();
        let mut disk = Killed { left: steps };
        let applied = apply_with(root.path(), &changes, &mut disk);
        let finished = disk.left > 0;
        let done = changes.iter().map(|change| {
            let path = root.path().join(&change.path);
            fs::read_to_string(path).ok() == change.is
        });
        assert!(
            done.is_sorted_by(|one, next| one >= next),
            "{steps}: the order is that of the list"
        );
        // Recovery may be killed as well.
        for steps in [0, 1, 2, 3, 5, 8, usize::MAX] {
            let _ = staging::recover(root.path(), &mut Killed { left: steps });
        }
        let found = snapshot(root.path());
        let is_after = found == after;
        assert!(is_after || found == before, "{steps}: {:?}", found.keys());
        assert!(is_after || applied.is_err(), "{steps}: what was reported as written is there");
        outcomes[usize::from(is_after)] += 1;
        if finished {
            break;
        }
    }
    assert!(outcomes[0] > 10 && outcomes[1] > 3, "{outcomes:?}");
}

#[test]
fn a_change_first_undoes_an_interrupted_one() {
    let (root, changes) = tree();
    let before = snapshot(root.path());
    apply_with(root.path(), &changes, &mut Killed { left: 10 }).unwrap_err();
    assert_ne!(snapshot(root.path()), before);
    let again = super::changes(root.path(), BTreeMap::new(), &["none".as_ref()]).unwrap();
    assert!(again.is_empty());
    assert_eq!(snapshot(root.path()), before);
    assert!(!recover(root.path()).unwrap(), "nothing is left over");
}

#[test]
fn a_change_in_progress_is_left_alone() {
    let (root, _) = tree();
    let staging = Staging::new(root.path(), &mut Real).unwrap();
    let error = recover(root.path()).unwrap_err().to_string();
    assert!(error.starts_with("another process is changing"), "{error}");
    staging.end(&mut Real).unwrap();
    assert!(!recover(root.path()).unwrap());
}

#[test]
fn a_full_disk_changes_nothing() {
    for room in 0..3 {
        let (root, changes) = tree();
        let before = snapshot(root.path());
        let error = apply_with(root.path(), &changes, &mut Full { left: room }).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("cannot be written; nothing was changed"), "{error}");
        assert!(error.to_lowercase().contains("no space left"), "{error}");
        assert_eq!(snapshot(root.path()), before);
    }
}

#[test]
fn an_obstructed_path_changes_nothing() {
    // A file in place of a folder: detected after the others were moved.
    let (root, changes) = tree();
    fs::write(root.path().join("other"), "in the way\n").unwrap();
    let before = snapshot(root.path());
    let error = apply(root.path(), &changes).unwrap_err().to_string();
    assert!(error.starts_with("other/d cannot be written; nothing was changed"), "{error}");
    assert_eq!(snapshot(root.path()), before);
}
