//! Transfers and the files of this machine: names, full and read-only disks, dropped futures, wrong content.

use std::{fs, io};

use tempfile::TempDir;
use volt_api::{ErrorKind, Executed, volt::FileApiServer};
use volt_test_support::soon;

use crate::{
    files::{Mock, content, docs, names_in},
    support::{mock, start},
};

/// Both forms of `ä`: one character, and two.
#[tokio::test]
async fn unicode_names_and_names_that_differ_by_case_round_trip() {
    let (_volt, client) = start().await;
    docs(&client).await;
    let here = TempDir::new().unwrap();
    let source = here.path().join("source");
    let names = ["日本/ü b.txt", "\u{e4}", "a\u{308}", "🙂", "Case", "case", "' \" % ?*<>|"];
    for name in names {
        let path = source.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    client.file().upload("@docs/names").from_path(&source).await.unwrap();
    let target = here.path().join("target");
    client.file().download("@docs/names").to_path(&target).await.unwrap();
    for name in names {
        assert_eq!(fs::read_to_string(target.join(name)).unwrap(), name);
    }
    assert_eq!(names_in(&target).len(), names.len());
}

/// Each write to this device fails as on a full disk.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_an_error_with_its_reason() {
    let client = mock(FileApiServer::new(Mock::new(&[])));
    let full = tokio::fs::File::options().write(true).open("/dev/full").await.unwrap();
    let error = soon(client.file().download("id").to_writer(full)).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Io, Executed::No));
    let source = std::error::Error::source(&error).unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), io::ErrorKind::StorageFull, "{error:#}");
}

/// `/proc` rejects new files for every user; permissions would not.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_unusable_target_folder_is_named_in_the_error() {
    for source in ["id", "@folder"] {
        let client = mock(FileApiServer::new(Mock::new(&["file"])));
        let error =
            soon(client.file().download(source).to_path("/proc/volt-test")).await.unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Io, Executed::No), "{error:#}");
        assert!(error.to_string().contains("/proc/volt-test"), "{error}");
    }
}

#[tokio::test]
async fn a_download_that_is_dropped_at_any_moment_leaves_no_file() {
    let (_volt, client) = start().await;
    docs(&client).await;
    client.file().upload("@docs/x").from_bytes(content(600_000)).await.unwrap();
    let here = TempDir::new().unwrap();
    let target = here.path().join("file");
    for polls in 0..30 {
        let download = client.file().download("@docs/x").to_path(&target).into_future();
        let mut download = Box::pin(download);
        for _ in 0..polls {
            let step = tokio::time::timeout(std::time::Duration::from_millis(1), &mut download);
            if step.await.is_ok() {
                break;
            }
        }
        drop(download);
    }
    // A file that the system was creating is removed after its creation.
    soon(async {
        while names_in(here.path()).iter().any(|name| name != "file") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    if target.exists() {
        assert!(fs::read(&target).unwrap() == content(600_000), "it is whole or absent");
    }
}

#[tokio::test]
async fn the_error_of_a_wrong_json_file_does_not_quote_it() {
    let (_volt, client) = start().await;
    docs(&client).await;
    for (content, place) in [
        (r#"["SECRET"]"#, "does not fit the expected type: line 1, column 9"),
        (r#"{"SECRET": 1}"#, "does not fit the expected type"),
        (r#"[1, "SECRET"#, "truncated JSON: line 1, column 11"),
        ("SECRET", "is not JSON: line 1, column 1"),
    ] {
        client.file().upload("@docs/wrong.json").from_bytes(content).await.unwrap();
        let read = client.file().get_json::<Vec<u32>>("@docs/wrong.json").await.unwrap_err();
        assert_eq!(read.kind(), ErrorKind::Conversion);
        assert!(read.to_string().contains(place), "{read}");
        assert!(!format!("{read:#} {read:?}").contains("SECRET"), "{read:?}");
    }
}
