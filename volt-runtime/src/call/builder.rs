//! The four builders.

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
    deadline::Deadline,
    sink::{RawSink, Requests},
    streaming::{RawStreaming, read_response},
};
use crate::{
    CallOptions, Channel, Error, Executed, Message, Method, Overflow, Result, Target,
    message::Payload, transport::BoxFuture,
};

/// What all builders hold.
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

    /// When the call is given up, if it is made now.
    fn given_up_at(&self) -> Option<Instant> {
        // A timeout too long for the clock is no timeout.
        let by_timeout =
            self.options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        by_timeout.into_iter().chain(self.deadline).min()
    }

    /// Opens the call, once there is a connection.
    pub(super) async fn open(&self, at: Option<Instant>) -> Result<(RawSink, RawStreaming)> {
        self.wait_until_ready(at).await?;
        let raw = self.channel.open(self.method, &self.options)?;
        Ok((
            RawSink::new(self.method, raw.sender, Deadline::new(at)),
            RawStreaming::new(self.method, raw.receiver, Deadline::new(at)),
        ))
    }

    async fn wait_until_ready(&self, at: Option<Instant>) -> Result<()> {
        let ready = if self.options.wait_for_ready { self.channel.ready() } else { None };
        let Some(mut ready) = ready else {
            return Ok(());
        };
        let mut deadline = Deadline::new(at);
        let outcome = poll_fn(|cx| match ready.as_mut().poll(cx) {
            Poll::Pending => deadline.poll_passed(cx).map(Err),
            ready @ Poll::Ready(_) => ready,
        });
        outcome
            .await
            .map_err(|error| error.with_executed(Executed::No).with_method(self.method.path))
    }

    /// Whether it makes sense to try the call again after this error.
    pub(super) fn may_retry(&self, error: &Error) -> bool {
        let harmless = error.executed() == Executed::No || self.options.idempotent;
        error.is_connection() && harmless && !self.is_closed()
    }

    /// Whether there will be no connection any more.
    pub(super) fn is_closed(&self) -> bool {
        self.channel.watch_state().current().is_closed()
    }

    /// Makes a unary call, several times if need be, and gives the text of its response.
    fn unary(self, request: Box<dyn Payload>) -> BoxFuture<Result<String>> {
        Box::pin(async move {
            let at = self.given_up_at();
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
            let (sink, mut stream) = self.open(self.given_up_at()).await?;
            sink.send_first(request, Requests::One, &mut stream);
            Ok(stream)
        })
    }

    /// Opens a call whose requests are yet to come.
    fn streaming(self) -> BoxFuture<Result<(RawSink, RawStreaming)>> {
        Box::pin(async move { self.open(self.given_up_at()).await })
    }
}

macro_rules! builder {
    ($(#[$doc:meta])* $name:ident { $($request:ident: $type:ident)? }) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[must_use = "a call does nothing until it is awaited"]
        pub struct $name<Req, Res> {
            parts: Parts,
            $($request: $type,)?
            types: PhantomData<fn(Req) -> Res>,
        }

        impl<Req: Message, Res: Message> $name<Req, Res> {
            /// What the generated method makes.
            pub fn new(channel: &Channel, method: &'static Method $(, $request: $type)?) -> Self {
                Self { parts: Parts::new(channel, method), $($request,)? types: PhantomData }
            }

            /// Gives the call up when it takes longer than this, from now to its end. Where a
            /// deadline is set too, the earlier one counts.
            pub fn timeout(mut self, timeout: Duration) -> Self {
                self.parts.options.timeout = Some(timeout);
                self
            }

            /// Gives the call up at this moment.
            pub fn deadline(mut self, deadline: std::time::Instant) -> Self {
                self.parts.deadline = Some(Instant::from_std(deadline));
                self
            }

            /// Calls a service that is not one of the Volt's own.
            pub fn service(mut self, target: impl Into<Target>) -> Self {
                self.parts.options.target = Some(target.into());
                self
            }

            /// Opens the call with a token and an ephemeral key that serve no other call; see
            /// [`CallOptions::fresh_key`].
            pub fn fresh_key(mut self) -> Self {
                self.parts.options.fresh_key = true;
                self
            }

            /// How many bytes of responses that nobody has read yet are kept, and what happens when
            /// more arrive.
            pub fn receive_buffer(mut self, bytes: usize, overflow: Overflow) -> Self {
                self.parts.options.receive_buffer = bytes;
                self.parts.options.overflow = overflow;
                self
            }

            /// Whether the call, if it is made while the connection is being made again, waits for
            /// that (the default) or fails at once.
            pub fn wait_for_ready(mut self, wait: bool) -> Self {
                self.parts.options.wait_for_ready = wait;
                self
            }
        }
    };
}

builder! {
    /// A call with one request and one response. Await it for the response.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call on the wire; the Volt may have acted on it.
    UnaryCall { request: Req }
}

builder! {
    /// A call with one request and a stream of responses. Await it for the [`Streaming`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call on the wire; the Volt may have acted on it.
    ServerStreamingCall { request: Req }
}

builder! {
    /// A call with a stream of requests and one response. Await it for the [`Upload`].
    ClientStreamingCall {}
}

builder! {
    /// A call whose requests and responses flow independently. Await it for the [`Duplex`].
    BidiCall {}
}

impl<Req, Res> UnaryCall<Req, Res> {
    /// Says that it does no harm to make the call twice: it is then tried again, within its timeout,
    /// even if the connection was lost after it may have reached the Volt.
    pub fn idempotent(mut self) -> Self {
        self.parts.options.idempotent = true;
        self
    }
}

impl<Req: Message, Res: Message> ServerStreamingCall<Req, Res> {
    /// Makes the call, and makes it again whenever the connection was lost, until the Volt ends it.
    ///
    /// # Errors
    ///
    /// When the call cannot be opened.
    ///
    /// # Cancel safety
    ///
    /// As awaiting the call.
    pub async fn subscribe(self) -> Result<Subscription<Res>> {
        let at = self.parts.given_up_at();
        Subscription::open(self.parts, Arc::new(self.request), Requests::One, at).await
    }
}

impl<Req: Message, Res: Message> BidiCall<Req, Res> {
    /// Makes the call with this request, and makes it again with the same whenever the connection was
    /// lost, until the Volt ends it.
    ///
    /// # Errors
    ///
    /// When the call cannot be opened.
    ///
    /// # Cancel safety
    ///
    /// As awaiting the call.
    pub async fn subscribe(self, request: Req) -> Result<Subscription<Res>> {
        let at = self.parts.given_up_at();
        Subscription::open(self.parts, Arc::new(request), Requests::KeepOpen, at).await
    }
}

// What follows is generic over the messages of a call, so every program compiles it for each method
// that it calls. Only what depends on the type is in there; the rest is compiled once, above.

impl<Req: Message, Res: Message> IntoFuture for UnaryCall<Req, Res> {
    type Output = Result<Res>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let method = self.parts.method;
        let text = self.parts.unary(Box::new(self.request));
        Box::pin(async move { read_single(method, &text.await?) })
    }
}

impl<Req: Message, Res: Message> IntoFuture for ServerStreamingCall<Req, Res> {
    type Output = Result<Streaming<Res>>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let stream = self.parts.server_streaming(Arc::new(self.request));
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

/// Reads the one response of a call.
pub(super) fn read_single<Res: Message>(method: &'static Method, text: &str) -> Result<Res> {
    let response: Res = read_response(text).map_err(|error| error.with_method(method.path))?;
    match response.refusal() {
        Some(status) => Err(Error::refused(status).with_method(method.path)),
        None => Ok(response),
    }
}
