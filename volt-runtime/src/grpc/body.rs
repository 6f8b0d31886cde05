//! The outgoing body of a request or response, and the bounded queue behind it.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use hyper::{
    body::{Body, Frame},
    http::HeaderMap,
};

#[cfg(feature = "server")]
use super::budget::{Account, Budget};
use crate::{
    Error, ErrorKind,
    queue::{Popped, Queue, register},
};

/// The number of bytes that a call buffers before its sender waits.
const BUFFER: usize = 256 << 10;

/// The size up to which messages that wait together leave in one DATA frame: the size of a frame.
/// Receivers limit the number of small frames.
const FRAME: usize = 16 << 10;

/// A part of a body.
enum Part {
    /// A message with its prefix.
    Message(Bytes),
    /// A server's status. Nothing follows.
    Trailers(HeaderMap),
}

/// The queue between a sending half and the [`Outgoing`] body that HTTP/2 reads.
pub(crate) struct Pipe {
    parts: Queue<Part>,
    reader: Mutex<Reader>,
    /// The reason why a message could not be written.
    failure: OnceLock<Error>,
    /// Counts the answers of a server's call.
    #[cfg(feature = "server")]
    account: Option<Arc<Account>>,
}

/// The state of the body's reader.
#[derive(Default)]
struct Reader {
    gone: bool,
    waker: Option<Waker>,
}

impl Pipe {
    /// Creates a queue and the body that reads it.
    pub(crate) fn new() -> (Arc<Self>, Outgoing) {
        Self {
            parts: Queue::new(BUFFER),
            reader: Mutex::default(),
            failure: OnceLock::new(),
            #[cfg(feature = "server")]
            account: None,
        }
        .into_halves()
    }

    /// Like [`new`](Self::new), for the answers of a call, which count for its connection.
    #[cfg(feature = "server")]
    pub(crate) fn counted(budget: &Arc<Budget>) -> (Arc<Self>, Outgoing) {
        Self {
            parts: Queue::new(BUFFER),
            reader: Mutex::default(),
            failure: OnceLock::new(),
            account: Some(Account::new(Arc::clone(budget))),
        }
        .into_halves()
    }

    fn into_halves(self) -> (Arc<Self>, Outgoing) {
        let pipe = Arc::new(self);
        let body = Outgoing { pipe: Arc::clone(&pipe), next: None };
        (pipe, body)
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        // Each change is a single operation, so the state is consistent even if the lock is poisoned.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for a message.
    ///
    /// # Errors
    ///
    /// Fails if the body has ended or is no longer read.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // Check this before the budget, because a call that has ended never waits.
        std::task::ready!(self.parts.poll_room(cx))
            .map_err(|reason| reason.unwrap_or_else(Error::ended))?;
        #[cfg(feature = "server")]
        if let Some(account) = &self.account {
            return account.poll_room(cx).map(Ok);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn push(&self, message: Bytes) {
        let length = message.len();
        self.parts.push(Part::Message(self.counted_bytes(message)), length);
    }

    /// Counts bytes until they are written.
    fn counted_bytes(&self, bytes: Bytes) -> Bytes {
        #[cfg(feature = "server")]
        if let Some(account) = &self.account {
            return account.hold(bytes);
        }
        bytes
    }

    /// Ends the body: a client's half-close.
    pub(crate) fn end(&self) {
        self.parts.close(None);
    }

    /// Ends the body with a server's status.
    pub(crate) fn end_with(&self, trailers: HeaderMap) {
        self.parts.push(Part::Trailers(trailers), 0);
        self.parts.close(None);
    }

    /// Drops the queued messages and resets the stream with `CANCEL`.
    pub(crate) fn cancel(&self) {
        // Most calls end after their body was read to its end.
        if self.reader().gone {
            return;
        }
        let cancelled = Error::new(ErrorKind::Ended, "the call was cancelled")
            .with_source(h2::Error::from(h2::Reason::CANCEL));
        self.parts.close(Some(cancelled));
        self.parts.abandon();
    }

    /// Resets the stream because a message cannot be written.
    pub(super) fn fail(&self, reason: Error) {
        // The first reason wins.
        let _ = self.failure.set(reason);
        self.cancel();
    }

    /// Returns why a message could not be written.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failure.get()
    }

    /// Waits until the body is no longer read: it was read to its end, its stream was reset, or its
    /// connection is lost. One task may wait.
    pub(crate) fn poll_gone(&self, cx: &Context<'_>) -> Poll<()> {
        let mut reader = self.reader();
        if reader.gone {
            return Poll::Ready(());
        }
        register(&mut reader.waker, cx);
        Poll::Pending
    }
}

/// The body of a request or response, with one frame for each message.
pub(crate) struct Outgoing {
    pipe: Arc<Pipe>,
    /// The part that was read ahead, so that the last message and the end of the stream leave in one frame.
    next: Option<Popped<Part>>,
}

impl Outgoing {
    /// Returns a body that is known to be empty before it is read.
    #[cfg(feature = "server")]
    pub(crate) fn without_content(mut self) -> Self {
        self.next = Some(Popped::Closed(None));
        self
    }

