//! Calls whose types are known only at run time.
//!
//! They are the calls of this module without their types: messages are sent as [`Payload`] and received as
//! [`Body`]. The caller reads the bodies, and finds refusals in them.

use std::{future::poll_fn, sync::Arc};

use serde_json::Value;

use super::{
    builder::CallBuilder,
    parts::Parts,
    sink::RawSink,
    streaming::{RawStreaming, read_single_with},
};
use crate::{
    channel::Channel,
    error::Result,
    message::{Body, Payload, ToJson},
    method::Method,
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

    /// Sets how responses are converted to JSON, for [records](Channel::record) of calls whose transport
    /// carries protobuf.
    pub fn response_json(
        self,
        convert: impl Fn(&Body) -> Result<Value> + Send + Sync + 'static,
    ) -> Self {
        let convert = ToJson::Untyped(Arc::new(convert));
        Self::with_parts(self.into_parts().responding_with(convert), Untyped(()))
    }

    /// Makes a unary call, with retries, and reads its response.
    ///
    /// # Errors
    ///
    /// The errors of a [`UnaryCall`](super::UnaryCall) and of `read`, such as a refusal within the
    /// response.
    ///
    /// # Cancel safety
    ///
    /// As for a [`UnaryCall`](super::UnaryCall).
    pub async fn unary<T>(
        self,
        request: Box<dyn Payload>,
        read: impl FnOnce(Body) -> Result<T>,
    ) -> Result<T> {
        let parts = self.into_parts();
        let method = parts.method;
        read_single_with(method, parts.unary(request).await?, read)
    }

    /// Opens a call of any kind.
    ///
    /// # Errors
    ///
    /// Same as for a [`BidiCall`](super::BidiCall).
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
    // This half is dropped first, so that dropping the call cancels it rather than half-closing it.
    stream: RawStreaming,
    sink: RawSink,
}

impl UntypedDuplex {
    /// Sends a message, waiting while the connection is slow.
    ///
    /// # Errors
    ///
    /// Same as [`Duplex::send`](super::Duplex::send).
    ///
    /// # Cancel safety
    ///
    /// A message is sent whole or, if the future is dropped while it waits, not at all.
    pub async fn send(&mut self, message: &dyn Payload) -> Result<()> {
        if let Err(error) = poll_fn(|cx| self.sink.poll_ready(cx)).await {
            let stream = &mut self.stream;
            // The receiving half knows why the call ended.
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

    /// Half-closes a call with a single response, and reads it.
    ///
    /// # Errors
    ///
    /// The errors of [`Upload::finish`](super::Upload::finish) and of `read`, such as a refusal
    /// within the response.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call.
    pub async fn finish<T>(mut self, read: impl FnOnce(Body) -> Result<T>) -> Result<T> {
        self.sink.half_close();
        let method = self.sink.method();
        read_single_with(method, self.stream.single().await?, read)
    }

    /// Reads the next response. Returns `None` after a clean end.
    ///
    /// # Errors
    ///
    /// The errors of [`Streaming::message`](super::Streaming::message) and of `read`, such as a
    /// refusal within the response. They fail the call.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn message<T>(&mut self, read: impl FnOnce(Body) -> Result<T>) -> Result<Option<T>> {
        match poll_fn(|cx| self.stream.poll_body(cx)).await? {
            Some(body) => read(body).map(Some).map_err(|error| self.stream.fail(error)),
            None => Ok(None),
        }
    }
}
