//! Both halves of a bidirectional call.
//!
//! A [`Duplex`] is a [`RequestSink`] and a [`Streaming`] in one value. Together they report more: a failed
//! `send` returns the Volt's own reason, which only the receiving half knows.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::{sink::RequestSink, streaming::Streaming};
use crate::{error::Result, message::Message};

/// Both halves of a bidirectional call.
///
/// Dropping it cancels the call, and the Volt may then discard messages that were accepted. A call that
/// only sends is the exception: half-closed and never read, it ends by itself after the Volt has
/// processed its messages; see [the module](crate::call). [`into_split`](Self::into_split) splits it
/// for two tasks.
///
/// ```no_run
/// # use volt_runtime::{BidiCall, Message, Result};
/// # async fn publish<Q: Message, S: Message>(call: BidiCall<Q, S>, messages: Vec<Q>) -> Result<()> {
/// // let call = client.wire().publish_wire();
/// let mut duplex = call.await?;
/// for message in messages {
///     duplex.send(message).await?;
/// }
/// // Resolves after the Volt has processed all messages.
/// duplex.finish().await?;
/// # Ok(())
/// # }
///
/// # async fn converse<Q: Message, S: Message>(call: BidiCall<Q, S>, question: Q) -> Result<()> {
/// // Both directions at once: each half has its own task.
/// let (mut requests, mut responses) = call.await?.into_split();
/// tokio::spawn(async move {
///     requests.send(question).await?;
///     requests.half_close();
///     Ok::<_, volt_runtime::Error>(())
/// });
/// while let Some(response) = responses.message().await? {
///     println!("{response:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Duplex<Req, Res> {
    // This half is dropped first, so that dropping the call cancels it rather than half-closing it.
    responses: Streaming<Res>,
    requests: RequestSink<Req>,
}

impl<Req: Message, Res: Message> Duplex<Req, Res> {
    pub(super) fn new(requests: RequestSink<Req>, responses: Streaming<Res>) -> Self {
        Self { responses, requests }
    }

    /// Sends a message, waiting while the connection is slow. `Ok` means accepted, not delivered: only
    /// [`finish`](Self::finish) reports that the Volt has processed it. The first message invokes the
    /// method.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost, the deadline has passed, or the call has ended. If the Volt
    /// refused the call or failed it, the error is the Volt's own reason; after a clean end it is of
    /// [`ErrorKind::Ended`](crate::ErrorKind). Responses that arrived before can still be read.
    ///
    /// # Cancel safety
    ///
    /// A message is sent whole or, if the future is dropped while it waits, not at all.
    pub async fn send(&mut self, message: Req) -> Result<()> {
        match self.requests.ready().await {
            Ok(()) => self.requests.send_ready(&message),
            // The receiving half knows why the call has ended.
            Err(error) => Err(self.responses.reason_for(error).await),
        }
    }

    /// Reads the next response; see [`Streaming::message`].
    ///
    /// # Errors
    ///
    /// Same as [`Streaming::message`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn message(&mut self) -> Result<Option<Res>> {
        self.responses.message().await
    }

    /// Half-closes the call: tells the Volt that no more requests follow. Never waits. Responses may
    /// still arrive; sending after this fails. On a connection, a call without any message fails: its
    /// first message names the method. This does not report whether the Volt has processed the
    /// messages: [`finish`](Self::finish) does.
    pub fn half_close(&mut self) {
        self.requests.half_close();
    }

    /// Half-closes and waits until the Volt has ended the call, which means that it has processed every
    /// message. Returns the last response, if there was one; the others are discarded.
    ///
    /// # Errors
    ///
    /// Same as [`Streaming::message`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call; the Volt may have executed it.
    pub async fn finish(mut self) -> Result<Option<Res>> {
        self.half_close();
        let mut last = None;
        while let Some(response) = self.message().await? {
            last = Some(response);
        }
        Ok(last)
    }

    /// Splits the call into its halves, for two tasks.
    ///
    /// The drop order then belongs to the caller: dropping the [`Streaming`] first cancels the call,
    /// dropping the [`RequestSink`] first half-closes it.
    pub fn into_split(self) -> (RequestSink<Req>, Streaming<Res>) {
        (self.requests, self.responses)
    }
}

impl<Req: Message, Res: Message> Stream for Duplex<Req, Res> {
    type Item = Result<Res>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.responses).poll_next(cx)
    }
}
