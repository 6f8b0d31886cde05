//! Calls whose types are known only at run time.
//!
//! They are the calls of this module without their types: messages go out as [`Payload`] and come in as
//! [`Body`]. Who makes them looks for refusals in responses.

use std::future::poll_fn;

use super::{builder::CallBuilder, parts::Parts, sink::RawSink, streaming::RawStreaming};
use crate::{
    channel::Channel,
    error::Result,
    message::{Body, Payload},
    method::Method,
    transport::BoxFuture,
};

/// The kind of an [`UntypedCall`].
#[derive(Clone, Copy, Debug)]
pub struct Untyped(());

/// A call of any kind, whose messages have no Rust type. `volt_api::Client::call` makes them.
pub type UntypedCall = CallBuilder<Untyped>;

impl UntypedCall {
    /// Creates the call.
    pub fn new(channel: &Channel, method: &'static Method) -> Self {
        Self::with_parts(Parts::new(channel, method), Untyped(()))
    }

    /// Makes a unary call, with retries, and returns its response.
    ///
    /// # Errors
    ///
    /// As for a [`UnaryCall`](super::UnaryCall). A refusal within the response is not looked for.
    ///
    /// # Cancel safety
    ///
    /// As for a [`UnaryCall`](super::UnaryCall).
    pub fn unary(self, request: Box<dyn Payload>) -> BoxFuture<Result<Body>> {
        self.into_parts().unary(request)
    }

    /// Opens a call of any kind.
    ///
    /// # Errors
    ///
    /// As for a [`BidiCall`](super::BidiCall).
    ///
    /// # Cancel safety
    ///
    /// As for a [`BidiCall`](super::BidiCall).
    pub async fn open(self) -> Result<UntypedDuplex> {
        let (sink, stream) = self.into_parts().streaming().await?;
        Ok(UntypedDuplex { stream, sink })
    }
}

/// Both halves of an [`UntypedCall`]. Dropping it cancels the call.
#[derive(Debug)]
pub struct UntypedDuplex {
    // Dropped first, so that dropping the whole cancels rather than half-closes.
    stream: RawStreaming,
    sink: RawSink,
}

impl UntypedDuplex {
    /// Sends a message, waiting while the connection is slow.
    ///
    /// # Errors
    ///
    /// As [`Duplex::send`](super::Duplex::send).
    ///
    /// # Cancel safety
    ///
    /// A message is sent whole or, if the future is dropped while it waits, not at all.
    pub async fn send(&mut self, message: &dyn Payload) -> Result<()> {
        if let Err(error) = poll_fn(|cx| self.sink.poll_ready(cx)).await {
            let stream = &mut self.stream;
            // The receiving half knows why the call has ended.
            let reason = poll_fn(|cx| {
                std::task::Poll::Ready(stream.reason_for(error.clone(), |_| None, cx))
            });
            return Err(reason.await);
        }
        self.sink.send(message)
    }

    /// Half-closes the call: no more requests follow.
    pub fn half_close(&mut self) {
        self.sink.half_close();
    }

    /// Reads the next response. Returns `None` after a clean end.
    ///
    /// # Errors
    ///
    /// As [`Streaming::message`](super::Streaming::message), except for refusals within responses.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn message(&mut self) -> Result<Option<Body>> {
        poll_fn(|cx| self.stream.poll_body(cx)).await
    }
}
