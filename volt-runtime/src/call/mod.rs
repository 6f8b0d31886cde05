//! Calls: the builders that client methods return, and what they become.
//!
//! A builder does nothing until it is awaited. Options chain on it first:
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
//! | kind | awaiting the builder gives | then |
//! |---|---|---|
//! | unary | the response | |
//! | server streaming | [`Streaming`] | `message().await?`, or a `Stream` |
//! | client streaming | [`Upload`] | `send(…).await?`, then `finish().await?` |
//! | bidirectional | [`Duplex`] | both, or `into_split()` |
//!
//! Opening a stream never waits for the Volt: a refusal shows at the first `message()`. It waits for
//! a connection, if that was lost and is being made again, unless
//! [`wait_for_ready(false)`](UnaryCall::wait_for_ready) says otherwise.
//!
//! # When the connection is lost
//!
//! Calls that are open fail at once; [`Error::executed`](crate::Error::executed) says whether they may
//! have reached the Volt. A unary call that certainly did not is tried again by itself, and so is one
//! that is marked [`idempotent`](UnaryCall::idempotent). A stream that is opened by
//! [`subscribe`](BidiCall::subscribe) is opened again, and says that it was.

mod builder;
mod deadline;
mod sink;
mod streaming;
mod subscription;
mod upload;

pub use self::{
    builder::{BidiCall, ClientStreamingCall, ServerStreamingCall, UnaryCall},
    sink::RequestSink,
    streaming::{Duplex, Streaming},
    subscription::{Subscription, Update},
    upload::Upload,
};
