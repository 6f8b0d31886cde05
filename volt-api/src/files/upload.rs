//! Uploads of files and folders.

use std::{fmt, future::IntoFuture, path::Path, path::PathBuf};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    fs,
    io::{AsyncRead, AsyncReadExt as _},
};
use volt_runtime::{Code, Error, ErrorKind, Executed, Result, transport::BoxFuture};

use super::{
    check::{Summary, stat},
    local::{self, local},
    retry::{RETRIES, retried},
};
use crate::{
    operation::{Operation, Settings},
    path::ResourcePath,
    progress::{FileProgress, Progress},
    volt::{FileApiClient, SetFileContentRequest, UploadFileRequest, UploadFileStart},
};

type Reader = dyn AsyncRead + Send + Unpin;

/// The size of a block, in bytes. A shorter file is sent in one message.
const BLOCK: usize = 256 << 10;
/// The default number of files of a folder that are transferred at once.
pub(super) const CONCURRENCY: usize = 4;

/// The target of an upload, created by [`FileApiClient::upload`]. It is not a future yet: choose the
/// content with [`from_path`](Self::from_path), [`from_bytes`](Self::from_bytes) or
/// [`from_reader`](Self::from_reader).
#[derive(Debug)]
#[must_use = "choose what to upload"]
pub struct UploadTo {
    client: FileApiClient,
    target: ResourcePath,
}

/// An upload that has not been started yet. Await it for the number of bytes.
pub type UploadFile = Operation<FileUpload>;

/// The kind of an [`UploadFile`].
pub struct FileUpload {
    to: UploadTo,
    source: Source,
    progress: Progress,
    retries: u32,
    concurrency: usize,
}

enum Source {
    Path(PathBuf),
    Reader(Box<Reader>),
    Bytes(Vec<u8>),
}

impl FileApiClient {
    /// Uploads a file or a folder. Files and folders that are missing along the path of the target
    /// are created; a target without a path must exist.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// let bytes = client.file().upload("@home/2026/report.pdf").from_path("report.pdf").await?;
    /// client.file().upload("@home/hello.txt").from_bytes("hello").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "upload a file")]
    #[doc(alias = "put_file")]
    pub fn upload(&self, target: impl Into<ResourcePath>) -> UploadTo {
        UploadTo { client: self.clone(), target: target.into() }
    }
}

#[allow(clippy::wrong_self_convention, reason = "the names state the source of the content")]
impl UploadTo {
    /// Uploads a file of this machine; or a folder, with everything in it except symbolic links and
    /// empty folders.
    pub fn from_path(self, path: impl Into<PathBuf>) -> UploadFile {
        self.from(Source::Path(path.into()))
    }

    /// Uploads the content of a reader. A reader cannot be read twice, so the upload does not start
    /// again after a lost connection.
    pub fn from_reader(self, reader: impl AsyncRead + Send + Unpin + 'static) -> UploadFile {
        self.from(Source::Reader(Box::new(reader)))
    }

    /// Uploads bytes.
    pub fn from_bytes(self, bytes: impl Into<Vec<u8>>) -> UploadFile {
        self.from(Source::Bytes(bytes.into()))
    }

    fn from(self, source: Source) -> UploadFile {
        Operation::new(FileUpload {
            to: self,
            source,
            progress: Progress::default(),
            retries: RETRIES,
            concurrency: CONCURRENCY,
        })
    }
}

impl UploadFile {
    /// Calls a function with the number of bytes sent so far and in total. The total of a reader is
    /// unknown until its end. The number never decreases; the last report is the total, when
    /// everything is in place.
    #[doc(alias = "progress")]
    #[doc(alias = "indicatif")]
    pub fn on_progress(mut self, report: impl FnMut(u64, Option<u64>) + Send + 'static) -> Self {
        self.kind.progress = Progress::new(report);
        self
    }

    /// Sets how often the upload of a file starts again after a lost connection. Default: 3.
    #[doc(alias = "retry")]
    pub fn retries(mut self, retries: u32) -> Self {
        self.kind.retries = retries;
        self
    }

    /// Sets how many files of a folder are uploaded at once. Default: 4.
    pub fn concurrency(mut self, files: usize) -> Self {
        self.kind.concurrency = files.max(1);
        self
    }

    async fn run(self) -> Result<u64> {
        let FileUpload { to: UploadTo { client, target }, source, progress, retries, concurrency } =
            self.kind;
        target.check()?;
        let job = Job { client, settings: self.settings.start(), progress, retries };
        let bytes = match source {
            Source::Bytes(bytes) => {
                job.progress.set_total(bytes.len() as u64);
                let attempt = || job.content(Box::new(&*bytes), &target);
                retried(&job.settings, retries, attempt).await?
            }
            Source::Reader(reader) => job.content(reader, &target).await?,
            Source::Path(path) => {
                let look =
                    async { fs::metadata(&path).await.map_err(|error| unreadable(&path, error)) };
                let found = job.settings.until(look).await?;
                if found.is_dir() {
                    job.folder(&path, &target, concurrency).await?
                } else {
                    job.progress.set_total(found.len());
                    job.file(&path, &target).await?
                }
            }
        };
        job.progress.finish();
        Ok(bytes)
    }
}

