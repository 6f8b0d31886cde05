//! Downloads of files and folders.

use std::{collections::HashSet, fmt, future::IntoFuture, path::Path, path::PathBuf};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use volt_runtime::{Error, ErrorKind, Result, transport::BoxFuture};

use super::{
    check::stat,
    local::{self, Partial, local},
    retry::{RETRIES, retried},
    stream::{Blocks, FileStream},
    upload::CONCURRENCY,
};
use crate::{
    operation::{Operation, Settings},
    path::ResourcePath,
    progress::Progress,
    volt::{File, FileApiClient, GetFileDescendantsRequest},
};

/// The source of a download, created by [`FileApiClient::download`]. It is not a future yet: choose the target
/// with [`to_path`](Self::to_path), [`to_writer`](Self::to_writer), [`bytes`](Self::bytes) or
/// [`stream`](Self::stream).
#[derive(Debug)]
#[must_use = "choose where to download to"]
pub struct DownloadFrom {
    client: FileApiClient,
    source: ResourcePath,
}

/// A download that has not been started yet. `T` is its target: [`ToPath`], [`ToWriter`],
/// [`ToBytes`] or [`ToStream`].
pub type DownloadFile<T> = Operation<FileDownload<T>>;

/// The kind of a [`DownloadFile`].
#[derive(Debug)]
pub struct FileDownload<T> {
    from: DownloadFrom,
    target: T,
    progress: Progress,
    retries: u32,
    concurrency: usize,
}

/// A download to a file or folder of this machine. Awaiting it returns the number of bytes.
#[derive(Debug)]
pub struct ToPath(PathBuf);

/// A download to a writer. Awaiting it returns the number of bytes.
pub struct ToWriter(Box<dyn AsyncWrite + Send + Unpin>);

/// A download to memory. Awaiting it returns the content.
#[derive(Debug)]
pub struct ToBytes(());

/// A download that is read in blocks. Awaiting it returns a [`FileStream`].
#[derive(Debug)]
pub struct ToStream(());

impl FileApiClient {
    /// Downloads a file or a folder.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// client.file().download("@home/2026/report.pdf").to_path("report.pdf").await?;
    /// let text = client.file().download("@home/hello.txt").bytes().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "download a file")]
    #[doc(alias = "get_file")]
    #[doc(alias = "fetch")]
    pub fn download(&self, source: impl Into<ResourcePath>) -> DownloadFrom {
        DownloadFrom { client: self.clone(), source: source.into() }
    }
}

impl DownloadFrom {
    /// Downloads to this path. A file appears there, or replaces another, when it is complete. A
    /// folder is created if it is missing, and files that it has already are replaced.
    pub fn to_path(self, path: impl Into<PathBuf>) -> DownloadFile<ToPath> {
        self.to(ToPath(path.into()))
    }

    /// Downloads to a writer, which is flushed at the end. Written content cannot be withdrawn, so the
    /// download does not start again after a lost connection.
    pub fn to_writer(
        self,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> DownloadFile<ToWriter> {
        self.to(ToWriter(Box::new(writer)))
    }

    /// Downloads a file to memory.
    pub fn bytes(self) -> DownloadFile<ToBytes> {
        self.to(ToBytes(()))
    }

    /// Downloads a file as a stream of blocks. It does not start again after a lost connection.
    pub fn stream(self) -> DownloadFile<ToStream> {
        self.to(ToStream(()))
    }

    fn to<T>(self, target: T) -> DownloadFile<T> {
        Operation::new(FileDownload {
            from: self,
            target,
            progress: Progress::default(),
            retries: RETRIES,
            concurrency: CONCURRENCY,
        })
    }
}

impl<T> DownloadFile<T> {
    /// Calls a function with the number of bytes received so far and in total. The number never
    /// decreases; the last report is the total, when everything is in place.
    #[doc(alias = "progress")]
    #[doc(alias = "indicatif")]
    pub fn on_progress(mut self, report: impl FnMut(u64, Option<u64>) + Send + 'static) -> Self {
        self.kind.progress = Progress::new(report);
        self
    }

    /// Sets how often the download of a file to a path or to memory starts again after a lost
    /// connection. Default: 3.
    #[doc(alias = "retry")]
    pub fn retries(mut self, retries: u32) -> Self {
        self.kind.retries = retries;
        self
    }

    fn start(self) -> Result<(Job, ResourcePath, T)> {
        let settings = self.settings.start();
        let FileDownload { from, target, progress, retries, concurrency } = self.kind;
        from.source.check()?;
        let job = Job { client: from.client, settings, progress, retries, concurrency };
        Ok((job, from.source, target))
    }
}

impl DownloadFile<ToPath> {
    /// Sets how many files of a folder are downloaded at once. Default: 4.
    pub fn concurrency(mut self, files: usize) -> Self {
        self.kind.concurrency = files.max(1);
        self
    }
}

impl IntoFuture for DownloadFile<ToPath> {
    type Output = Result<u64>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the Volt refuses the download, the target cannot be written ([`ErrorKind::Io`]), the
    /// content differs from the Volt's file, or a name in a folder cannot be that of a file here; in
    /// the last case nothing is downloaded.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the download. Incomplete files leave nothing behind.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (job, source, ToPath(path)) = self.start()?;
            let file = stat(&job.client, &job.settings, &source).await?;
            let bytes = if file.is_directory {
                job.folder(&file.resource_id, &path).await?
            } else {
                job.progress.set_total(file.size);
                job.file(&source, &path).await?
            };
            job.progress.finish();
            Ok(bytes)
        })
    }
}

