//! Opening the data folder of an earlier Volt.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use tempfile::tempdir;
use tokio::sync::mpsc;
use volt_api::{
    Code, Status,
    data::SqlBulkUpdateRequest,
    volt::{
        CopyResourceMode, CopyResourceRequest, DeleteResourceRequest, GetFileContentRequest,
        GetResourceDescendantsRequest, PolicyDecision, Resource, SaveResourceRequest,
        SaveWireRequest, SetFileContentRequest,
    },
};

use super::{make, options, owner};
use crate::{
    actor::Actor,
    error::{Fault, Result},
    volt::{Place, Volt},
};

fn open(folder: &Path) -> Result<Arc<Volt>> {
    let place = Place {
        folder,
        temporary: None,
        address: ([127, 0, 0, 1], 1).into(),
        grpc_address: None,
        services: &["pkg.API"],
        closed: mpsc::channel(1).0,
    };
    Volt::open(place, options(PolicyDecision::Permit)).map(Arc::new)
}

fn refusal(folder: &Path) -> String {
    match open(folder) {
        Err(Fault::Refused(status)) => {
            assert_eq!(status.code(), Code::FailedPrecondition);
            status.message().to_owned()
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("opened"),
    }
}

/// Simulates a kill: copies the folder while the Volt is still open, so that the copy is as a
/// killed Volt would leave it and can be locked.
fn kill(volt: Arc<Volt>, folder: &Path) -> tempfile::TempDir {
    let copy = tempdir().unwrap();
    let status = std::process::Command::new("cp")
        .arg("-a")
        .arg(folder.join("."))
        .arg(copy.path())
        .status()
        .unwrap();
    assert!(status.success());
    drop(volt);
    copy
}

fn write(actor: &Actor, id: &str, text: &str) {
    let request = SetFileContentRequest::default().with_resource_id(id).with_content(text);
    actor.set_file_content(&request).unwrap();
}

fn read(actor: &Actor, id: &str) -> Vec<u8> {
    actor.get_file_content(&GetFileContentRequest::default().with_resource_id(id)).unwrap()
}

#[test]
fn a_clean_stop_leaves_one_complete_file() {
    let folder = tempdir().unwrap();
    let volt = open(folder.path()).unwrap();
    let id = make(&owner(&volt), "", "file", "volt:file");
    drop(volt);
    assert!(!folder.path().join("volt.db-wal").exists());
    let only = tempdir().unwrap();
    fs::copy(folder.path().join("volt.db"), only.path().join("volt.db")).unwrap();
    let volt = open(only.path()).unwrap();
    assert_eq!(read(&owner(&volt), &id), b"");
}

#[test]
fn a_folder_in_use_is_refused() {
    let folder = tempdir().unwrap();
    let volt = open(folder.path()).unwrap();
    let incoming = volt.disk.incoming().unwrap();
    assert!(refusal(folder.path()).contains("another Volt"));
    assert!(incoming.path().exists());
    drop((incoming, volt));
    open(folder.path()).unwrap();
}

#[test]
fn a_missing_or_foreign_store_is_refused() {
    let folder = tempdir().unwrap();
    let store = folder.path().join("volt.db");
    let volt = open(folder.path()).unwrap();
    let id = volt.id.clone();
    write(&owner(&volt), &make(&owner(&volt), "", "file", "volt:file"), "text");
    drop(volt);
    let good = fs::read(&store).unwrap();
    fs::remove_file(&store).unwrap();
    assert!(refusal(folder.path()).contains("`volt.db` is missing"));
    fs::write(&store, "").unwrap();
    assert!(refusal(folder.path()).contains("it is empty"));
    fs::write(&store, "not a database, but long enough to have a header of that size").unwrap();
    assert!(refusal(folder.path()).contains("not the store of a Volt"));
    fs::remove_file(&store).unwrap();
    rusqlite::Connection::open(&store)
        .unwrap()
        .execute_batch("PRAGMA user_version = 7; CREATE TABLE t (x);")
        .unwrap();
    assert!(refusal(folder.path()).contains("another program's"));
    fs::write(&store, good).unwrap();
    assert_eq!(open(folder.path()).unwrap().id, id);
}

#[test]
fn a_killed_volts_missing_log_is_refused() {
    let folder = tempdir().unwrap();
    let volt = open(folder.path()).unwrap();
    let id = make(&owner(&volt), "", "file", "volt:file");
    let killed = kill(volt, folder.path());
    let log = killed.path().join("volt.db-wal");
    let saved = fs::read(&log).unwrap();
    fs::remove_file(&log).unwrap();
    assert!(refusal(killed.path()).contains("`volt.db-wal` is missing"));
    fs::write(&log, saved).unwrap();
    assert_eq!(read(&owner(&open(killed.path()).unwrap()), &id), b"");
}

#[test]
fn leftovers_of_a_killed_volt_are_removed_and_never_adopted() {
    let folder = tempdir().unwrap();
    let volt = open(folder.path()).unwrap();
    let kept = make(&owner(&volt), "", "kept", "volt:file");
    write(&owner(&volt), &kept, "kept");
    let killed = kill(volt, folder.path());
    for (path, text) in
        [("databases/chosen.db", "old"), ("databases/chosen.db-wal", "old"), ("incoming/x", "half")]
    {
        fs::write(killed.path().join(path), text).unwrap();
    }
    fs::create_dir(killed.path().join("files/chosen")).unwrap();
    fs::write(killed.path().join("files/chosen/hash"), "old").unwrap();
    let volt = open(killed.path()).unwrap();
    let owner = owner(&volt);
    let left = |path: &str| fs::read_dir(killed.path().join(path)).unwrap().count();
    assert_eq!((left("files"), left("databases"), left("incoming")), (1, 0, 0));
    assert_eq!(read(&owner, &kept), b"kept");
    let resource = Resource::default()
        .with_id("chosen")
        .with_name("database")
        .with_kind(["volt:sqlite-database"]);
    let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
    owner.save_resource(request).unwrap();
    owner.bulk_update(&sql("chosen", "CREATE TABLE t (x)")).unwrap();
}

fn sql(database: &str, statement: &str) -> SqlBulkUpdateRequest {
    SqlBulkUpdateRequest::default().with_database_id(database).with_statement([statement])
}

#[test]
fn a_copy_shares_no_later_change() {
    let folder = tempdir().unwrap();
    let volt = open(folder.path()).unwrap();
    let owner = owner(&volt);
    let source = make(&owner, "", "source", "volt:folder");
    let file = make(&owner, &source, "file", "volt:file");
    write(&owner, &file, "one");
    let database = make(&owner, &source, "database", "volt:sqlite-database");
    owner.bulk_update(&sql(&database, "CREATE TABLE t (x)")).unwrap();
    let target = make(&owner, "", "target", "volt:folder");
    let request = CopyResourceRequest::default()
        .with_resource_id(&source)
        .with_to_resource_id(&target)
        .with_recursive(true)
        .with_mode(CopyResourceMode::Copy);
    owner.copy_resource(&request).unwrap();
    write(&owner, &file, "two");
    owner.bulk_update(&sql(&database, "CREATE TABLE later (x)")).unwrap();
    let request = GetResourceDescendantsRequest::default().with_resource_id(&target);
    let copies = owner.get_resource_descendants(&request).unwrap();
    let copy = |name: &str| copies.iter().find(|one| one.name == name).unwrap().id.clone();
    assert_eq!(
        (read(&owner, &file), read(&owner, &copy("file"))),
        (b"two".to_vec(), b"one".to_vec())
    );
    owner.bulk_update(&sql(&copy("database"), "INSERT INTO t VALUES (1)")).unwrap();
    let missing = owner.bulk_update(&sql(&copy("database"), "INSERT INTO later VALUES (1)"));
    assert!(missing.is_err());
    // The copy keeps its content when the source is deleted.
    owner.delete_resource(&DeleteResourceRequest::default().with_resource_id(&file)).unwrap();
    assert_eq!(read(&owner, &copy("file")), b"one");
    assert_eq!(fs::read_dir(folder.path().join("incoming")).unwrap().count(), 0);
}

/// The deletion pauses before it removes the content. A creation that did not wait for the deletion
/// would lose its own content, which has the same hash and therefore the same path.
#[test]
fn a_recreated_resource_keeps_its_content() {
    const DELETER: &str = "deleter";
    let folder = tempdir().unwrap();
    let mut volt = Arc::into_inner(open(folder.path()).unwrap()).unwrap();
    volt.disk.sync_with(|_| {
        if thread::current().name() == Some(DELETER) {
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    });
    let volt = Arc::new(volt);
    let create = |actor: &Actor| {
        let resource =
            Resource::default().with_id("chosen").with_name("file").with_kind(["volt:file"]);
        let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
        actor.save_resource(request)
    };
    let creator = owner(&volt);
    create(&creator).unwrap();
    for _ in 0..3 {
        write(&creator, "chosen", "text");
        let deleter = owner(&volt);
        let delete = move || {
            deleter.delete_resource(&DeleteResourceRequest::default().with_resource_id("chosen"))
        };
        let delete = thread::Builder::new().name(DELETER.to_owned()).spawn(delete).unwrap();
        while create(&creator).is_err() {
            thread::yield_now();
        }
        write(&creator, "chosen", "text");
        delete.join().unwrap().unwrap();
        assert_eq!(read(&creator, "chosen"), b"text");
    }
}

#[test]
fn the_operator_reads_the_path_of_a_missing_folder_and_callers_do_not() {
    let folder = tempdir().unwrap();
    let volt = open(folder.path()).unwrap();
    let id = make(&owner(&volt), "", "file", "volt:file");
    write(&owner(&volt), &id, "text");
    for missing in ["incoming", "files"] {
        fs::remove_dir_all(folder.path().join(missing)).unwrap();
        let request = SetFileContentRequest::default().with_resource_id(&id).with_content("new");
        let fault = match missing {
            "incoming" => owner(&volt).set_file_content(&request).unwrap_err(),
            _ => owner(&volt).open_file(&id, "").map(drop).unwrap_err(),
        };
        let Fault::Disk(error) = &fault else { panic!("{fault:?}") };
        let path = folder.path().join(missing).display().to_string();
        assert!(error.to_string().contains(&path), "{error}");
        let status = Status::from(fault);
        assert_eq!(status.code(), Code::Unavailable);
        assert!(!status.message().contains(&path), "{status}");
    }
}

#[test]
fn a_deleted_store_is_noticed() {
    let folder = tempdir().unwrap();
    let volt = open(folder.path()).unwrap();
    fs::remove_file(folder.path().join("volt.db")).unwrap();
    let resource = Resource::default().with_name("lost");
    let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
    let fault = owner(&volt).save_resource(request).unwrap_err();
    let status = Status::from(fault);
    assert_eq!(status.code(), Code::Unavailable);
}

#[test]
fn a_deleted_database_is_reported_as_such_and_leaves_no_file() {
    let folder = tempdir().unwrap();
    let volt = open(folder.path()).unwrap();
    let owner = owner(&volt);
    let save = SaveWireRequest::default()
        .with_resource(Resource::default().with_name("wire"))
        .with_create(true)
        .with_persist(true);
    let wire = owner.save_wire(save).unwrap();
    let archive = owner.open_archive(&wire).unwrap().unwrap();
    archive.keep("someone", b"text").unwrap();
    // The file is not read before the first statement.
    let unread = owner.open_file_of(wire.id.clone(), true).unwrap();
    let delete = DeleteResourceRequest::default().with_resource_id(&wire.id);
    owner.delete_resource(&delete).unwrap();
    let faults = [
        archive.keep("someone", b"late").unwrap_err(),
        unread.run("CREATE TABLE t (x)").unwrap_err(),
        owner.open_archive(&wire).map(drop).unwrap_err(),
    ];
    for fault in faults {
        let status = Status::from(fault);
        assert_eq!(status.code(), Code::NotFound, "{status}");
    }
    drop((archive, unread));
    let left = fs::read_dir(folder.path().join("databases")).unwrap().map(|entry| entry.unwrap());
    assert_eq!(left.map(|entry| entry.path()).collect::<Vec<_>>(), [""; 0].map(PathBuf::from));
}

#[test]
fn versions_grow_when_the_clock_goes_back() {
    let folder = tempdir().unwrap();
    let volt = open(folder.path()).unwrap();
    let owner = owner(&volt);
    let id = make(&owner, "", "file", "volt:file");
    let future = crate::store::now() + 1_000_000;
    volt.store
        .write(|tx| {
            let mut resource = crate::store::resources::require(tx, &id)?;
            resource.modified = future;
            crate::store::resources::update(tx, &resource)
        })
        .unwrap();
    write(&owner, &id, "text");
    let resource = owner.read(|store| crate::store::resources::require(store, &id)).unwrap();
    assert_eq!((resource.version, resource.modified), (2, future));
}

#[test]
fn content_that_cannot_be_synced_replaces_nothing() {
    let folder = tempdir().unwrap();
    let volt = open(folder.path()).unwrap();
    let id = make(&owner(&volt), "", "file", "volt:file");
    write(&owner(&volt), &id, "before");
    let mut volt = Arc::into_inner(volt).unwrap();
    volt.disk.sync_with(|_| Err(std::io::ErrorKind::StorageFull.into()));
    let volt = Arc::new(volt);
    let request = SetFileContentRequest::default().with_resource_id(&id).with_content("after");
    let status = Status::from(owner(&volt).set_file_content(&request).unwrap_err());
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("disk is full"), "{}", status.message());
    assert_eq!(read(&owner(&volt), &id), b"before");
}

#[cfg(unix)]
#[test]
fn earlier_content_is_removed_after_the_store_is_synced() {
    let folder = tempdir().unwrap();
    let volt = open(folder.path()).unwrap();
    let id = make(&owner(&volt), "", "file", "volt:file");
    write(&owner(&volt), &id, "before");
    let contents = || {
        let files = fs::read_dir(folder.path().join("files")).unwrap();
        files.flat_map(|file| fs::read_dir(file.unwrap().path()).unwrap()).count()
    };
    let mut volt = Arc::into_inner(volt).unwrap();
    // Only the store's log, which begins with this number, cannot be synced.
    volt.disk.sync_with(|file| {
        let mut magic = [0; 4];
        let is_log = std::os::unix::fs::FileExt::read_exact_at(file.file(), &mut magic, 0).is_ok()
            && magic[..3] == [0x37, 0x7f, 0x06];
        if is_log { Err(std::io::ErrorKind::Other.into()) } else { Ok(()) }
    });
    let volt = Arc::new(volt);
    write(&owner(&volt), &id, "after");
    assert_eq!(read(&owner(&volt), &id), b"after");
    // A power failure could undo the change, which needs the earlier content.
    assert_eq!(contents(), 2);
    let mut volt = Arc::into_inner(volt).unwrap();
    volt.disk.sync_with(fs_err::File::sync_all);
    let volt = Arc::new(volt);
    write(&owner(&volt), &id, "last");
    assert_eq!(contents(), 1);
    let delete = DeleteResourceRequest::default().with_resource_id(&id);
    owner(&volt).delete_resource(&delete).unwrap();
    assert_eq!(contents(), 0);
}
