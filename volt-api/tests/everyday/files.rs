//! Uploads and downloads of files and folders.

use std::{
    fs,
    io::{self, Cursor},
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context as TaskContext, Poll},
};

use futures_util::TryStreamExt as _;
use tempfile::TempDir;
use tokio::io::{AsyncRead, ReadBuf};
use volt_api::{
    Channel, Client, Code, ErrorKind, Executed, Status, TransportKind,
    server::{Context, Requests, Responses, Router},
    volt::{
        DownloadFileRequest, DownloadFileResponse, File, FileApi, FileApiServer,
        GetFileDescendantsRequest, GetFileDescendantsResponse, GetFileRequest, GetFileResponse,
        GetResourceRequest, GetResourceResponse, Resource, SaveResourceRequest, UploadFileRequest,
        UploadFileResponse, VoltApi, VoltApiServer, upload_file_request::Payload,
    },
};
use volt_test_support::soon;

use crate::support::{TRANSPORTS, client_through, mock, network, start};

/// Content that takes several blocks, each different.
pub(crate) fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| u8::try_from((index * 7 + index / 1000) % 251).unwrap()).collect()
}

/// Creates a folder with the alias `@docs`.
pub(crate) async fn docs(client: &Client) {
    let folder =
        Resource::default().with_name("docs").with_kind(["volt:folder"]).with_alias(["docs"]);
    let request = SaveResourceRequest::default().with_resource(folder).with_create(true);
    client.volt().save_resource(request).await.unwrap();
}

/// The bytes transferred, and the total.
type Report = (u64, Option<u64>);

/// Collects the reports of a transfer.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<Report>>>);

impl Reports {
    fn hook(&self) -> impl FnMut(u64, Option<u64>) + Send + 'static {
        let all = Arc::clone(&self.0);
        move |done, total| all.lock().unwrap().push((done, total))
    }

    #[track_caller]
    fn check(&self, total: u64) {
        let all = self.0.lock().unwrap();
        assert!(all.is_sorted_by(|one, next| one.0 < next.0), "{all:?}");
        assert_eq!(all.last(), Some(&(total, Some(total))));
    }
}

pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn content_is_unchanged_from_every_source_to_every_target() {
    let (_volt, client) = start().await;
    docs(&client).await;
    let (files, here) = (client.file(), TempDir::new().unwrap());
    for size in [0, 1, 256 << 10, (1 << 20) + 1] {
        let content = content(size);
        let (source, target) = (here.path().join("source"), here.path().join("target"));
        fs::write(&source, &content).unwrap();
        let total = size as u64;

        let up = Reports::default();
        let upload = files.upload(format!("@docs/path/{size}")).from_path(&source);
        assert_eq!(upload.on_progress(up.hook()).await.unwrap(), total);
        up.check(total);
        files.upload(("@docs", format!("bytes/{size}"))).from_bytes(content.clone()).await.unwrap();
        let reader = Cursor::new(content.clone());
        files.upload(format!("@docs/reader/{size}")).from_reader(reader).await.unwrap();

        for from in ["path", "bytes", "reader"] {
            let from = format!("@docs/{from}/{size}");
            assert!(files.download(&from).bytes().await.unwrap() == content, "{from}");
            let down = Reports::default();
            let download = files.download(&from).to_path(&target).on_progress(down.hook());
            assert_eq!(download.await.unwrap(), total);
            down.check(total);
            assert!(fs::read(&target).unwrap() == content, "{from}");
            let stream = files.download(&from).stream().await.unwrap();
            assert_eq!(stream.size(), total);
            let blocks: Vec<Vec<u8>> = stream.try_collect().await.unwrap();
            assert!(blocks.concat() == content, "{from}");
        }
        let file = tokio::fs::File::create(&target).await.unwrap();
        files.download(format!("@docs/path/{size}")).to_writer(file).await.unwrap();
        assert!(fs::read(&target).unwrap() == content);
    }
    assert_eq!(names_in(here.path()), ["source", "target"], "no temporary files are left");
}