impl IntoFuture for DownloadFile<ToWriter> {
    type Output = Result<u64>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Same as for a path. The writer may have received a part of the content.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the download. The writer may have received a part of the content.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (job, source, ToWriter(mut writer)) = self.start()?;
            let bytes = job.copy(&source, &mut *writer).await?;
            job.progress.finish();
            Ok(bytes)
        })
    }
}

impl IntoFuture for DownloadFile<ToBytes> {
    type Output = Result<Vec<u8>>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the Volt refuses the download, or the content differs from the Volt's file.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the download.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (job, source, ToBytes(())) = self.start()?;
            let (job, source) = (&job, &source);
            let attempt = || async move {
                let mut bytes = Vec::new();
                job.copy(source, &mut bytes).await?;
                Ok(bytes)
            };
            let bytes = retried(&job.settings, job.retries, attempt).await?;
            job.progress.finish();
            Ok(bytes)
        })
    }
}

impl IntoFuture for DownloadFile<ToStream> {
    type Output = Result<FileStream>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if there is no such file. The stream reports other errors.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the download.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (job, source, ToStream(())) = self.start()?;
            let file = stat(&job.client, &job.settings, &source).await?;
            job.progress.set_total(file.size);
            Ok(FileStream::new(Blocks::open(job.client, job.settings, file, job.progress).await?))
        })
    }
}

/// The state that all files of a download share.
struct Job {
    client: FileApiClient,
    settings: Settings,
    progress: Progress,
    retries: u32,
    concurrency: usize,
}

impl Job {
    async fn folder(&self, id: &str, root: &Path) -> Result<u64> {
        let request =
            GetFileDescendantsRequest::default().with_resource_id(id).with_include_hidden(true);
        let call = self.settings.apply(self.client.get_file_descendants(request)).idempotent();
        let found = call.await?.descendant;
        // All names are checked before anything is written.
        let mut seen = HashSet::new();
        for file in &found {
            local::safe_names(&file.file_path)?;
            if !seen.insert(&*file.file_path) {
                return Err(Error::new(
                    ErrorKind::Conversion,
                    format!("the Volt has two files at {:?}: rename one", file.file_path),
                ));
            }
        }
        let create = async {
            tokio::fs::create_dir_all(root).await.map_err(|error| {
                local(&format!("the folder `{}` cannot be created", root.display()), error)
            })
        };
        self.settings.until(create).await?;
        let paths: Vec<_> = found.iter().map(|file| &*file.file_path).collect();
        if let Some((one, other)) = local::same_but_for_case(&paths)
            && self.settings.until(local::ignores_case(root)).await?
        {
            return Err(Error::new(
                ErrorKind::Conversion,
                format!(
                    "the Volt has {one:?} and {other:?}, which are the same file on the disk of `{}`, because it \
                     ignores case: rename one",
                    root.display()
                ),
            ));
        }
        let (folders, files): (Vec<File>, Vec<File>) =
            found.into_iter().partition(|file| file.is_directory);
        for folder in &folders {
            let names = local::safe_names(&folder.file_path)?;
            let create = async { local::ensure_folder(&local::place(root, &names).await?).await };
            self.settings.until(create).await?;
        }
        self.progress.set_total(files.iter().map(|file| file.size).sum());
        let downloads = files.into_iter().map(|file| async move {
            let names = local::safe_names(&file.file_path)?;
            let path = self.settings.until(local::place(root, &names)).await?;
            self.file(&ResourcePath::new(id, &file.file_path), &path).await
        });
        let downloads = stream::iter(downloads).buffer_unordered(self.concurrency);
        downloads.try_fold(0, |sum, bytes| async move { Ok(sum + bytes) }).await
    }

    async fn file(&self, source: &ResourcePath, path: &Path) -> Result<u64> {
        let attempt = || async move {
            let (partial, mut file) = self.settings.until(Partial::create(path)).await?;
            let bytes = self.copy(source, &mut file).await?;
            self.settings.until(partial.complete(file)).await?;
            Ok(bytes)
        };
        retried(&self.settings, self.retries, attempt).await
    }

    /// Copies the content of a file once, and verifies it.
    async fn copy(
        &self,
        source: &ResourcePath,
        writer: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<u64> {
        let file = stat(&self.client, &self.settings, source).await?;
        let size = file.size;
        self.progress.set_total_if_unknown(size);
        let (client, settings) = (self.client.clone(), self.settings.clone());
        let mut blocks = Blocks::open(client, settings, file, self.progress.clone()).await?;
        let unwritable = |error| local("the target cannot be written", error);
        while let Some(block) = blocks.next().await? {
            let written = async { writer.write_all(&block).await.map_err(unwritable) };
            self.settings.until(written).await?;
        }
        self.settings.until(async { writer.flush().await.map_err(unwritable) }).await?;
        Ok(size)
    }
}

impl fmt::Debug for ToWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToWriter")
    }
}
