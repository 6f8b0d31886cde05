//! A client-streaming call.
//!
//! The response is due after the last request. If one arrives earlier, it is kept for `finish`; a refusal
//! fails the next `send`, so that a rejected upload stops early.

use std::{
    future::poll_fn,
    marker::PhantomData,
    task::{Poll, ready},
};

use futures_core::Stream;
use futures_util::StreamExt as _;

use super::{
    sink::RawSink,
    streaming::{RawStreaming, read_single, refusal},
};
use crate::{
    error::Result,
    message::{Body, Message, Payload},
    status::Status,
};

/// A call that sends a stream of requests and receives one response, from [`finish`](Self::finish).
///
/// Dropping it before that cancels the call: the Volt never sees it as a clean end, and may discard
/// messages that were accepted.
///
/// ```no_run
/// # use volt_runtime::{ClientStreamingCall, Message, Result};
/// # async fn example<Q: Message, S: Message>(call: ClientStreamingCall<Q, S>, parts: Vec<Q>) -> Result<S> {
/// let mut upload = call.await?;
/// for part in parts {
///     upload.send(part).await?;
/// }
/// let response = upload.finish().await?;
/// # Ok(response)
/// # }
/// ```
#[derive(Debug)]
pub struct Upload<Req, Res> {
    // This half is dropped first, so that dropping the call cancels it.
    stream: RawStreaming,
    sink: RawSink,
    types: PhantomData<fn(Req) -> Res>,
}

impl<Req: Message, Res: Message> Upload<Req, Res> {
    pub(super) fn new(sink: RawSink, stream: RawStreaming) -> Self {
        Self { stream, sink, types: PhantomData }
    }

    /// Sends a message, waiting while the connection is slow. `Ok` means accepted, not delivered:
    /// only [`finish`](Self::finish) reports that the Volt has processed it.
    ///
    /// # Errors
    ///
    /// Fails with the Volt's own reason if the Volt has already refused or the call has failed. If
    /// the Volt has ended the call with a response, the error is of
    /// [`ErrorKind::Ended`](crate::ErrorKind), and [`finish`](Self::finish) returns the response.
    ///
    /// # Cancel safety
    ///
    /// A message is sent whole or, if the future is dropped while it waits, not at all.
    pub async fn send(&mut self, message: Req) -> Result<()> {
        send(&mut self.sink, &mut self.stream, &message, refusal::<Res>).await
    }

    /// Sends all messages of a stream and finishes. The stream is polled only when the last message was
    /// accepted, so a slow connection slows down the source.
    ///
    /// # Errors
    ///
    /// Same as [`send`](Self::send) and [`finish`](Self::finish).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call.
    pub async fn send_all(mut self, messages: impl Stream<Item = Req> + Send) -> Result<Res> {
        let mut messages = std::pin::pin!(messages);
        while let Some(message) = messages.next().await {
            self.send(message).await?;
        }
        self.finish().await
    }

    /// Half-closes and waits for the response.
    ///
    /// # Errors
    ///
    /// Fails if the Volt refuses or the call fails. On a connection, also fails if no message was
    /// sent, because the first message names the method.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call; the Volt may have executed it.
    pub async fn finish(self) -> Result<Res> {
        let Self { mut stream, mut sink, .. } = self;
        sink.half_close();
        read_single(sink.method(), stream.single().await?)
    }
}

/// Sends a message, compiled once for all types. `refusal` extracts a refusal from a response.
async fn send(
    sink: &mut RawSink,
    stream: &mut RawStreaming,
    message: &dyn Payload,
    refusal: fn(&Body) -> Option<Status>,
) -> Result<()> {
    poll_fn(|cx| {
        // If the Volt has already refused, do not send the rest.
        let refused = match stream.poll_peek(cx) {
            Poll::Ready(Ok(body)) => body.and_then(refusal),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => None,
        };
        if let Some(status) = refused {
            return Poll::Ready(Err(stream.refused(status)));
        }
        let ready = ready!(sink.poll_ready(cx));
        // The reason may have arrived after the check above.
        Poll::Ready(ready.map_err(|error| stream.reason_for(error, refusal, cx)))
    })
    .await?;
    sink.send(message)
}
