//! The content of one file, in blocks.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use volt_runtime::{Error, Result, Streaming, transport::BoxFuture};

use super::check::{Summary, differs};
use crate::{
    operation::Settings,
    progress::{FileProgress, Progress},
    volt::{
        DownloadFileRequest, DownloadFileResponse, File, FileApiClient,
        download_file_response::Payload,
    },
};

/// One attempt to download a file.
pub(super) struct Blocks {
    client: FileApiClient,
    settings: Settings,
    file: File,
    responses: Streaming<DownloadFileResponse>,
    progress: Progress,
    /// `None` after the end.
    running: Option<(Summary, FileProgress)>,
}

impl Blocks {
    pub(super) async fn open(
        client: FileApiClient,
        settings: Settings,
        file: File,
        progress: Progress,
    ) -> Result<Self> {
        if file.is_directory {
            return Err(Error::configuration(format!(
                "`{}` is a folder: download it with `to_path`",
                file.file_name
            )));
        }
        let request = DownloadFileRequest::default().with_resource_id(&file.resource_id);
        let responses = settings.apply(client.download_file(request)).await?;
        let running = Some((Summary::new(), progress.file()));
        Ok(Self { client, settings, file, responses, progress, running })
    }

    /// Reports the end of a download that consists of this file only.
    fn finish(&self) {
        self.progress.finish();
    }

    /// Reads the next block. Returns `None` after the last one, if the content matches the Volt's
    /// file.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let Some((summary, progress)) = &mut self.running else { return Ok(None) };
            let Some(response) = self.responses.message().await? else { break };
            if let Some(Payload::Block(block)) = response.payload {
                summary.add(&block);
                if summary.size() > self.file.size {
                    return Err(differs("it is longer than the Volt reported"));
                }
                progress.add(block.len());
                return Ok(Some(block));
            }
        }
        if let Some((summary, progress)) = self.running.take() {
            summary.verify(&self.client, &self.settings, &self.file.resource_id).await?;
            progress.keep();
        }
        Ok(None)
    }
}

/// The content of a file in blocks, whose length the Volt chooses. Also a [`Stream`]. Dropping it
/// cancels the download.
///
/// The end of the stream means that the content is complete and matches the Volt's file; everything
/// else is an error.
pub struct FileStream {
    size: u64,
    state: State,
}

/// The source of a block, and the outcome of reading it.
type Reading = (Box<Blocks>, Result<Option<Vec<u8>>>);

enum State {
    /// Boxed, because a future that reads the next block owns it meanwhile.
    Idle(Box<Blocks>),
    Reading(BoxFuture<Reading>),
    Ended,
    Failed(Error),
}

impl FileStream {
    pub(super) fn new(blocks: Blocks) -> Self {
        Self { size: blocks.file.size, state: State::Idle(Box::new(blocks)) }
    }

    /// The number of bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads the next block. Returns `None` after the last.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost, the Volt fails, or the content differs from the Volt's file.
    /// Later reads return the same error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn block(&mut self) -> Result<Option<Vec<u8>>> {
        std::future::poll_fn(|cx| self.poll_block(cx)).await
    }

    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<u8>>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Idle(mut blocks) => {
                    self.state = State::Reading(Box::pin(async move {
                        let block = blocks.next().await;
                        (blocks, block)
                    }));
                }
                State::Reading(mut reading) => {
                    let Poll::Ready((blocks, block)) = reading.as_mut().poll(cx) else {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    };
                    match &block {
                        Ok(Some(_)) => self.state = State::Idle(blocks),
                        Ok(None) => blocks.finish(),
                        Err(error) => self.state = State::Failed(error.clone()),
                    }
                    return Poll::Ready(block);
                }
                State::Ended => return Poll::Ready(Ok(None)),
                State::Failed(error) => {
                    self.state = State::Failed(error.clone());
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl Stream for FileStream {
    type Item = Result<Vec<u8>>;

    /// Ends after an error, which [`block`](Self::block) returns again.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let State::Failed(_) = self.state {
            return Poll::Ready(None);
        }
        self.poll_block(cx).map(Result::transpose)
    }
}

impl fmt::Debug for FileStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStream").field("size", &self.size).finish_non_exhaustive()
    }
}
