//! The builder of the four kinds of call.
//!
//! Each kind is a type parameter of one builder, so the options are written once. The builder only adds
//! the types of the messages: the untyped work is in `parts.rs`.

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
///
/// An option that is not set has the channel's default; see [`CallOptions`](crate::options::CallOptions)
/// and [`Channel::with_defaults`](crate::Channel::with_defaults).
///
/// ```no_run
/// # use std::time::Duration;
/// # use volt_runtime::{BidiCall, Message, Overflow, Result, Target, UnaryCall};
/// # async fn example<Q: Message, S: Message>(
/// #     read: UnaryCall<Q, S>,
/// #     watch: BidiCall<Q, S>,
/// #     service: Target,
/// # ) -> Result<()> {
/// // Reading twice is harmless, so the call may be retried even after it was sent.
/// let answer = read.timeout(Duration::from_secs(5)).idempotent().await?;
///
/// // A stream of a service that another client hosts. It fails at once if 1 MiB is unread.
/// let stream = watch.service(service).receive_buffer(1 << 20, Overflow::Fail).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct CallBuilder<C> {
    parts: Parts,
    call: C,
}

impl<C> CallBuilder<C> {
    pub(super) fn with_parts(parts: Parts, call: C) -> Self {
        Self { parts, call }
    }

    pub(super) fn into_parts(self) -> Parts {
        self.parts
    }

    /// Limits the duration of the whole call, from the first poll of its future to the end of the call. The
    /// time covers waiting for a connection, retries, the reading of a stream, and every reopening of a
    /// subscription. If a deadline is set too, the earlier of the two applies.
    ///
    /// A call that runs out of time fails with [`ErrorKind::Deadline`](crate::ErrorKind) and is cancelled
    /// on the wire. Over gRPC the Volt receives the time that is left, as `grpc-timeout`. Default: one minute for
    /// unary calls, none for streams.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.parts.options.timeout = Some(timeout);
        self
    }

    /// Cancels the call at this moment, with the same effect as a [`timeout`](Self::timeout). Use it to
    /// set one limit for several calls.
    pub fn deadline(mut self, deadline: std::time::Instant) -> Self {
        self.parts.deadline = Some(Instant::from_std(deadline));
        self
    }

    /// Calls a service other than the Volt's own: one that another client hosts, or one of several
    /// services with the same API. `volt-api` converts the resource of a service to a [`Target`].
    ///
    /// The call fails with [`ErrorKind::Configuration`](crate::ErrorKind) if the target's public key
    /// cannot be read.
    pub fn service(mut self, target: impl Into<Target>) -> Self {
        self.parts.options.target = Some(target.into());
        self
    }

    /// Opens the call with its own token and ephemeral key; see
    /// [`CallOptions::fresh_key`](crate::options::CallOptions::fresh_key).
    pub fn fresh_key(mut self) -> Self {
        self.parts.options.fresh_key = true;
        self
    }

    /// Sets whether the call runs on its own connection. Use it for a stream that is read slowly: on the
    /// shared connection such a stream delays all other calls. See
    /// [`CallOptions::own_connection`](crate::options::CallOptions::own_connection).
    pub fn own_connection(mut self, own: bool) -> Self {
        self.parts.options.own_connection = Some(own);
        self
    }

    /// Lets the call run on its own connection unless the channel's defaults say otherwise. Generated
    /// methods for bulk data do this.
    #[doc(hidden)]
    pub fn bulk(mut self) -> Self {
        // An explicit default of the channel, either way, takes precedence.
        self.parts.options.own_connection.get_or_insert(true);
        self
    }

    /// Sets the limit of buffered unread responses in bytes, and the action beyond it. Default:
    /// 4 MiB, and [`Overflow::Wait`] for 5 seconds.
    pub fn receive_buffer(mut self, bytes: usize, overflow: Overflow) -> Self {
        self.parts.options.receive_buffer = bytes;
        self.parts.options.overflow = overflow;
        self
    }

    /// Sets whether a call made while the client reconnects waits for the connection (the default) or
    /// fails at once. It waits for
    /// [`CallOptions::ready_timeout`](crate::options::CallOptions::ready_timeout) at most.
    pub fn wait_for_ready(mut self, wait: bool) -> Self {
        self.parts.options.wait_for_ready = wait;
        self
    }
}