#[tokio::test]
async fn a_downloaded_folder_has_all_its_files() {
    let (_volt, client) = start().await;
    docs(&client).await;
    let here = TempDir::new().unwrap();
    let source = here.path().join("source");
    fs::create_dir_all(source.join("a/b")).unwrap();
    let mut total = 0;
    for (name, size) in [("one", 10), (".hidden", 0), ("a/two.txt", 300_000), ("a/b/three", 5)] {
        fs::write(source.join(name), content(size)).unwrap();
        total += size as u64;
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc", source.join("link")).unwrap();

    let (up, down) = (Reports::default(), Reports::default());
    let upload = client.file().upload("@docs/copy").from_path(&source).concurrency(2);
    assert_eq!(upload.on_progress(up.hook()).await.unwrap(), total);
    up.check(total);
    let target = here.path().join("target");
    let download = client.file().download("@docs/copy").to_path(&target);
    assert_eq!(download.on_progress(down.hook()).await.unwrap(), total);
    down.check(total);
    assert_eq!(names_in(&target), [".hidden", "a", "one"]);
    for name in ["one", ".hidden", "a/two.txt", "a/b/three"] {
        assert_eq!(fs::read(target.join(name)).unwrap(), fs::read(source.join(name)).unwrap());
    }
}

#[tokio::test]
async fn missing_paths_and_wrong_kinds_are_refused() {
    let (_volt, client) = start().await;
    docs(&client).await;
    let files = client.file();
    let missing = files.download("@docs/none").bytes().await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(files.download("@docs").bytes().await.unwrap_err().is_configuration());
    let large = content(300_000);
    assert!(files.upload("@docs").from_bytes(large).await.unwrap_err().is_configuration());
    let error = files.upload("@docs/x").from_path("/no/such/file").await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Io, Executed::No));
    assert!(files.upload("@docs/../x").from_bytes("").await.unwrap_err().is_configuration());
    assert_eq!(files.download("@docs/x").bytes().await.unwrap_err().code(), Code::NotFound);
}