    /// Adds the small messages that wait behind a message. Bytes that do not fit are kept for later.
    fn with_followers(&mut self, message: Bytes, cx: &mut Context<'_>) -> Bytes {
        let (mut first, mut frame) = (message, Vec::new());
        while let Poll::Ready(next) = self.pipe.parts.poll_pop(cx) {
            match next {
                Popped::Item(Part::Message(next))
                    if first.len() + frame.len() + next.len() <= FRAME =>
                {
                    // A single message is not copied.
                    if frame.is_empty() {
                        frame = Vec::from(std::mem::take(&mut first));
                    }
                    frame.extend_from_slice(&next);
                }
                next => {
                    self.next = Some(next);
                    break;
                }
            }
        }
        if frame.is_empty() { first } else { self.pipe.counted_bytes(frame.into()) }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let part = match self.next.take() {
            Some(part) => part,
            None => std::task::ready!(self.pipe.parts.poll_pop(cx)),
        };
        Poll::Ready(match part {
            Popped::Item(Part::Message(message)) => {
                Some(Ok(Frame::data(self.with_followers(message, cx))))
            }
            Popped::Item(Part::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Popped::Closed(None) => None,
            Popped::Closed(Some(reason)) => Some(Err(reason)),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.next, Some(Popped::Closed(None)))
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.pipe.parts.abandon();
        let mut reader = self.pipe.reader();
        reader.gone = true;
        let waker = reader.waker.take();
        drop(reader);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use tokio::time::timeout;

    use super::*;

    async fn frame(body: &mut Outgoing) -> Option<Result<Frame<Bytes>, Error>> {
        poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
    }

    #[tokio::test]
    async fn small_messages_leave_together_and_the_last_carries_the_end() {
        let (pipe, mut body) = Pipe::new();
        for text in ["one", "two", "three"] {
            pipe.push(Bytes::from_static(text.as_bytes()));
        }
        pipe.push(vec![7; FRAME].into());
        pipe.push(Bytes::from_static(b"last"));
        pipe.end();
        let mut data = async || frame(&mut body).await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(data().await, "onetwothree");
        assert_eq!(data().await, vec![7; FRAME]);
        assert_eq!(data().await, "last");
        assert!(body.is_end_stream());
        assert!(frame(&mut body).await.is_none());
    }

    #[tokio::test]
    async fn trailers_follow_the_messages() {
        let (pipe, mut body) = Pipe::new();
        pipe.push(Bytes::from_static(b"one"));
        pipe.end_with(HeaderMap::new());
        assert!(frame(&mut body).await.unwrap().unwrap().is_data());
        assert!(!body.is_end_stream());
        assert!(frame(&mut body).await.unwrap().unwrap().is_trailers());
        assert!(frame(&mut body).await.is_none());
    }

    #[tokio::test]
    async fn a_cancelled_body_drops_its_messages_and_names_the_reason() {
        let (pipe, mut body) = Pipe::new();
        pipe.push(Bytes::from_static(b"one"));
        pipe.cancel();
        let error = frame(&mut body).await.unwrap().unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        let reason = source.downcast_ref::<h2::Error>().and_then(h2::Error::reason);
        assert_eq!(reason, Some(h2::Reason::CANCEL));
    }

    #[tokio::test]
    async fn a_full_queue_makes_its_sender_wait_until_the_reader_leaves() {
        let (pipe, body) = Pipe::new();
        poll_fn(|cx| pipe.poll_room(cx)).await.unwrap();
        pipe.push(vec![0; BUFFER].into());
        let room = poll_fn(|cx| Poll::Ready(pipe.poll_room(cx))).await;
        assert!(room.is_pending());
        let gone = poll_fn(|cx| Poll::Ready(pipe.poll_gone(cx))).await;
        assert!(gone.is_pending());
        drop(body);
        let error = poll_fn(|cx| pipe.poll_room(cx)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ended);
        timeout(Duration::from_secs(20), poll_fn(|cx| pipe.poll_gone(cx))).await.unwrap();
    }
}