/// A call with one request and one response. Await it for the response.
///
/// The call is retried if the connection was lost, or its target was not available, before the Volt can
/// have executed it; see [`CallOptions::max_attempts`](crate::options::CallOptions::max_attempts).
///
/// # Errors
///
/// | kind | cause |
/// |---|---|
/// | [`Refused`](crate::ErrorKind::Refused), [`Failed`](crate::ErrorKind::Failed) | the Volt's answer, with its [`Status`](crate::Status) |
/// | [`Routing`](crate::ErrorKind::Routing) | the Volt or a relay rejected the call before the method ran |
/// | [`Connection`](crate::ErrorKind::Connection) | there is no connection, or it was lost |
/// | [`Deadline`](crate::ErrorKind::Deadline) | the call, or its key exchange, took too long |
/// | [`Protocol`](crate::ErrorKind::Protocol) | the peer's key or a payload is not valid |
/// | [`ResourceExhausted`](crate::ErrorKind::ResourceExhausted) | too many calls are open, or the request is too large |
/// | [`Configuration`](crate::ErrorKind::Configuration) | the target of the call is invalid |
///
/// # Cancel safety
///
/// Dropping the future cancels the call on the wire. The Volt may have executed it.
pub type UnaryCall<Req, Res> = CallBuilder<Unary<Req, Res>>;

/// A call with one request and a stream of responses. Await it for the [`Streaming`], or
/// [`subscribe`](ServerStreamingCall::subscribe) for a stream that survives a lost connection.
///
/// Awaiting does not wait for the Volt: the request is sent in the background after the key exchange.
///
/// # Errors
///
/// Fails if there is no connection, too many calls are open, or the target is invalid. A refusal,
/// and a failure to send the request, are reported when the stream is read.
///
/// # Cancel safety
///
/// The request is sent only after the future has resolved. Dropping the future before that cancels a call
/// that the Volt cannot have executed.
pub type ServerStreamingCall<Req, Res> = CallBuilder<ServerStreaming<Req, Res>>;

/// A call with a stream of requests and one response. Await it for the [`Upload`].
///
/// Awaiting does not wait for the Volt. The first message that is sent invokes the method.
///
/// # Errors
///
/// Same as for a [`ServerStreamingCall`].
///
/// # Cancel safety
///
/// Dropping the future cancels a call that the Volt cannot have executed: no message has been sent.
pub type ClientStreamingCall<Req, Res> = CallBuilder<ClientStreaming<Req, Res>>;

/// A call whose requests and responses flow independently. Await it for the [`Duplex`], or
/// [`subscribe`](BidiCall::subscribe) with the only request for a stream that survives a lost connection.
///
/// Awaiting does not wait for the Volt. The first message that is sent invokes the method.
///
/// # Errors
///
/// Same as for a [`ServerStreamingCall`].
///
/// # Cancel safety
///
/// Dropping the future cancels a call that the Volt cannot have executed: no message has been sent.
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

    /// Declares that executing the call twice is harmless: it is then retried within its timeout even
    /// if the Volt may have executed it before the connection was lost. Reads are idempotent; a request
    /// that creates something usually is not.
    #[doc(alias = "retry")]
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

    /// Opens the call, and reopens it with the same request whenever the connection is lost, until the
    /// Volt ends it.
    ///
    /// # Errors
    ///
    /// Fails if the call cannot be opened. A refusal is reported when the subscription is read.
    ///
    /// # Cancel safety
    ///
    /// As awaiting the call.
    pub async fn subscribe(self) -> Result<Subscription<Res>> {
        Subscription::open(self.parts, Arc::new(self.call.request), Requests::One).await
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
    /// is lost, until the Volt ends it. The sending side stays open, because a half-close may end the
    /// call, as with `SubscribeWire`.
    ///
    /// # Errors
    ///
    /// Fails if the call cannot be opened. A refusal is reported when the subscription is read.
    ///
    /// # Cancel safety
    ///
    /// As awaiting the call.
    pub async fn subscribe(self, request: Req) -> Result<Subscription<Res>> {
        Subscription::open(self.parts, Arc::new(request), Requests::KeepOpen).await
    }
}

// The code below is generic over the messages of a call, so every program compiles it for each method
// that it calls. It only converts messages, so everything else is compiled once, in `Parts`.

impl<Req: Message, Res: Message> IntoFuture for UnaryCall<Req, Res> {
    type Output = Result<Res>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let method = self.parts.method;
        let response = self.parts.responding::<Res>().unary(Box::new(self.call.request));
        Box::pin(async move { read_single(method, response.await?) })
    }
}

impl<Req: Message, Res: Message> IntoFuture for ServerStreamingCall<Req, Res> {
    type Output = Result<Streaming<Res>>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let stream = self.parts.responding::<Res>().server_streaming(Arc::new(self.call.request));
        Box::pin(async move { stream.await.map(Streaming::new) })
    }
}

impl<Req: Message, Res: Message> IntoFuture for ClientStreamingCall<Req, Res> {
    type Output = Result<Upload<Req, Res>>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let call = self.parts.responding::<Res>().streaming();
        Box::pin(async move { call.await.map(|(sink, stream)| Upload::new(sink, stream)) })
    }
}

impl<Req: Message, Res: Message> IntoFuture for BidiCall<Req, Res> {
    type Output = Result<Duplex<Req, Res>>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let call = self.parts.responding::<Res>().streaming();
        Box::pin(async move {
            let (sink, stream) = call.await?;
            Ok(Duplex::new(RequestSink::new(sink), Streaming::new(stream)))
        })
    }
}
