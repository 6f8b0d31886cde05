use std::{
    fs, thread,
    time::{Duration, Instant},
};

use volt_api::{
    Code,
    volt::{
        CopyResourceMode, CopyResourceRequest, DeleteResourceRequest, File, GetFileContentRequest,
        GetFileDescendantsRequest, GetFileRequest, GetResourceRequest, SetFileContentRequest,
        UploadFileStart,
    },
};

use super::{code, guest, make, owner, volt};
use crate::{actor::Actor, error::Result};

fn set(actor: &Actor, id: &str, path: &str, text: &str) -> Result<()> {
    let request = SetFileContentRequest::default()
        .with_resource_id(id)
        .with_file_path(path)
        .with_content(text);
    actor.set_file_content(&request)
}

fn content(actor: &Actor, id: &str, path: &str) -> Result<Vec<u8>> {
    let request = GetFileContentRequest::default().with_resource_id(id).with_file_path(path);
    actor.get_file_content(&request)
}

fn paths(files: &[File]) -> Vec<&str> {
    files.iter().map(|file| file.file_path.as_str()).collect()
}

#[test]
fn replaced_content_updates_the_resource() {
    let actor = owner(&volt());
    let id = make(&actor, "", "data.JSON", "volt:file");
    assert_eq!(content(&actor, &id, "").unwrap(), b"");
    set(&actor, &id, "", "{\"long\": 1}").unwrap();
    set(&actor, &id, "", "{}").unwrap();
    assert_eq!(content(&actor, &id, "").unwrap(), b"{}");
    let request = GetResourceRequest::default().with_resource_id(&id);
    let resource = actor.get_resource(&request).unwrap();
    assert_eq!(resource.size, 2);
    assert_eq!(resource.kind, ["volt:file", "volt:ext:json"]);
    // SHA-256 of `{}`.
    assert_eq!(resource.content_hash, "RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o");
    let file = actor.get_file(&GetFileRequest::default().with_resource_id(&id)).unwrap();
    assert_eq!((file.size, file.media_type.as_str()), (2, "application/json"));
}

#[test]
fn a_path_cannot_leave_its_folder() {
    let actor = owner(&volt());
    let folder = make(&actor, "", "folder", "volt:folder");
    set(&actor, &folder, "a/b.txt", "deep").unwrap();
    set(&actor, &folder, "/a//./b.txt", "deeper").unwrap();
    assert_eq!(content(&actor, &folder, "a/b.txt").unwrap(), b"deeper");
    assert_eq!(code(content(&actor, &folder, "a/c.txt")), Code::NotFound);
    for path in ["..", "a/../../x", "../folder/a/b.txt"] {
        assert_eq!(code(content(&actor, &folder, path)), Code::InvalidArgument, "{path}");
        assert_eq!(code(set(&actor, &folder, path, "")), Code::InvalidArgument, "{path}");
    }
    assert_eq!(code(content(&actor, &folder, "")), Code::FailedPrecondition);
    assert_eq!(code(set(&actor, &folder, "a", "")), Code::FailedPrecondition);
}

#[test]
fn descendants_have_paths_and_can_be_filtered() {
    let actor = owner(&volt());
    let folder = make(&actor, "", "folder", "volt:folder");
    for path in ["x.txt", "sub/y.TXT", "sub/z.md", ".git/config", "sub/.hidden"] {
        set(&actor, &folder, path, "").unwrap();
    }
    let of = || GetFileDescendantsRequest::default().with_resource_id(&folder);
    let get = |request| actor.get_file_descendants(&request).unwrap();
    assert_eq!(paths(&get(of())), ["sub", "sub/y.TXT", "sub/z.md", "x.txt"]);
    assert_eq!(paths(&get(of().with_extension("txt"))), ["sub/y.TXT", "x.txt"]);
    assert_eq!(paths(&get(of().with_folders_only(true))), ["sub"]);
    assert_eq!(paths(&get(of().with_file_path("sub"))), ["sub/y.TXT", "sub/z.md"]);
    assert_eq!(get(of().with_include_hidden(true)).len(), 7);
}

