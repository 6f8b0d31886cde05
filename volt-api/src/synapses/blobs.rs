//! Blobs, identified by the hash of their content.

use std::{
    fmt,
    future::IntoFuture,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use aws_lc_rs::digest::{self, Context, SHA256};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::{
    fs,
    io::{AsyncRead, AsyncReadExt as _},
};
use volt_runtime::{Error, ErrorKind, Executed, Result, transport::BoxFuture};

use crate::{
    operation::{Operation, Settings},
    progress::Progress,
    volt::{
        GetSynapseBlobRequest, HasSynapseBlobRequest, PutSynapseBlobRequest, PutSynapseBlobStart,
        SyncApiClient, get_synapse_blob_response::Payload,
    },
};

/// The size of a block, in bytes.
const BLOCK: usize = 256 << 10;

/// A blob in a synapse.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blob {
    /// The SHA-256 digest of the content as base64url, by which the blob is found.
    pub hash: String,
    /// The size in bytes.
    pub size: u64,
}

/// The target of a blob, created by [`SyncApiClient::put_blob`]. Choose the content.
#[derive(Debug)]
#[must_use = "choose the content"]
pub struct PutBlobTo {
    client: SyncApiClient,
    synapse: String,
}

/// A blob that has not been stored yet. Await it for the [`Blob`].
pub type PutBlob = Operation<BlobContent>;

/// The kind of a [`PutBlob`].
#[derive(Debug)]
pub struct BlobContent {
    to: PutBlobTo,
    content: Content,
    progress: Progress,
}

enum Content {
    Bytes(Vec<u8>),
    Path(PathBuf),
}

/// A blob that has not been read yet, created by [`SyncApiClient::get_blob`]. Await it for its bytes.
pub type GetBlob = Operation<ReadBlob>;

/// The kind of a [`GetBlob`].
#[derive(Debug)]
pub struct ReadBlob {
    client: SyncApiClient,
    synapse: String,
    hash: String,
    progress: Progress,
}

/// A lookup that has not been made yet, created by [`SyncApiClient::has_blob`].
pub type HasBlob = Operation<LookForBlob>;

/// The kind of a [`HasBlob`].
#[derive(Debug)]
pub struct LookForBlob {
    client: SyncApiClient,
    request: HasSynapseBlobRequest,
}

impl SyncApiClient {
    /// Stores a blob in a synapse. Nothing is sent if the synapse has it already.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// let blob = client.sync().put_blob("@garden").from_bytes("hello").await?;
    /// println!("{}", blob.hash);
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_blob(&self, synapse: impl Into<String>) -> PutBlobTo {
        PutBlobTo { client: self.clone(), synapse: synapse.into() }
    }

    /// Returns the content of a blob, whose digest is verified.
    pub fn get_blob(&self, synapse: impl Into<String>, hash: impl Into<String>) -> GetBlob {
        Operation::new(ReadBlob {
            client: self.clone(),
            synapse: synapse.into(),
            hash: hash.into(),
            progress: Progress::default(),
        })
    }

    /// Returns whether a synapse has a blob.
    pub fn has_blob(&self, synapse: impl Into<String>, hash: impl Into<String>) -> HasBlob {
        let request = HasSynapseBlobRequest::default().with_synapse_id(synapse).with_hash(hash);
        Operation::new(LookForBlob { client: self.clone(), request })
    }
}

#[allow(clippy::wrong_self_convention, reason = "the names state the source of the content")]
impl PutBlobTo {
    /// Stores bytes.
    pub fn from_bytes(self, bytes: impl Into<Vec<u8>>) -> PutBlob {
        self.from(Content::Bytes(bytes.into()))
    }

    /// Stores the content of a file of this machine. It is read twice: for its hash, and to send it.
    pub fn from_path(self, path: impl Into<PathBuf>) -> PutBlob {
        self.from(Content::Path(path.into()))
    }

    fn from(self, content: Content) -> PutBlob {
        Operation::new(BlobContent { to: self, content, progress: Progress::default() })
    }
}

impl PutBlob {
    /// Calls a function with the number of bytes sent so far and in total. The number never decreases; the
    /// last report is the total, when the synapse has the blob.
    pub fn on_progress(mut self, report: impl FnMut(u64, Option<u64>) + Send + 'static) -> Self {
        self.kind.progress = Progress::new(report);
        self
    }

    async fn run(self) -> Result<Blob> {
        let settings = self.settings.start();
        let BlobContent { to, content, progress } = self.kind;
        let (digest, size) = match &content {
            Content::Bytes(bytes) => (digest::digest(&SHA256, bytes), bytes.len() as u64),
            Content::Path(path) => settings.until(digest_of(path)).await?,
        };
        let blob = Blob { hash: URL_SAFE_NO_PAD.encode(digest), size };
        progress.set_total(size);
        match &content {
            Content::Bytes(bytes) => to.send(&settings, &blob, &mut &**bytes, &progress).await?,
            Content::Path(path) => {
                let mut file =
                    fs::File::open(path).await.map_err(|error| unreadable(path, error))?;
                to.send(&settings, &blob, &mut file, &progress).await?;
            }
        }
        progress.finish();
        Ok(blob)
    }
}

