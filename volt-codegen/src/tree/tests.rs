#![allow(clippy::unwrap_used)]

use super::*;

/// The bytes of all files below a folder, and its folders.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
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
fn changes_are_made() {
    let (root, found) = tree();
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
        let error = error.to_string();
        assert!(error.contains("cannot be written; nothing was changed"), "{error}");
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
    let error = apply(root.path(), &changes).unwrap_err().to_string();
    assert!(error.starts_with("other/d cannot be written; nothing was changed"), "{error}");
    assert_eq!(snapshot(root.path()), before);
}
