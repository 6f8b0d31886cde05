//! The handle that typed clients make their calls on.

use std::{sync::Arc, time::Duration};

use crate::{
    error::Result,
    method::Method,
    options::CallOptions,
    server::{InProcess, Router},
    state::StateWatch,
    transport::{BoxFuture, RawCall, Transport},
};

/// Where calls go: one connection to a Volt, or a service in this process.
///
/// Cloning is cheap and gives another handle to the same connection. One channel carries any number
/// of calls at once. When the last handle is dropped, and the last call on it has ended, the
/// connection closes.
#[derive(Clone, Debug)]
pub struct Channel {
    transport: Arc<dyn Transport>,
    defaults: Defaults,
}

/// What calls on a channel get that do not ask for something else.
#[derive(Clone, Debug)]
struct Defaults {
    unary_timeout: Option<Duration>,
    options: CallOptions,
}

/// How long a unary call may take if nothing else is said.
pub(crate) const UNARY_TIMEOUT: Duration = Duration::from_mins(1);

impl Channel {
    /// A channel over any transport.
    pub fn new(transport: impl Transport) -> Self {
        Self {
            transport: Arc::new(transport),
            defaults: Defaults {
                unary_timeout: Some(UNARY_TIMEOUT),
                options: CallOptions::default(),
            },
        }
    }

    /// A channel to services in this process: no network, no encryption, the same calls. A mock of
    /// a Volt is a generated server trait with the methods that matter, in a [`Router`].
    ///
    /// Handlers run as tasks of the tokio runtime that the calls are made on. [`close`](Self::close)
    /// lets those that run already go on.
    pub fn in_process(router: Router) -> Self {
        Self::new(InProcess::new(router))
    }

    /// Sets how long unary calls may take that set no timeout themselves; `None` is for ever. The
    /// default is one minute. Streaming calls have no timeout unless they set one.
    pub fn with_unary_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.defaults.unary_timeout = timeout;
        self
    }

    /// Sets the options of calls that do not set them themselves.
    pub fn with_defaults(mut self, options: CallOptions) -> Self {
        self.defaults.options = options;
        self
    }

    /// Ends the connection: no further calls can be made, by this handle or another, and it is not
    /// made again. What has been accepted is written, and calls that have said all that they had to
    /// say get their answer, within
    /// [`close_timeout`](crate::ConnectOptions::close_timeout). All others fail: streams
    /// that only receive, and those that may still be sent something.
    ///
    /// # Cancel safety
    ///
    /// The connection ends even if the future is dropped; awaiting it only says when.
    pub async fn close(&self) {
        self.transport.close().await;
    }

    /// How many calls are open on the connection, by any handle. Calls that have been dropped count
    /// until the Volt can be told.
    pub fn open_calls(&self) -> usize {
        self.transport.open_calls()
    }

    /// Whether there is a connection, now and later.
    pub fn watch_state(&self) -> StateWatch {
        self.transport.state()
    }

    pub(crate) fn ready(&self) -> Option<BoxFuture<Result<()>>> {
        self.transport.ready()
    }

    pub(crate) fn options(&self, method: &Method) -> CallOptions {
        let mut options = self.defaults.options.clone();
        let streams = method.kind.client_streams() || method.kind.server_streams();
        if options.timeout.is_none() && !streams {
            options.timeout = self.defaults.unary_timeout;
        }
        options
    }

    pub(crate) fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        self.transport.open(method, options).map_err(|error| error.with_method(method.path))
    }
}
