//! Interceptors: code that runs before and after each call, of a client or of a server.
//!
//! [`Channel::intercept`](crate::Channel::intercept) adds one to a channel,
//! [`Router::intercept`](crate::server::Router::intercept) one to a server. Both work over every transport
//! and for all four kinds of call. The functions that run before a call may refuse it, and those of a client
//! may change its options. They return an [`After`], which is called with the call's [`Outcome`].
//!
//! ```
//! use std::time::Duration;
//! use volt_runtime::{
//!     Channel, Code, Error, Status,
//!     intercept::{After, OutgoingCall},
//!     server::{Context, Router},
//! };
//!
//! # fn example(channel: Channel, router: Router) -> (Channel, Router) {
//! // A client: writes are refused, reads take five seconds at most, and slow ones are logged.
//! let channel = channel.intercept(|call: &mut OutgoingCall| {
//!     let method = call.method.path;
//!     if method.ends_with("/SaveResource") {
//!         return Err(Error::configuration("this program only reads"));
//!     }
//!     call.options.timeout.get_or_insert(Duration::from_secs(5));
//!     Ok(After::new(move |outcome| {
//!         if outcome.elapsed > Duration::from_secs(1) {
//!             println!("{method} took {:?}: {}", outcome.elapsed, outcome.code());
//!         }
//!     }))
//! });
//!
//! // A server: callers without a session are refused.
//! let router = router.intercept(|context: &Context| {
//!     if context.caller().is_anonymous() {
//!         return Err(Status::new(Code::Unauthenticated, "authenticate first"));
//!     }
//!     Ok(After::nothing())
//! });
//! # (channel, router)
//! # }
//! ```
//!
//! # One call
//!
//! | | a client's call | a server's call |
//! |---|---|---|
//! | begins | when its future is first polled | when its method is found and its caller authorized |
//! | retries | belong to the call; [`Outcome::attempts`] counts them | are separate calls |
//! | ends | when its result is known, or it is dropped | when its handler has ended, or is dropped |
//!
//! A [`Subscription`](crate::Subscription) passes the interceptors each time it opens its call. The end of a
//! stream is known when its reader has read it; a stream that is dropped before that was cancelled. A call
//! that names no method of the server passes no interceptor.
//!
//! # Order
//!
//! The interceptor that was added first is the outer one: its function runs first, and its [`After`] last.
//! When one refuses a call, the later ones do not see it, and the `After` of the earlier ones receive the
//! refusal. Each `After` is called exactly once, regardless of how the call ends: a result, an error, a
//! deadline, a lost connection, or its drop.
//!
//! # Costs
//!
//! A call without interceptors, without an enabled span and without metrics is not watched: nothing is counted
//! and nothing is allocated. Otherwise a call has a few small allocations, and each message is counted.
//!
//! # Spans
//!
//! Each call has a `tracing` span at level INFO, if a subscriber enables it: target `volt_runtime::call`, with
//! the attributes of OpenTelemetry's semantic conventions for RPC, version 1.45.0:
//!
//! | field | value |
//! |---|---|
//! | `otel.name`, `rpc.method` | `package.Service/Method` |
//! | `otel.kind` | `client` or `server` |
//! | `rpc.system.name` | `grpc` over gRPC, else `volt` |
//! | `server.address`, `server.port` | of a client: the server as configured; not in-process |
//! | `rpc.status_code` | at the end: `OK`, `NOT_FOUND` … |
//! | `error.type` | at the end of a call that failed: the same |
//! | `otel.status_code`, `otel.status_description` | then: `ERROR`, and the error |
//!
//! Not every status counts as a server's error: as the conventions require, only `UNKNOWN`,
//! `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE` and `DATA_LOSS` are.
//!
//! A handler runs inside its span, so its logs and its own calls belong to it. The parent of a client's
//! span is the span in which the call is first polled. Volt's protocol carries no trace context: the spans
//! of both ends are not linked.

mod counted;
mod outcome;
mod progress;
mod span;
mod watch;

use std::{fmt, sync::Arc, time::Instant};

pub use self::outcome::{Outcome, Traffic};
#[cfg(feature = "metrics")]
pub(crate) use self::{outcome::Side, span::is_error};
pub(crate) use self::{progress::Recorder, watch::Watch};
use crate::{error::Result, method::Method, options::CallOptions, server::Context, status::Status};

/// An interceptor of a client's calls. Functions and closures `Fn(&mut OutgoingCall) -> Result<After>` are
/// interceptors. See the [module](self) for when it runs.
pub trait ClientInterceptor: Send + Sync + 'static {
    /// Runs before a call is made, in the caller's task; it must not block. May change the call's options.
    ///
    /// # Errors
    ///
    /// An error refuses the call: its caller receives it. It is marked as
    /// [not executed](crate::Executed::No), and the call is not retried.
    fn before(&self, call: &mut OutgoingCall) -> Result<After>;
}

impl<F> ClientInterceptor for F
where
    F: Fn(&mut OutgoingCall) -> Result<After> + Send + Sync + 'static,
{
    fn before(&self, call: &mut OutgoingCall) -> Result<After> {
        self(call)
    }
}

/// A call that a client is about to make.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutgoingCall {
    /// The method.
    pub method: &'static Method,
    /// The options, with the channel's defaults: the service that is called, the timeout and the others.
    pub options: CallOptions,
    /// The [deadline](crate::call::CallBuilder::deadline) that the caller has set. The call ends
    /// at the deadline or after `options.timeout`, whichever is earlier.
    pub deadline: Option<Instant>,
}

/// An interceptor of a server's calls. Functions and closures `Fn(&Context) -> Result<After, Status>` are
/// interceptors. See the [module](self) for when it runs.
pub trait ServerInterceptor: Send + Sync + 'static {
    /// Runs before the method's handler, in the call's task; it must not block. The context has the method,
    /// the caller, the token and the service that the caller named.
    ///
    /// # Errors
    ///
    /// A status ends the call before its handler runs.
    fn before(&self, context: &Context) -> Result<After, Status>;
}

impl<F> ServerInterceptor for F
where
    F: Fn(&Context) -> Result<After, Status> + Send + Sync + 'static,
{
    fn before(&self, context: &Context) -> Result<After, Status> {
        self(context)
    }
}

/// The part of an interceptor that runs after the call. Called once, with the [`Outcome`].
///
/// It may run while the call is being dropped, so it must neither block nor panic. Its closure captures values
/// from the beginning of the call.
#[derive(Default)]
pub struct After(Option<Function>);

type Function = Box<dyn FnOnce(&Outcome) + Send>;

impl After {
    /// Calls this function after the call.
    pub fn new(function: impl FnOnce(&Outcome) + Send + 'static) -> Self {
        Self(Some(Box::new(function)))
    }

    /// Calls nothing after the call.
    pub fn nothing() -> Self {
        Self(None)
    }

    fn run(self, outcome: &Outcome) {
        if let Some(function) = self.0 {
            function(outcome);
        }
    }
}

impl fmt::Debug for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("After").finish_non_exhaustive()
    }
}

/// Interceptors, the outer ones first.
pub(crate) struct Chain<I: ?Sized>(Vec<Arc<I>>);

impl<I: ?Sized> Chain<I> {
    pub(crate) fn push(&mut self, interceptor: Arc<I>) {
        self.0.push(interceptor);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &I> {
        self.0.iter().map(|interceptor| &**interceptor)
    }
}

impl<I: ?Sized> Default for Chain<I> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<I: ?Sized> Clone for Chain<I> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I: ?Sized> fmt::Debug for Chain<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} interceptors", self.0.len())
    }
}
