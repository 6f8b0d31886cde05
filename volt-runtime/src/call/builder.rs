//! The four builders.

use std::{future::IntoFuture, marker::PhantomData, time::Duration};

use tokio::time::Instant;

use super::{
    Duplex, RequestSink, Streaming, Upload,
    deadline::Deadline,
    sink::RawSink,
    streaming::{RawStreaming, unreadable},
};
use crate::{
    CallOptions, Channel, Error, Executed, Message, Method, Overflow, Result, Target, json,
    message::Payload, transport::BoxFuture,
};

/// What all builders hold.
#[derive(Clone, Debug)]
struct Parts {
    channel: Channel,
    method: &'static Method,
    options: CallOptions,
    deadline: Option<Instant>,
}

impl Parts {
    fn new(channel: &Channel, method: &'static Method) -> Self {
        let options = channel.options(method);
        Self { channel: channel.clone(), method, options, deadline: None }
    }

    fn open(self) -> Result<(RawSink, RawStreaming)> {
        // A timeout too long for the clock is no timeout.
        let by_timeout =
            self.options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let at = by_timeout.into_iter().chain(self.deadline).min();
        let deadline = Deadline::new(at);
        let raw = self.channel.open(self.method, &self.options)?;
        Ok((
            RawSink::new(self.method, raw.sender, deadline.clone()),
            RawStreaming::new(self.method, raw.receiver, deadline),
        ))
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

            /// How many bytes of responses that nobody has read yet are kept, and what happens when
            /// more arrive.
            pub fn receive_buffer(mut self, bytes: usize, overflow: Overflow) -> Self {
                self.parts.options.receive_buffer = bytes;
                self.parts.options.overflow = overflow;
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

/// Sends the only request of a call and half-closes.
async fn send_only(sink: &mut RawSink, request: &dyn Payload) -> Result<()> {
    sink.send_when_ready(request).await?;
    sink.finish();
    Ok(())
}

// What follows is generic over the messages of a call, so every program compiles it for each method
// that it calls. Only what depends on the type is in there; the rest is compiled once, here.

impl<Req: Message, Res: Message> IntoFuture for UnaryCall<Req, Res> {
    type Output = Result<Res>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let method = self.parts.method;
        let text = exchange(self.parts, Box::new(self.request));
        Box::pin(async move { read_single(method, &text.await?) })
    }
}

impl<Req: Message, Res: Message> IntoFuture for ServerStreamingCall<Req, Res> {
    type Output = Result<Streaming<Res>>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let stream = open_streaming(self.parts, Box::new(self.request));
        Box::pin(async move { stream.await.map(Streaming::new) })
    }
}

impl<Req: Message, Res: Message> IntoFuture for ClientStreamingCall<Req, Res> {
    type Output = Result<Upload<Req, Res>>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (sink, stream) = self.parts.open()?;
            Ok(Upload::new(sink, stream))
        })
    }
}

impl<Req: Message, Res: Message> IntoFuture for BidiCall<Req, Res> {
    type Output = Result<Duplex<Req, Res>>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (sink, stream) = self.parts.open()?;
            Ok(Duplex::new(RequestSink::new(sink), Streaming::new(stream)))
        })
    }
}

/// A unary call: the text of its response.
fn exchange(parts: Parts, request: Box<dyn Payload>) -> BoxFuture<Result<String>> {
    Box::pin(async move {
        let (mut sink, mut stream) = parts.open()?;
        if let Err(error) = send_only(&mut sink, &*request).await {
            return Err(stream.reason_for(error).await.with_executed(Executed::No));
        }
        stream.single().await
    })
}

fn open_streaming(parts: Parts, request: Box<dyn Payload>) -> BoxFuture<Result<RawStreaming>> {
    Box::pin(async move {
        let (mut sink, stream) = parts.open()?;
        // The request leaves when the key exchange is done. Opening does not wait for that, and
        // the stream may be read much later. What goes wrong shows when it is read.
        tokio::spawn(async move {
            if send_only(&mut sink, &*request).await.is_err() {
                sink.finish();
            }
        });
        Ok(stream)
    })
}

/// Reads the one response of a call.
pub(super) fn read_single<Res: Message>(method: &'static Method, text: &str) -> Result<Res> {
    let response: Res = json::read(text.as_bytes())
        .map_err(|error| unreadable(Res::NAME, error).with_method(method.path))?;
    match response.refusal() {
        Some(status) => Err(Error::refused(status).with_method(method.path)),
        None => Ok(response),
    }
}