impl IntoFuture for UploadFile {
    type Output = Result<u64>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the source cannot be read ([`ErrorKind::Io`]), the Volt refuses the upload, or the
    /// content differs from the Volt's file afterwards. A file keeps its old content unless the
    /// upload was complete; one that did not exist may exist without content.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the upload. Each file has its old content or the new one.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The state that all files of an upload share.
struct Job {
    client: FileApiClient,
    settings: Settings,
    progress: Progress,
    retries: u32,
}

impl Job {
    async fn folder(&self, path: &Path, target: &ResourcePath, concurrency: usize) -> Result<u64> {
        let found = self.settings.until(local::list(path)).await?;
        self.progress.set_total(found.iter().map(|file| file.size).sum());
        let uploads = found.into_iter().map(|file| {
            let target = target.join(&file.name);
            async move { self.file(&file.path, &target).await }
        });
        let uploads = stream::iter(uploads).buffer_unordered(concurrency);
        uploads.try_fold(0, |sum, bytes| async move { Ok(sum + bytes) }).await
    }

    async fn file(&self, path: &Path, target: &ResourcePath) -> Result<u64> {
        let attempt = || async move {
            let open =
                async { fs::File::open(path).await.map_err(|error| unreadable(path, error)) };
            let file = self.settings.until(open).await?;
            self.content(Box::new(file), target).await
        };
        retried(&self.settings, self.retries, attempt).await
    }

    /// Uploads the content of one file.
    async fn content<'r>(
        &self,
        mut reader: Box<dyn AsyncRead + Send + Unpin + 'r>,
        target: &ResourcePath,
    ) -> Result<u64> {
        let mut progress = self.progress.file();
        let first = self.read(&mut *reader).await?;
        if first.len() < BLOCK {
            let bytes = first.len();
            self.set_content(target, first).await?;
            progress.add(bytes);
        } else {
            let id = self.find_or_create(target).await?;
            let summary = self.stream(&id, first, &mut *reader, &mut progress).await?;
            summary.verify(&self.client, &self.settings, &id).await?;
        }
        let bytes = progress.bytes();
        progress.keep();
        Ok(bytes)
    }

    /// Sends a file's content in blocks.
    async fn stream(
        &self,
        id: &str,
        first: Vec<u8>,
        reader: &mut (dyn AsyncRead + Send + Unpin + '_),
        progress: &mut FileProgress,
    ) -> Result<Summary> {
        let call = self.settings.apply(self.client.upload_file()).await?;
        // Half-closing would complete the upload. Variables are dropped in reverse order, so a failure
        // drops the responses first, which cancels the call.
        let (mut requests, mut responses) = call.into_split();
        let send = async {
            let mut summary = Summary::new();
            let start = UploadFileStart::default().with_resource_id(id);
            let start = UploadFileRequest::default().with_start(start);
            if let Err(error) = requests.send(start).await {
                return Ok((summary, Some(error)));
            }
            let mut block = first;
            while !block.is_empty() {
                summary.add(&block);
                let bytes = block.len();
                let request = UploadFileRequest::default().with_block(block);
                if let Err(error) = requests.send(request).await {
                    return Ok((summary, Some(error)));
                }
                progress.add(bytes);
                block = self.read(reader).await?;
            }
            requests.half_close();
            Ok((summary, None))
        };
        let receive = async {
            while responses.message().await?.is_some() {}
            Ok::<_, Error>(())
        };
        // The responses contain the reason for the end of the call, so their error takes precedence.
        match tokio::try_join!(send, receive)? {
            ((_, Some(error)), ()) => Err(error),
            ((summary, None), ()) => Ok(summary),
        }
    }

    /// Returns the id of the file to upload to.
    async fn find_or_create(&self, target: &ResourcePath) -> Result<String> {
        let file = match stat(&self.client, &self.settings, target).await {
            Err(error) if error.code() == Code::NotFound && !target.path().is_empty() => {
                self.set_content(target, Vec::new()).await?;
                stat(&self.client, &self.settings, target).await?
            }
            outcome => outcome?,
        };
        if file.is_directory {
            let problem = format!("`{target}` is a folder: add the name of the file");
            return Err(Error::configuration(problem));
        }
        Ok(file.resource_id)
    }

    async fn set_content(&self, target: &ResourcePath, content: Vec<u8>) -> Result<()> {
        let request = SetFileContentRequest::default()
            .with_resource_id(target.resource_id())
            .with_file_path(target.path())
            .with_content(content);
        self.settings.apply(self.client.set_file_content(request)).idempotent().await.map(drop)
    }

    /// Reads a block, which is shorter only at the end.
    async fn read(&self, reader: &mut (dyn AsyncRead + Send + Unpin + '_)) -> Result<Vec<u8>> {
        self.settings
            .until(async {
                let mut block = Vec::with_capacity(BLOCK);
                match reader.take(BLOCK as u64).read_to_end(&mut block).await {
                    Ok(_) => Ok(block),
                    Err(error) => Err(local("the content cannot be read", error)),
                }
            })
            .await
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let path = path.display();
    let message =
        format!("`{path}` cannot be read: check that it exists, and that this program may read it");
    Error::new(ErrorKind::Io, message).with_source(error).with_executed(Executed::No)
}

impl fmt::Debug for FileUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileUpload").field("to", &self.to).finish_non_exhaustive()
    }
}
