use super::*;
use crate::error::Fault;

fn disk(root: &Path) -> Disk {
    Disk::open(root, true).unwrap()
}

#[test]
fn ids_cannot_leave_their_folder() {
    for id in ["did:volt:0b6a", "0b6a-11", "a.b_c"] {
        assert!(is_valid_id(id), "{id}");
    }
    for id in ["", ".", "..", "../x", "a/b", "a\\b", "@alias", "a+b", "ä", &"x".repeat(121)] {
        assert!(!is_valid_id(id), "{id}");
    }
}

#[test]
fn opening_removes_unfinished_uploads() {
    let root = tempfile::tempdir().unwrap();
    let first = disk(root.path());
    let (_, kept) = first.incoming().unwrap().keep().unwrap();
    drop(first);
    disk(root.path());
    assert!(!kept.exists());
}

#[test]
fn a_folder_in_use_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let first = disk(root.path());
    let upload = first.incoming().unwrap();
    assert!(Disk::open(root.path(), true).is_err());
    assert!(upload.path().exists());
    drop((upload, first));
    disk(root.path());
}

#[test]
fn a_folder_with_other_files_is_refused_and_unchanged() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("thesis.txt"), "text").unwrap();
    let Err(Fault::Refused(status)) = Disk::open(root.path(), true) else { panic!("accepted") };
    assert!(status.message().contains("thesis.txt"), "{status}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn data_without_a_resource_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let disk = disk(root.path());
    for id in ["did:volt:kept", "orphan"] {
        disk.place(disk.incoming().unwrap().into_temp_path(), id, "hash").unwrap();
        for purpose in PURPOSES {
            disk.open_database(id, purpose, || Ok(())).unwrap();
        }
    }
    fs::write(root.path().join("databases/orphan.db-wal"), "log").unwrap();
    disk.remove_orphans(|id| Ok(id == "did:volt:kept")).unwrap();
    let left = |folder: &str| fs::read_dir(root.path().join(folder)).unwrap().count();
    assert_eq!((left("files"), left("databases"), left("documents")), (1, 1, 1));
    assert!(disk.content("did:volt:kept", "hash").exists());
}

#[test]
fn a_deleted_database_is_not_created_again() {
    let root = tempfile::tempdir().unwrap();
    let disk = disk(root.path());
    let path = disk.open_database("db", Purpose::Sql, || Ok(())).unwrap();
    disk.remove("db");
    let gone = || Err(precondition("deleted").into());
    assert!(disk.open_database("db", Purpose::Sql, gone).is_err());
    assert!(!path.exists());
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_data() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().unwrap();
    let disk = disk(root.path());
    let database = disk.open_database("db", Purpose::Sql, || Ok(())).unwrap();
    disk.place(disk.incoming().unwrap().into_temp_path(), "file", "hash").unwrap();
    for path in [database, disk.content("file", "hash"), disk.contents("file"), disk.databases] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
}