#[test]
fn an_upload_is_atomic_and_leaves_nothing_on_failure() {
    let volt = volt();
    let actor = owner(&volt);
    let id = make(&actor, "", "file", "volt:file");
    set(&actor, &id, "", "old").unwrap();
    let start = UploadFileStart::default().with_resource_id(&id);
    let mut upload = actor.begin_upload(&start).unwrap();
    upload.write(b"ne").unwrap();
    assert_eq!(content(&actor, &id, "").unwrap(), b"old");
    upload.write(b"w").unwrap();
    actor.finish_upload(upload).unwrap();
    assert_eq!(content(&actor, &id, "").unwrap(), b"new");

    let mut given_up = actor.begin_upload(&start).unwrap();
    given_up.write(b"half").unwrap();
    let incoming = volt.disk.incoming().unwrap().path().parent().unwrap().to_owned();
    assert_eq!(fs::read_dir(&incoming).unwrap().count(), 1);
    drop(given_up);
    assert_eq!(fs::read_dir(&incoming).unwrap().count(), 0);
    assert_eq!(content(&actor, &id, "").unwrap(), b"new");

    // A file that is deleted during an upload stays deleted.
    let late = actor.begin_upload(&start).unwrap();
    actor.delete_resource(&DeleteResourceRequest::default().with_resource_id(&id)).unwrap();
    assert_eq!(code(actor.finish_upload(late)), Code::NotFound);
    assert!(!volt.disk.content(&id, "").exists());
}

#[test]
fn old_content_stays_until_it_is_replaced() {
    let volt = volt();
    let actor = owner(&volt);
    let id = make(&actor, "", "file", "volt:file");
    set(&actor, &id, "", "old").unwrap();
    let on_disk = || fs::read_dir(volt.disk.content(&id, "")).unwrap().count();
    assert_eq!(on_disk(), 1);
    // Simulate a crash between the two steps: the new content is in place, but the store refers to
    // the old.
    let incoming = volt.disk.incoming().unwrap();
    fs::write(incoming.path(), "never confirmed").unwrap();
    volt.disk.place(incoming.into_temp_path(), &id, "unknown").unwrap();
    assert_eq!((content(&actor, &id, "").unwrap(), on_disk()), (b"old".to_vec(), 2));
    set(&actor, &id, "", "new").unwrap();
    assert_eq!((content(&actor, &id, "").unwrap(), on_disk()), (b"new".to_vec(), 1));
    // Setting the same content again does not remove it.
    set(&actor, &id, "", "new").unwrap();
    assert_eq!((content(&actor, &id, "").unwrap(), on_disk()), (b"new".to_vec(), 1));
}

#[test]
fn files_need_the_right_to_access_them() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    let id = make(&owner, "", "file", "volt:file");
    set(&owner, &id, "", "secret").unwrap();
    assert_eq!(code(content(&guest, &id, "")), Code::PermissionDenied);
    assert_eq!(code(set(&guest, &id, "", "mine")), Code::PermissionDenied);
    let start = UploadFileStart::default().with_resource_id(&id);
    assert!(guest.begin_upload(&start).is_err());
}

#[test]
fn a_copy_does_not_block_other_changes() {
    let volt = volt();
    let actor = owner(&volt);
    let (id, to) =
        (make(&actor, "", "file", "volt:file"), make(&actor, "", "folder", "volt:folder"));
    set(&actor, &id, "", "content").unwrap();
    let incoming = volt.disk.store().with_file_name("incoming");
    let is_copied = || {
        let files = fs::read_dir(&incoming).unwrap();
        files.flatten().any(|file| file.metadata().is_ok_and(|data| data.len() == 7))
    };
    let request = CopyResourceRequest::default()
        .with_resource_id(&id)
        .with_to_resource_id(&to)
        .with_mode(CopyResourceMode::Copy);
    thread::scope(|scope| {
        let copying = volt.store.write(|_| {
            let copying = scope.spawn(|| owner(&volt).copy_resource(&request).unwrap());
            // The data is copied during this change. Only its resource waits for the end.
            let begin = Instant::now();
            while !is_copied() {
                assert!(begin.elapsed() < Duration::from_mins(1), "the copy waits");
                thread::yield_now();
            }
            assert!(!copying.is_finished());
            Ok(copying)
        });
        copying.unwrap().join().unwrap();
    });
    let request = GetFileDescendantsRequest::default().with_resource_id(&to);
    assert_eq!(paths(&actor.get_file_descendants(&request).unwrap()), ["file"]);
}