impl PutBlobTo {
    /// Sends the content until all is sent or the Volt reports that it has the blob.
    async fn send(
        &self,
        settings: &Settings,
        blob: &Blob,
        content: &mut (dyn AsyncRead + Send + Unpin),
        progress: &Progress,
    ) -> Result<()> {
        let call = settings.apply(self.client.put_synapse_blob()).await?;
        let (mut requests, mut responses) = call.into_split();
        let start = PutSynapseBlobStart::default()
            .with_synapse_id(&self.synapse)
            .with_hash(&blob.hash)
            .with_size(blob.size);
        let exists = AtomicBool::new(false);
        let mut counted = progress.file();
        let send = async {
            let start = PutSynapseBlobRequest::default().with_start(start);
            let mut next = Some((start, 0));
            let mut blocks = 0_u32;
            while let Some((request, bytes)) = next {
                if exists.load(Ordering::Relaxed) {
                    break;
                }
                if let Err(error) = requests.send(request).await {
                    return Ok((blocks, Some(error)));
                }
                if bytes > 0 {
                    counted.add(bytes);
                    blocks += 1;
                }
                let block = settings.until(read(content)).await?;
                next = (!block.is_empty()).then(|| {
                    let bytes = block.len();
                    (PutSynapseBlobRequest::default().with_block(block), bytes)
                });
            }
            requests.half_close();
            Ok((blocks, None))
        };
        let receive = async {
            let mut stored = 0;
            while let Some(response) = responses.message().await? {
                stored = stored.max(response.ack);
                exists.fetch_or(response.exists, Ordering::Relaxed);
            }
            Ok::<_, Error>(stored)
        };
        // The responses contain the reason for the end of the call, so their error takes precedence.
        let ((blocks, failed), stored) = tokio::try_join!(send, receive)?;
        let there = exists.load(Ordering::Relaxed) || (failed.is_none() && stored >= blocks);
        // Other Volts may count differently, so ask the synapse.
        if !there && !self.client.has_blob(&self.synapse, &blob.hash).ask(settings).await? {
            return Err(failed.unwrap_or_else(|| {
                let message = format!("the synapse does not have the blob `{}`", blob.hash);
                Error::protocol(message)
            }));
        }
        counted.keep();
        Ok(())
    }
}

impl GetBlob {
    /// Calls a function with the number of bytes received so far; the total is known at the end.
    pub fn on_progress(mut self, report: impl FnMut(u64, Option<u64>) + Send + 'static) -> Self {
        self.kind.progress = Progress::new(report);
        self
    }

    async fn run(self) -> Result<Vec<u8>> {
        let settings = self.settings.start();
        let ReadBlob { client, synapse, hash, progress } = self.kind;
        let expected = URL_SAFE_NO_PAD.decode(hash.trim_end_matches('=')).unwrap_or_default();
        if expected.len() != SHA256.output_len() {
            return Err(Error::configuration(format!(
                "`{hash}` is not the hash of a blob: expected a SHA-256 digest as base64url"
            )));
        }
        let request = GetSynapseBlobRequest::default().with_synapse_id(synapse).with_hash(&hash);
        let mut responses = settings.apply(client.get_synapse_blob(request)).await?;
        let (mut content, mut digest) = (Vec::new(), Context::new(&SHA256));
        let mut received = progress.file();
        while let Some(response) = responses.message().await? {
            if let Some(Payload::Block(block)) = response.payload {
                digest.update(&block);
                received.add(block.len());
                content.extend_from_slice(&block);
            }
        }
        if digest.finish().as_ref() != expected {
            let message =
                format!("the content of the blob `{hash}` has a different SHA-256 digest");
            return Err(Error::new(ErrorKind::Conversion, message));
        }
        received.keep();
        progress.finish();
        Ok(content)
    }
}

impl HasBlob {
    async fn ask(self, settings: &Settings) -> Result<bool> {
        let LookForBlob { client, request } = self.kind;
        let call = settings.apply(client.has_synapse_blob(request)).idempotent();
        Ok(call.await?.exists)
    }
}

impl IntoFuture for PutBlob {
    type Output = Result<Blob>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the file cannot be read ([`ErrorKind::Io`]), the Volt refuses the blob, or does not
    /// have it afterwards. Storing it again is harmless.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the synapse has the whole blob or nothing of it.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl IntoFuture for GetBlob {
    type Output = Result<Vec<u8>>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the synapse does not have the blob, or its content does not have the hash
    /// ([`ErrorKind::Conversion`]).
    ///
    /// # Cancel safety
    ///
    /// Reading changes nothing.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl IntoFuture for HasBlob {
    type Output = Result<bool>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if there is no such synapse, or the Volt refuses the call.
    ///
    /// # Cancel safety
    ///
    /// Reading changes nothing.
    fn into_future(mut self) -> Self::IntoFuture {
        let settings = std::mem::take(&mut self.settings).start();
        Box::pin(async move { self.ask(&settings).await })
    }
}

/// Returns the hash by which a blob with this content is found: its SHA-256 digest as base64url.
pub fn blob_hash(content: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&SHA256, content))
}

async fn digest_of(path: &Path) -> Result<(digest::Digest, u64)> {
    let mut file = fs::File::open(path).await.map_err(|error| unreadable(path, error))?;
    let (mut context, mut size) = (Context::new(&SHA256), 0);
    loop {
        let block = read(&mut file).await?;
        if block.is_empty() {
            return Ok((context.finish(), size));
        }
        context.update(&block);
        size += block.len() as u64;
    }
}

/// Reads a block, which is empty only at the end.
async fn read(content: &mut (dyn AsyncRead + Send + Unpin)) -> Result<Vec<u8>> {
    let mut block = Vec::with_capacity(BLOCK);
    match content.take(BLOCK as u64).read_to_end(&mut block).await {
        Ok(_) => Ok(block),
        Err(error) => {
            let problem = "the content of the blob cannot be read";
            Err(Error::new(ErrorKind::Io, problem).with_source(error))
        }
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("`{}` cannot be read", path.display()))
        .with_source(error)
        .with_executed(Executed::No)
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Path(path) => path.fmt(f),
        }
    }
}