/// Yields some content and then fails.
struct Failing(usize);

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0 == 0 {
            return Poll::Ready(Err(io::Error::other("unplugged")));
        }
        let bytes = buffer.remaining().min(self.0);
        self.0 -= bytes;
        buffer.put_slice(&vec![b'n'; bytes]);
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_reader_that_fails_leaves_the_old_content() {
    let (_volt, client) = start().await;
    docs(&client).await;
    let files = client.file();
    files.upload("@docs/x").from_bytes("old").await.unwrap();
    for bytes in [10, 300_000, 3_000_000] {
        let error = files.upload("@docs/x").from_reader(Failing(bytes)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(files.download("@docs/x").bytes().await.unwrap(), b"old");
    }
}

/// A Volt with a folder of one listing. Each file has the content `content`; the first downloads and
/// uploads lose their connection.
pub(crate) struct Mock {
    paths: Vec<&'static str>,
    size: u64,
    last_block: &'static str,
    failures: AtomicUsize,
    uploaded: Mutex<Vec<u8>>,
}

impl Mock {
    pub(crate) fn new(paths: &[&'static str]) -> Self {
        Self {
            paths: paths.to_vec(),
            size: 7,
            last_block: "ent",
            failures: AtomicUsize::new(0),
            uploaded: Mutex::default(),
        }
    }

    fn fail(&self) -> Result<(), Status> {
        let left = |left: usize| left.checked_sub(1);
        match self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left) {
            Ok(_) => Err(Status::new(Code::Unavailable, "the relay has lost the Volt")),
            Err(_) => Ok(()),
        }
    }
}

impl FileApi for Mock {
    async fn get_file(
        &self,
        _: Context,
        request: GetFileRequest,
    ) -> Result<GetFileResponse, Status> {
        let uploaded = self.uploaded.lock().unwrap().len() as u64;
        let file = File::default()
            .with_resource_id("id")
            .with_size(if uploaded > 0 { uploaded } else { self.size })
            .with_is_directory(request.resource_id == "@folder");
        Ok(GetFileResponse::default().with_file(file))
    }

    async fn get_file_descendants(
        &self,
        _: Context,
        _: GetFileDescendantsRequest,
    ) -> Result<GetFileDescendantsResponse, Status> {
        let files =
            self.paths.iter().map(|path| File::default().with_file_path(*path).with_size(7));
        Ok(GetFileDescendantsResponse::default().with_descendant(files))
    }

    async fn download_file(
        &self,
        _: Context,
        _: DownloadFileRequest,
        mut responses: Responses<DownloadFileResponse>,
    ) -> Result<(), Status> {
        responses.send(DownloadFileResponse::default().with_block("cont")).await?;
        self.fail()?;
        responses.send(DownloadFileResponse::default().with_block(self.last_block)).await
    }

    async fn upload_file(
        &self,
        _: Context,
        mut requests: Requests<UploadFileRequest>,
        _: Responses<UploadFileResponse>,
    ) -> Result<(), Status> {
        let mut content = Vec::new();
        while let Some(request) = requests.message().await? {
            if let Some(Payload::Block(block)) = request.payload {
                content.extend(block);
                self.fail()?;
            }
        }
        *self.uploaded.lock().unwrap() = content;
        Ok(())
    }
}

#[tokio::test]
async fn names_of_a_hostile_volt_write_nothing() {
    for path in [
        "../escaped",
        "a/../../escaped",
        "/escaped",
        "a//b",
        "..",
        "",
        "a\\..\\b",
        "c:escaped",
        "a\0b",
        "NUL",
    ] {
        let client = mock(FileApiServer::new(Mock::new(&["fine", path])));
        let here = TempDir::new().unwrap();
        let target = here.path().join("target");
        let error = soon(client.file().download("@folder").to_path(&target)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conversion, "{path:?}");
        assert!(names_in(here.path()).is_empty(), "{path:?}");
    }
}

#[tokio::test]
async fn two_files_of_one_path_are_an_error() {
    let client = mock(FileApiServer::new(Mock::new(&["same", "same"])));
    let here = TempDir::new().unwrap();
    let error = soon(client.file().download("@folder").to_path(here.path())).await.unwrap_err();
    assert!(error.to_string().contains("two files"), "{error}");
    // A file cannot be a folder at the same time.
    let client = mock(FileApiServer::new(Mock::new(&["same", "same/more"])));
    let error = soon(client.file().download("@folder").to_path(here.path()).concurrency(1)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Io);
}

#[cfg(unix)]
#[tokio::test]
async fn symbolic_links_in_the_target_are_not_followed() {
    let here = TempDir::new().unwrap();
    let (target, outside) = (here.path().join("target"), here.path().join("outside"));
    fs::create_dir_all(&target).unwrap();
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("file"), "untouched").unwrap();
    std::os::unix::fs::symlink(&outside, target.join("folder")).unwrap();
    std::os::unix::fs::symlink(outside.join("file"), target.join("link")).unwrap();

    let client = mock(FileApiServer::new(Mock::new(&["folder/escaped"])));
    let error = soon(client.file().download("@folder").to_path(&target)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    // A link in place of a file is replaced, not written through.
    let client = mock(FileApiServer::new(Mock::new(&["link"])));
    soon(client.file().download("@folder").to_path(&target)).await.unwrap();
    assert_eq!(fs::read(target.join("link")).unwrap(), b"content");
    assert_eq!(names_in(&outside), ["file"]);
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"untouched");
}

