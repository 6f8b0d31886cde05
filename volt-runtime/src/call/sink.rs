//! The sending half of a call.
//!
//! [`RawSink`] adds the deadline and the method's name to a transport's sending half. [`RequestSink`] adds
//! the type of the messages.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::Sink;
use tokio::time::Instant;

use super::end::CallEnd;
use crate::{
    error::{Error, Result},
    message::{Message, Payload},
    method::Method,
    time::Deadline,
    transport::SendHalf,
};

/// The untyped part, which is compiled once.
pub(super) struct RawSink {
    method: &'static Method,
    half: Box<dyn SendHalf>,
    deadline: Deadline,
    /// Shared with the receiving half, if the caller holds both.
    end: Option<Arc<CallEnd>>,
}

impl RawSink {
    pub(super) fn new(
        method: &'static Method,
        half: Box<dyn SendHalf>,
        deadline: Deadline,
    ) -> Self {
        Self { method, half, deadline, end: None }
    }

    /// Shares the end of the call with the receiving half.
    pub(super) fn share(&mut self, end: Arc<CallEnd>) {
        self.end = Some(end);
    }

    pub(super) fn method(&self) -> &'static Method {
        self.method
    }

    /// Waits until a message can be sent, until the deadline. The error is the best reason known.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let ready = match self.half.poll_ready(cx) {
            Poll::Pending => self.deadline.poll_passed(cx).map(Err),
            // A caller that always finds room would otherwise send beyond the deadline.
            Poll::Ready(Ok(())) if self.deadline.has_passed() => {
                Poll::Ready(Err(Deadline::error()))
            }
            ready @ Poll::Ready(_) => ready,
        };
        ready.map_err(|error| self.unready(error))
    }

    /// Completes the reason why nothing can be sent, and stores it for the receiving half.
    #[cold]
    fn unready(&self, error: Error) -> Error {
        let Some(end) = &self.end else { return error.with_method(self.method.path) };
        let error = end.reason_for(error).with_method(self.method.path);
        end.fail_sending(&error);
        error
    }

    pub(super) fn send(&mut self, message: &dyn Payload) -> Result<()> {
        self.half.send(message).map_err(|error| error.with_method(self.method.path))
    }

    pub(super) async fn send_when_ready(&mut self, message: &dyn Payload) -> Result<()> {
        poll_fn(|cx| self.poll_ready(cx)).await?;
        self.send(message)
    }

    /// Half-closes, and records that for the receiving half first: its drop may follow at once.
    pub(super) fn half_close(&mut self) {
        if let Some(end) = &self.end {
            end.half_close();
        }
        self.half.end(None);
    }

    /// Sends the first request of a stream. It leaves as soon as the key exchange is complete, which
    /// opening a stream does not wait for, even if the stream is read much later. Failures are
    /// reported when the stream is read. The receiving half keeps the returned sink.
    pub(super) fn send_first(mut self, request: Arc<dyn Payload>, requests: Requests) -> Self {
        let deadline = self.deadline.at().map(Instant::into_std);
        self.half.send_first(request, requests == Requests::One, deadline);
        self
    }
}

/// The requests of a call: only the first, or an open-ended stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Requests {
    One,
    KeepOpen,
}

impl fmt::Debug for RawSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSink").field("method", &self.method.path).finish_non_exhaustive()
    }
}

/// The requests of a bidirectional call. Also a [`Sink`]. Created by
/// [`Duplex::into_split`](super::Duplex::into_split).
///
/// Dropping it half-closes the call: the Volt sees the end of the requests, processes those that were
/// accepted, and may continue to answer. To cancel the call, drop its [`Streaming`](super::Streaming)
/// first.
#[derive(Debug)]
pub struct RequestSink<Req> {
    raw: RawSink,
    request: PhantomData<fn(Req)>,
}

impl<Req: Message> RequestSink<Req> {
    pub(super) fn new(raw: RawSink) -> Self {
        Self { raw, request: PhantomData }
    }

    /// Sends a message, waiting while the connection is slow. `Ok` means accepted, not delivered: see
    /// [the module](crate::call). The first message invokes the method.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost, the deadline has passed, or the call has ended. After the end,
    /// the error is the Volt's own reason once the [`Streaming`](super::Streaming) has read it, and
    /// until then one of [`ErrorKind::Ended`](crate::ErrorKind).
    ///
    /// # Cancel safety
    ///
    /// A message is sent whole or, if the future is dropped while it waits, not at all.
    pub async fn send(&mut self, message: Req) -> Result<()> {
        self.raw.send_when_ready(&message).await
    }

    pub(super) async fn ready(&mut self) -> Result<()> {
        poll_fn(|cx| self.raw.poll_ready(cx)).await
    }

    pub(super) fn send_ready(&mut self, message: &Req) -> Result<()> {
        self.raw.send(message)
    }

    /// Half-closes the call: tells the Volt that no more requests follow. Never waits. Sending after
    /// this fails. Dropping the sink does the same. To know that the Volt has processed all messages, read
    /// the responses until their end. Dropping the [`Streaming`](super::Streaming) unread after this
    /// does not cancel a call that only sends: see [the module](crate::call).
    pub fn half_close(&mut self) {
        self.raw.half_close();
    }
}

impl<Req> Drop for RequestSink<Req> {
    // Dropping does not cancel: a task that has sent everything may simply end.
    fn drop(&mut self) {
        self.raw.half_close();
    }
}

impl<Req: Message> Sink<Req> for RequestSink<Req> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.raw.poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Req) -> Result<()> {
        self.raw.send(&message)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        // The connection flushes whenever nothing more is queued.
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.raw.half_close();
        Poll::Ready(Ok(()))
    }
}
