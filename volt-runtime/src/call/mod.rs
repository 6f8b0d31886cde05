//! The builders that client methods return, and the calls they start.
//!
//! A builder does nothing until it is awaited. Set options on it first:
//!
//! ```no_run
//! # use std::time::Duration;
//! # use volt_runtime::{Message, Result, UnaryCall};
//! # async fn example<Q: Message, S: Message>(call: UnaryCall<Q, S>) -> Result<S> {
//! // let call = client.get_resource(request);
//! let answer = call.timeout(Duration::from_secs(5)).await?;
//! # Ok(answer)
//! # }
//! ```
//!
//! | kind | awaiting the builder returns | then |
//! |---|---|---|
//! | unary | the response | |
//! | server streaming | [`Streaming`] | `message().await?`, or a `Stream` |
//! | client streaming | [`Upload`] | `send(…).await?`, then `finish().await?` |
//! | bidirectional | [`Duplex`] | both, or `into_split()` |
//!
//! Opening a stream never waits for the Volt: the first `message()` reports a refusal. While the client
//! reconnects it waits for the connection, for
//! [`ready_timeout`](crate::options::CallOptions::ready_timeout) at most, unless
//! [`wait_for_ready(false)`](UnaryCall::wait_for_ready) is set.
//!
//! # Reading and ending
//!
//! The method that reads the next item is named after the item: [`message`](Streaming::message) of a
//! stream, [`update`](Subscription::update) of a subscription, and in `volt-api` `event` of a presence
//! and `row` of a query. Each returns `Ok(None)` after a clean end, and each type is also a `Stream`.
//!
//! `half_close` tells the Volt that no more requests follow, and never waits. `finish().await`
//! half-closes and waits for the result of the call.
//!
//! A `send` that returns `Ok` has accepted the message; it has not delivered it. Dropping a call cancels
//! it, and the Volt may then discard messages that were accepted. Await `finish`, or read until
//! `message` returns `None`, to know that the Volt has processed them.
//!
//! Dropping a call that only sends does not cancel it: a bidirectional call that is half-closed, was
//! never read and has received nothing. The client waits in the background, for a minute at most, until
//! the Volt has ended the call, and logs a failure. It cancels the call if a response arrives after all.
//!
//! After the Volt has ended a call, `send` fails with the Volt's own reason where that has arrived, else
//! with [`ErrorKind::Ended`](crate::ErrorKind). The connection still works then: only a lost connection
//! is reported as one.
//!
//! # Slow readers
//!
//! All calls share one connection, and the protocol has no flow control for a single call. A stream
//! that is read more slowly than its responses arrive is therefore buffered: in its own buffer, then in
//! the connection's. When both are full, nothing more is read from the connection, and every other call
//! waits, for five seconds in total. Then the stream fails with
//! [`ErrorKind::ResourceExhausted`](crate::ErrorKind), so that the others can continue.
//!
//! To avoid that, read in a separate task and queue the work that takes time, or make the call with
//! [`own_connection`](UnaryCall::own_connection). `DownloadFile` and `UploadFile` do so by default.
//!
//! # When the connection is lost
//!
//! Open calls fail at once; [`Error::executed`](crate::Error::executed) reports whether the Volt may
//! have executed them. Unary calls that cannot have executed are retried automatically, and so are those
//! marked [`idempotent`](UnaryCall::idempotent). A stream opened with [`subscribe`](BidiCall::subscribe)
//! is reopened, and reports that with [`Update::Resumed`].
//!
//! The same holds when a relay reports that the target of a call is not connected to it, because the
//! target restarts for example: [`Code::Unavailable`](crate::Code). These retries are spread over a few
//! seconds.

mod builder;
mod duplex;
mod end;
mod parts;
mod sink;
mod streaming;
mod subscription;
mod untyped;
mod upload;

pub use self::{
    builder::{
        Bidi, BidiCall, CallBuilder, ClientStreaming, ClientStreamingCall, ServerStreaming,
        ServerStreamingCall, Unary, UnaryCall,
    },
    duplex::Duplex,
    sink::RequestSink,
    streaming::Streaming,
    subscription::{Subscription, Update},
    untyped::{Untyped, UntypedCall, UntypedDuplex},
    upload::Upload,
};
