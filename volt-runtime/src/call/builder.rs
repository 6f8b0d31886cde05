//! The builder of the four kinds of call.

use std::{future::IntoFuture, marker::PhantomData, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    duplex::Duplex,
    parts::Parts,
    sink::{RequestSink, Requests},
    streaming::{Streaming, read_single},
    subscription::Subscription,
    upload::Upload,
};
use crate::{
    channel::Channel,
    error::Result,
    message::Message,
    method::Method,
    options::{Overflow, Target},
    transport::BoxFuture,
};

/// A call that has not been made yet. Set its options, then await it.
///
/// `C` is one of the four kinds of call: [`UnaryCall`], [`ServerStreamingCall`],
/// [`ClientStreamingCall`] or [`BidiCall`].
#[derive(Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct CallBuilder<C> {
    parts: Parts,
    call: C,
}

impl<C> CallBuilder<C> {
    /// Limits the duration of the whole call, from opening it to its end. If a deadline is set too, the
    /// earlier of the two applies.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.parts.options.timeout = Some(timeout);
        self
    }

    /// Cancels the call at this moment.
    pub fn deadline(mut self, deadline: std::time::Instant) -> Self {
        self.parts.deadline = Some(Instant::from_std(deadline));
        self
    }

    /// Calls a service other than the Volt's own.
    pub fn service(mut self, target: impl Into<Target>) -> Self {
        self.parts.options.target = Some(target.into());
        self
    }

    /// Opens the call with its own token and ephemeral key; see [`CallOptions::fresh_key`](crate::options::CallOptions::fresh_key).
    pub fn fresh_key(mut self) -> Self {
        self.parts.options.fresh_key = true;
        self
    }

    /// Sets whether the call runs on its own connection; see
    /// [`CallOptions::own_connection`](crate::options::CallOptions::own_connection).
    pub fn own_connection(mut self, own: bool) -> Self {
        self.parts.options.own_connection = Some(own);
        self
    }

    /// Lets the call run on its own connection unless the channel's defaults say otherwise. Generated
    /// methods for bulk data do this.
    #[doc(hidden)]
    pub fn bulk(mut self) -> Self {
        self.parts.options.own_connection.get_or_insert(true);
        self
    }

    /// Sets how many bytes of unread responses are buffered, and what happens when more arrive.
    pub fn receive_buffer(mut self, bytes: usize, overflow: Overflow) -> Self {
        self.parts.options.receive_buffer = bytes;
        self.parts.options.overflow = overflow;
        self
    }

    /// Sets whether a call made while the client reconnects waits for the connection (the default) or
    /// fails at once. It waits for [`CallOptions::ready_timeout`](crate::options::CallOptions::ready_timeout) at most.
    pub fn wait_for_ready(mut self, wait: bool) -> Self {
        self.parts.options.wait_for_ready = wait;
        self
    }
}

/// A call with one request and one response. Await it for the response.
///
/// # Cancel safety
///
/// Dropping the future cancels the call on the wire. The Volt may have executed it.
pub type UnaryCall<Req, Res> = CallBuilder<Unary<Req, Res>>;

/// A call with one request and a stream of responses. Await it for the [`Streaming`].
///
/// # Cancel safety
///
/// Dropping the future cancels the call on the wire. The Volt may have executed it.
pub type ServerStreamingCall<Req, Res> = CallBuilder<ServerStreaming<Req, Res>>;

/// A call with a stream of requests and one response. Await it for the [`Upload`].
pub type ClientStreamingCall<Req, Res> = CallBuilder<ClientStreaming<Req, Res>>;

/// A call whose requests and responses flow independently. Await it for the [`Duplex`].
pub type BidiCall<Req, Res> = CallBuilder<Bidi<Req, Res>>;

/// The kind of a [`UnaryCall`], with its request.
#[derive(Debug)]
pub struct Unary<Req, Res> {
    request: Req,
    response: PhantomData<fn() -> Res>,
}

/// The kind of a [`ServerStreamingCall`], with its request.
#[derive(Debug)]
pub struct ServerStreaming<Req, Res> {
    request: Req,
    responses: PhantomData<fn() -> Res>,
}

