//! The handle through which typed clients make their calls.
//!
//! A channel is a shared [`Transport`] and the default options of calls. It erases the type of the
//! transport once, so that clients and builders are not generic over it.

use std::{sync::Arc, time::Duration};

use crate::{
    error::Result,
    message::Encoding,
    method::Method,
    options::CallOptions,
    server::{Router, in_process::InProcess},
    state::StateWatch,
    transport::{BoxFuture, RawCall, Transport},
};

/// A handle to the destination of calls: a connection to a Volt, or services in this process.
///
/// Cloning is cheap and returns another handle to the same connection. One channel carries any
/// number of concurrent calls. The connection closes when the last handle has been dropped and the
/// last call on it has ended.
///
/// The default options belong to the handle, not to the connection: [`with_defaults`](Self::with_defaults)
/// and [`with_unary_timeout`](Self::with_unary_timeout) leave other clones as they are.
///
/// ```no_run
/// # use std::time::Duration;
/// # use volt_runtime::{CallOptions, Channel};
/// # fn example(channel: Channel) {
/// let mut options = CallOptions::default();
/// options.max_attempts = 1;
/// // The same connection, for calls that are never retried and have ten seconds.
/// let strict =
///     channel.clone().with_defaults(options).with_unary_timeout(Some(Duration::from_secs(10)));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Channel {
    transport: Arc<dyn Transport>,
    defaults: Defaults,
}

/// The default options of a channel's calls.
#[derive(Clone, Debug)]
struct Defaults {
    unary_timeout: Option<Duration>,
    options: CallOptions,
}

/// The default timeout of unary calls.
pub(crate) const UNARY_TIMEOUT: Duration = Duration::from_mins(1);

impl Channel {
    /// Creates a channel over any transport, such as one of your own for tests. The websocket client's is
    /// created by [`connect`](crate::connect).
    pub fn new(transport: impl Transport) -> Self {
        Self {
            transport: Arc::new(transport),
            defaults: Defaults {
                unary_timeout: Some(UNARY_TIMEOUT),
                options: CallOptions::default(),
            },
        }
    }

    /// Creates a channel to services in this process: the same calls, without network or
    /// encryption. To mock a Volt, implement the relevant methods of a generated server trait and
    /// add it to a [`Router`].
    ///
    /// Callers have no token and are anonymous, and no [`Authenticator`](crate::server::Authenticator) is
    /// asked. [`server`](crate::server) has an example.
    ///
    /// Handlers run as tasks of the tokio runtime on which the calls are made; a call that is made outside
    /// of a runtime panics. [`close`](Self::close) does not stop running handlers.
    pub fn in_process(router: Router) -> Self {
        Self::in_process_with(router, Encoding::Json)
    }

    /// As [`in_process`](Self::in_process), with a choice of encoding.
    #[doc(hidden)]
    pub fn in_process_with(router: Router, encoding: Encoding) -> Self {
        Self::new(InProcess::new(router, encoding))
    }

    /// Sets the timeout of unary calls that do not set one themselves; `None` means no timeout. The
    /// default is one minute. Streaming calls have no timeout unless they set one.
    pub fn with_unary_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.defaults.unary_timeout = timeout;
        self
    }

    /// Sets the options of calls that do not set them themselves. `options.timeout` also applies to
    /// streams, and takes precedence over the [unary timeout](Self::with_unary_timeout).
    pub fn with_defaults(mut self, options: CallOptions) -> Self {
        self.defaults.options = options;
        self
    }

    /// Closes the connection permanently: no further calls can be made through this or any other
    /// handle. Accepted messages are written, and half-closed calls that await a single response
    /// receive it, within [`close_timeout`](crate::ConnectOptions::close_timeout). All others fail:
    /// streams that only receive, and calls that are not half-closed.
    ///
    /// # Cancel safety
    ///
    /// The connection closes even if the future is dropped; awaiting it only waits for the end.
    pub async fn close(&self) {
        self.transport.close().await;
    }

    /// Returns the number of open calls on the connection, through any handle. Dropped calls count
    /// until their cancellation is sent to the Volt.
    pub fn open_calls(&self) -> usize {
        self.transport.open_calls()
    }

    /// Returns a watch of the connection's state, through which a program can report an outage or wait
    /// for its end. A channel within the process is connected until it is closed.
    pub fn watch_state(&self) -> StateWatch {
        self.transport.state()
    }

    pub(crate) fn ready(&self) -> Option<BoxFuture<Result<()>>> {
        self.transport.ready()
    }

    /// Returns the options with which a builder for this method begins.
    pub(crate) fn options(&self, method: &Method) -> CallOptions {
        let mut options = self.defaults.options.clone();
        // Streams may be meant to last, such as subscriptions.
        let streams = method.kind.client_streams() || method.kind.server_streams();
        if options.timeout.is_none() && !streams {
            options.timeout = self.defaults.unary_timeout;
        }
        options
    }

    pub(crate) fn open_apart(
        &self,
        method: &'static Method,
        options: &CallOptions,
    ) -> Option<BoxFuture<Result<RawCall>>> {
        self.transport.open_apart(method, options)
    }

    pub(crate) fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        self.transport.open(method, options).map_err(|error| error.with_method(method.path))
    }
}