#[tokio::test]
async fn an_unwritable_target_is_named_in_the_error() {
    let here = TempDir::new().unwrap();
    let client = mock(FileApiServer::new(Mock::new(&["file"])));
    // The superuser may write to folders without write permission, so the test uses another
    // obstacle.
    fs::create_dir(here.path().join("folder")).unwrap();
    for target in ["no/such/folder/file", "folder"] {
        let target = here.path().join(target);
        let error = soon(client.file().download("id").to_path(&target)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        let name = target.file_name().unwrap().to_str().unwrap();
        assert!(error.to_string().contains(name), "{error}");
    }
    assert_eq!(names_in(here.path()), ["folder"], "no temporary files are left");
}

#[tokio::test]
async fn transfers_start_again_and_progress_never_decreases() {
    let mut volt = Mock::new(&[]);
    volt.failures = AtomicUsize::new(2);
    let volt = Arc::new(volt);
    let client = mock(FileApiServer::from_arc(Arc::clone(&volt)));
    let here = TempDir::new().unwrap();
    let reports = Reports::default();
    let target = here.path().join("file");
    let download = client.file().download("id").to_path(&target).on_progress(reports.hook());
    soon(download).await.unwrap();
    reports.check(7);
    assert_eq!(fs::read(&target).unwrap(), b"content");

    volt.failures.store(3, Ordering::Relaxed);
    let reports = Reports::default();
    let upload = client.file().upload("id").from_bytes(content(600_000));
    soon(upload.on_progress(reports.hook())).await.unwrap();
    reports.check(600_000);
    assert!(*volt.uploaded.lock().unwrap() == content(600_000));

    volt.failures.store(2, Ordering::Relaxed);
    let error = soon(client.file().upload("id").from_bytes(content(600_000)).retries(1)).await;
    assert_eq!(error.unwrap_err().code(), Code::Unavailable);
    // A reader cannot be read again.
    volt.failures.store(1, Ordering::Relaxed);
    let reader = Cursor::new(content(600_000));
    let error = soon(client.file().upload("id").from_reader(reader)).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_wrong_size_is_an_error_and_leaves_no_file() {
    for size in [3, 8] {
        let mut volt = Mock::new(&[]);
        volt.size = size;
        let client = mock(FileApiServer::new(volt));
        let here = TempDir::new().unwrap();
        let error = soon(client.file().download("id").to_path(here.path().join("file"))).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Conversion);
        assert!(names_in(here.path()).is_empty());
        assert!(soon(client.file().download("id").bytes()).await.is_err());
    }
}

/// Describes each file with the digest of `content`.
struct Digests;

impl VoltApi for Digests {
    async fn get_resource(
        &self,
        _: Context,
        request: GetResourceRequest,
    ) -> Result<GetResourceResponse, Status> {
        // SHA-256 of `content`, base64url without padding.
        let digest = "7XACtDnprIRfIjV9giusFERzD722AW0-yUMil7nsn3M";
        let resource = Resource::default().with_id(request.resource_id).with_content_hash(digest);
        Ok(GetResourceResponse::default().with_resource(resource))
    }
}

#[tokio::test]
async fn the_digest_is_verified_if_the_volt_has_one() {
    for (block, fits) in [("ent", true), ("ant", false)] {
        let mut volt = Mock::new(&[]);
        volt.last_block = block;
        let router = Router::new().with(FileApiServer::new(volt)).with(VoltApiServer::new(Digests));
        let client = Client::from_channel(Channel::in_process(router));
        let outcome = soon(client.file().download("id").bytes()).await;
        assert_eq!(outcome.is_ok(), fits, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_transfer_survives_a_killed_connection() {
    for transport in TRANSPORTS {
        transfer_over_a_killed_connection(transport).await;
    }
}

async fn transfer_over_a_killed_connection(transport: TransportKind) {
    let (volt, _) = start().await;
    let network = network(&volt, transport).await;
    let client = client_through(&network, &volt, transport).await;
    docs(&client).await;
    let content = content(4_000_000);
    let (here, reports) = (TempDir::new().unwrap(), Reports::default());
    let cut_once = || {
        let (cut, mut report, mut once) = (network.cutter(), reports.hook(), Some(()));
        move |done: u64, total| {
            report(done, total);
            if done > 500_000 && once.take().is_some() {
                cut();
            }
        }
    };
    let upload = client.file().upload("@docs/x").from_bytes(content.clone());
    soon(upload.on_progress(cut_once())).await.unwrap();
    reports.check(4_000_000);
    reports.0.lock().unwrap().clear();

    let target = here.path().join("file");
    let download = client.file().download("@docs/x").to_path(&target);
    soon(download.on_progress(cut_once())).await.unwrap();
    reports.check(4_000_000);
    assert!(fs::read(&target).unwrap() == content);
}

#[tokio::test]
async fn a_closed_client_leaves_no_partial_file() {
    let (_volt, client) = start().await;
    docs(&client).await;
    client.file().upload("@docs/x").from_bytes(content(3_000_000)).await.unwrap();
    let here = TempDir::new().unwrap();
    let closing = client.clone();
    let mut once = Some(());
    let target = here.path().join("file");
    let download = client.file().download("@docs/x").to_path(&target).on_progress(move |_, _| {
        if once.take().is_some() {
            let closing = closing.clone();
            tokio::spawn(async move { closing.close().await });
        }
    });
    assert!(soon(download).await.is_err());
    assert!(names_in(here.path()).is_empty());
}

/// Never yields anything.
struct Stuck;

impl AsyncRead for Stuck {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_timeout_covers_the_whole_operation() {
    let client = mock(FileApiServer::new(Mock::new(&[])));
    let upload = client.file().upload("id").from_reader(Stuck);
    let error = soon(upload.timeout(std::time::Duration::from_millis(10))).await.unwrap_err();
    assert!(error.is_deadline(), "{error}");
}