/// The kind of a [`ClientStreamingCall`].
#[derive(Debug)]
pub struct ClientStreaming<Req, Res>(PhantomData<fn(Req) -> Res>);

/// The kind of a [`BidiCall`].
#[derive(Debug)]
pub struct Bidi<Req, Res>(PhantomData<fn(Req) -> Res>);

impl<Req: Message, Res: Message> UnaryCall<Req, Res> {
    /// Creates the call. Generated methods do this.
    pub fn new(channel: &Channel, method: &'static Method, request: Req) -> Self {
        let call = Unary { request, response: PhantomData };
        Self { parts: Parts::new(channel, method), call }
    }

    /// Declares that executing the call twice does no harm: it is then retried within its timeout even
    /// if the Volt may have executed it before the connection was lost.
    pub fn idempotent(mut self) -> Self {
        self.parts.options.idempotent = true;
        self
    }
}

impl<Req: Message, Res: Message> ServerStreamingCall<Req, Res> {
    /// Creates the call. Generated methods do this.
    pub fn new(channel: &Channel, method: &'static Method, request: Req) -> Self {
        let call = ServerStreaming { request, responses: PhantomData };
        Self { parts: Parts::new(channel, method), call }
    }

    /// Opens the call, and reopens it whenever the connection is lost, until the Volt ends it.
    ///
    /// # Errors
    ///
    /// When the call cannot be opened.
    ///
    /// # Cancel safety
    ///
    /// As awaiting the call.
    pub async fn subscribe(self) -> Result<Subscription<Res>> {
        let at = self.parts.expires_at();
        Subscription::open(self.parts, Arc::new(self.call.request), Requests::One, at).await
    }
}

impl<Req: Message, Res: Message> ClientStreamingCall<Req, Res> {
    /// Creates the call. Generated methods do this.
    pub fn new(channel: &Channel, method: &'static Method) -> Self {
        Self { parts: Parts::new(channel, method), call: ClientStreaming(PhantomData) }
    }
}

impl<Req: Message, Res: Message> BidiCall<Req, Res> {
    /// Creates the call. Generated methods do this.
    pub fn new(channel: &Channel, method: &'static Method) -> Self {
        Self { parts: Parts::new(channel, method), call: Bidi(PhantomData) }
    }

    /// Opens the call with this request, and reopens it with the same request whenever the connection
    /// is lost, until the Volt ends it.
    ///
    /// # Errors
    ///
    /// When the call cannot be opened.
    ///
    /// # Cancel safety
    ///
    /// As awaiting the call.
    pub async fn subscribe(self, request: Req) -> Result<Subscription<Res>> {
        let at = self.parts.expires_at();
        Subscription::open(self.parts, Arc::new(request), Requests::KeepOpen, at).await
    }
}

// The code below is generic over the messages of a call, so every program compiles it for each method
// that it calls. It only converts messages; everything else is compiled once, in `Parts`.

impl<Req: Message, Res: Message> IntoFuture for UnaryCall<Req, Res> {
    type Output = Result<Res>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let method = self.parts.method;
        let response = self.parts.unary(Box::new(self.call.request));
        Box::pin(async move { read_single(method, &response.await?) })
    }
}

impl<Req: Message, Res: Message> IntoFuture for ServerStreamingCall<Req, Res> {
    type Output = Result<Streaming<Res>>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let stream = self.parts.server_streaming(Arc::new(self.call.request));
        Box::pin(async move { stream.await.map(Streaming::new) })
    }
}

impl<Req: Message, Res: Message> IntoFuture for ClientStreamingCall<Req, Res> {
    type Output = Result<Upload<Req, Res>>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let call = self.parts.streaming();
        Box::pin(async move { call.await.map(|(sink, stream)| Upload::new(sink, stream)) })
    }
}

impl<Req: Message, Res: Message> IntoFuture for BidiCall<Req, Res> {
    type Output = Result<Duplex<Req, Res>>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let call = self.parts.streaming();
        Box::pin(async move {
            let (sink, stream) = call.await?;
            Ok(Duplex::new(RequestSink::new(sink), Streaming::new(stream)))
        })
    }
}
