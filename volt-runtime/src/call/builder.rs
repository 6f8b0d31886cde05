//! The builder of the four kinds of call.

use std::{
    future::{IntoFuture, poll_fn},
    marker::PhantomData,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Duplex, RequestSink, Streaming, Subscription, Upload,
    sink::{RawSink, Requests},
    streaming::{RawStreaming, read_response},
};
use crate::{
    channel::Channel,
    error::{Error, Executed, Result},
    message::{Message, Payload},
    method::Method,
    options::{CallOptions, Overflow, Target},
    time::Deadline,
    transport::BoxFuture,
};

/// The untyped part of a builder.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    channel: Channel,
    pub(super) method: &'static Method,
    options: CallOptions,
    deadline: Option<Instant>,
}

impl Parts {
    fn new(channel: &Channel, method: &'static Method) -> Self {
        let options = channel.options(method);
        Self { channel: channel.clone(), method, options, deadline: None }
    }

    /// When the call times out, if it is made now.
    fn expires_at(&self) -> Option<Instant> {
        // A timeout too long for the clock is no timeout.
        let by_timeout =
            self.options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        by_timeout.into_iter().chain(self.deadline).min()
    }

    /// Opens the call, once there is a connection.
    pub(super) async fn open(&self, at: Option<Instant>) -> Result<(RawSink, RawStreaming)> {
        let latest = Instant::now().checked_add(self.options.ready_timeout);
        self.wait_until_ready(at, latest).await?;
        self.open_now(at)
    }

    /// As [`open`](Self::open), for a call that waits for a connection until its deadline.
    pub(super) async fn reopen(&self, at: Option<Instant>) -> Result<(RawSink, RawStreaming)> {
        self.wait_until_ready(at, None).await?;
        self.open_now(at)
    }

    fn open_now(&self, at: Option<Instant>) -> Result<(RawSink, RawStreaming)> {
        let raw = self.channel.open(self.method, &self.options)?;
        Ok((
            RawSink::new(self.method, raw.sender, Deadline::new(at)),
            RawStreaming::new(self.method, raw.receiver, Deadline::new(at)),
        ))
    }

    /// Waits for a connection, until the call's deadline or the `latest` moment, whichever comes first.
    async fn wait_until_ready(&self, at: Option<Instant>, latest: Option<Instant>) -> Result<()> {
        let ready = if self.options.wait_for_ready { self.channel.ready() } else { None };
        let Some(mut ready) = ready else {
            return Ok(());
        };
        let (mut deadline, mut latest) = (Deadline::new(at), Deadline::new(latest));
        let outcome = poll_fn(|cx| match ready.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => match (deadline.poll_passed(cx), latest.poll_passed(cx)) {
                (Poll::Ready(_), _) => Poll::Ready(Err(self.no_connection(Error::deadline))),
                (_, Poll::Ready(_)) => Poll::Ready(Err(self.no_connection(Error::connection))),
                _ => Poll::Pending,
            },
        });
        outcome
            .await
            .map_err(|error| error.with_executed(Executed::No).with_method(self.method.path))
    }

    /// The error of a call that waited for a connection in vain, with the reason that there is none.
    fn no_connection(&self, kind: fn(String) -> Error) -> Error {
        let message = "there was no connection in time";
        match self.channel.watch_state().current().reason() {
            Some(reason) => kind(format!("{message}: {reason}")).with_source(reason.clone()),
            None => kind(message.to_owned()),
        }
    }

    /// Returns whether the call may be retried after this error.
    pub(super) fn may_retry(&self, error: &Error) -> bool {
        let harmless = error.executed() == Executed::No || self.options.idempotent;
        error.is_connection() && harmless && !self.is_closed()
    }

    /// Returns whether the channel is closed for good.
    pub(super) fn is_closed(&self) -> bool {
        self.channel.watch_state().current().is_closed()
    }

    /// Makes a unary call, with retries, and returns the text of its response.
    fn unary(self, request: Box<dyn Payload>) -> BoxFuture<Result<String>> {
        Box::pin(async move {
            let at = self.expires_at();
            let mut attempt = 1;
            loop {
                match self.unary_once(&*request, at).await {
                    Err(error) if attempt < self.options.max_attempts && self.may_retry(&error) => {
                        tracing::debug!(attempt, %error, "trying again");
                        attempt += 1;
                    }
                    outcome => return outcome,
                }
            }
        })
    }

    async fn unary_once(&self, request: &dyn Payload, at: Option<Instant>) -> Result<String> {
        let (mut sink, mut stream) = self.open(at).await?;
        if let Err(error) = poll_fn(|cx| sink.poll_ready(cx)).await {
            return Err(stream.reason_for(error).await.with_executed(Executed::No));
        }
        sink.send(request).map_err(|error| error.with_executed(Executed::No))?;
        sink.half_close();
        stream.single().await
    }

    /// Opens a stream of responses to one request.
    fn server_streaming(self, request: Arc<dyn Payload>) -> BoxFuture<Result<RawStreaming>> {
        Box::pin(async move {
            let (sink, mut stream) = self.open(self.expires_at()).await?;
            sink.send_first(request, Requests::One, &mut stream);
            Ok(stream)
        })
    }

    /// Opens a call without sending a request.
    fn streaming(self) -> BoxFuture<Result<(RawSink, RawStreaming)>> {
        Box::pin(async move { self.open(self.expires_at()).await })
    }
}

/// A call that has not been made yet. Set its options, then await it.
///
/// `C` says which of the four kinds of call it is: [`UnaryCall`], [`ServerStreamingCall`],
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

    /// Opens the call with its own token and ephemeral key; see [`CallOptions::fresh_key`].
    pub fn fresh_key(mut self) -> Self {
        self.parts.options.fresh_key = true;
        self
    }

    /// Sets how many bytes of unread responses are buffered, and what happens when more arrive.
    pub fn receive_buffer(mut self, bytes: usize, overflow: Overflow) -> Self {
        self.parts.options.receive_buffer = bytes;
        self.parts.options.overflow = overflow;
        self
    }

    /// Sets whether a call made while the client reconnects waits for the connection (the default) or
    /// fails at once. It waits for [`CallOptions::ready_timeout`] at most.
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
        let text = self.parts.unary(Box::new(self.call.request));
        Box::pin(async move { read_single(method, &text.await?) })
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

/// Parses the single response of a call.
pub(super) fn read_single<Res: Message>(method: &'static Method, text: &str) -> Result<Res> {
    let response: Res = read_response(text).map_err(|error| error.with_method(method.path))?;
    match response.refusal() {
        Some(status) => Err(Error::refused(status).with_method(method.path)),
        None => Ok(response),
    }
}
