//! The handle through which typed clients make their calls.
//!
//! A channel is a shared [`Transport`] and the default options of calls. It erases the type of the
//! transport once, so that clients and builders are not generic over it.

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    error::Result,
    intercept::{Chain, ClientInterceptor, Watch},
    message::Encoding,
    method::Method,
    options::CallOptions,
    renewal::Renewer,
    server::{Router, in_process::InProcess},
    state::StateWatch,
    testing::{
        record::{Recorder, Tape},
        replay::Replay,
    },
    transport::{BoxFuture, RawCall, Transport},
};

/// A handle to the destination of calls: a connection to a Volt, or services in this process.
///
/// Cloning is cheap and returns another handle to the same connection. One channel carries any
/// number of concurrent calls. The connection closes when the last handle has been dropped and the
/// last call on it has ended.
///
/// The default options and the interceptors belong to the handle, not to the connection:
/// [`with_defaults`](Self::with_defaults), [`with_unary_timeout`](Self::with_unary_timeout) and
/// [`intercept`](Self::intercept) leave other clones as they are.
///
/// # Sessions
///
/// With `ConnectOptions::renewal`, a call that the Volt rejects for its session, before it was executed,
/// waits for a renewal and is then retried once:
///
/// | call | continues |
/// |---|---|
/// | unary | always |
/// | server streaming, subscription | until its first response |
/// | client streaming, bidirectional | on a websocket. Awaiting the call then includes its key exchange |
///
/// Over gRPC, the last kind fails with [`Code::Unauthenticated`](crate::Code), because requests leave
/// before the Volt has checked the session.
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
    renewer: Option<Arc<Renewer>>,
    /// Shared with the builders of calls.
    defaults: Arc<Defaults>,
}

/// The default options of a channel's calls, and their interceptors.
#[derive(Clone, Debug)]
struct Defaults {
    unary_timeout: Option<Duration>,
    options: CallOptions,
    interceptors: Chain<dyn ClientInterceptor>,
}

/// The default timeout of unary calls.
pub(crate) const UNARY_TIMEOUT: Duration = Duration::from_mins(1);

impl Channel {
    /// Creates a channel over any transport, such as a custom one for tests. The websocket client's
    /// is created by [`connect`](crate::connect).
    pub fn new(transport: impl Transport) -> Self {
        Self {
            transport: Arc::new(transport),
            renewer: None,
            defaults: Arc::new(Defaults {
                unary_timeout: Some(UNARY_TIMEOUT),
                options: CallOptions::default(),
                interceptors: Chain::default(),
            }),
        }
    }

    /// Returns a channel whose transport wraps the one of this channel, with the same defaults.
    pub(crate) fn wrap<T: Transport>(self, wrap: impl FnOnce(Arc<dyn Transport>) -> T) -> Self {
        let Self { transport, renewer, defaults } = self;
        Self { transport: Arc::new(wrap(transport)), renewer, defaults }
    }

    #[cfg(feature = "client")]
    pub(crate) fn with_renewer(mut self, renewer: Renewer) -> Self {
        self.renewer = Some(Arc::new(renewer));
        self
    }

    pub(crate) fn renewer(&self) -> Option<&Arc<Renewer>> {
        self.renewer.as_ref()
    }

    /// Creates a channel to services in this process: the same calls, without network or
    /// encryption. To mock a Volt, implement the relevant methods of a generated server trait and
    /// add it to a [`Router`].
    ///
    /// Callers have no token and are anonymous, and no [`Authenticator`](crate::server::Authenticator)
    /// runs. [`server`](crate::server) has an example.
    ///
    /// Handlers run as tasks of the tokio runtime on which the calls are made; a call that is made outside
    /// of a runtime panics. [`close`](Self::close) does not stop running handlers.
    #[doc(alias = "mock")]
    pub fn in_process(router: Router) -> Self {
        Self::in_process_with(router, Encoding::Json)
    }

    /// Returns a handle to the same connection whose calls are recorded in a file, for tests that
    /// [replay](Self::replay) them. An existing file is replaced.
    ///
    /// The file has a line of JSON for each call, written when the call ends: the messages of both directions
    /// in their order, and the end. All four kinds of call are recorded, and so are errors. A dropped call is
    /// recorded up to the drop.
    ///
    /// Secret fields of the Volt API and private keys are replaced by `(hidden)`: those that messages omit
    /// from `Debug`. [`record_hiding`](Self::record_hiding) adds fields of your own `.proto` files. Other
    /// content is recorded unchanged: do not record confidential content.
    ///
    /// A record does not depend on the transport: calls over gRPC are recorded as JSON, too. A message without a
    /// JSON form, such as an `Any` of an unknown type, fails its call.
    ///
    /// ```no_run
    /// # async fn example(channel: volt_runtime::Channel) -> volt_runtime::Result<()> {
    /// let recorded = channel.record("tests/search.jsonl")?;
    /// // Make the calls of the test here. Then, in the test, without a Volt:
    /// let replayed = volt_runtime::Channel::replay("tests/search.jsonl")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written. If a call cannot be written later, it fails.
    #[doc(alias = "vcr")]
    #[doc(alias = "cassette")]
    pub fn record(&self, path: impl AsRef<Path>) -> Result<Self> {
        self.record_hiding(path, &[])
    }

    /// Like [`record`](Self::record), with further secret fields, by their names in the `.proto`.
    ///
    /// # Errors
    ///
    /// Same as [`record`](Self::record).
    pub fn record_hiding(&self, path: impl AsRef<Path>, fields: &[&str]) -> Result<Self> {
        let hidden = fields.iter().map(|field| (*field).to_owned()).collect();
        let tape = Tape::create(path.as_ref(), hidden)?;
        Ok(self.clone().wrap(|inner| Recorder::new(inner, tape)))
    }

    /// Creates a channel that answers calls from a [record](Self::record), without a Volt.
    ///
    /// - A call takes the first unused call of the record with the same method, service and first request.
    ///   Each is used once, so calls with the same request are answered in the order of the record. Calls with
    ///   different requests may be made in any order, and at once.
    /// - Its further requests must be the recorded ones, in their order.
    /// - A response is returned once the requests that preceded it in the record have been sent.
    /// - Secrets are hidden in requests before they are compared, so they may differ.
    ///
    /// Requests with random or current values do not match. Among the helpers of `volt-api`, `execute` and
    /// `transaction` of SQL mark their statements at random.
    ///
    /// A call that does not match fails with [`ErrorKind::Configuration`](crate::ErrorKind) and the first
    /// difference.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or a line is not a valid line of a record.
    pub fn replay(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(Replay::open(path.as_ref())?))
    }

    /// Like [`in_process`](Self::in_process), with a choice of encoding.
    #[doc(hidden)]
    pub fn in_process_with(router: Router, encoding: Encoding) -> Self {
        Self::new(InProcess::new(router, encoding))
    }

    /// Sets the timeout of unary calls that do not set one themselves; `None` means no timeout. The
    /// default is one minute. Streaming calls have no timeout unless they set one.
    pub fn with_unary_timeout(mut self, timeout: Option<Duration>) -> Self {
        Arc::make_mut(&mut self.defaults).unary_timeout = timeout;
        self
    }

    /// Sets the options of calls that do not set them themselves. `options.timeout` also applies to
    /// streams, and takes precedence over the [unary timeout](Self::with_unary_timeout).
    pub fn with_defaults(mut self, options: CallOptions) -> Self {
        Arc::make_mut(&mut self.defaults).options = options;
        self
    }

    /// Passes the calls of this handle through an interceptor, which sees each call before it is made
    /// and after it has ended: see [`intercept`](crate::intercept). Calls of other handles do not pass it.
    ///
    /// Interceptors that were added first are the outer ones: they see a call first, and its end last.
    ///
    /// ```
    /// use volt_runtime::{
    ///     Channel,
    ///     intercept::{After, OutgoingCall},
    /// };
    ///
    /// # fn example(channel: Channel) -> Channel {
    /// channel.intercept(|call: &mut OutgoingCall| {
    ///     let method = call.method.path;
    ///     Ok(After::new(move |outcome| println!("{method}: {}", outcome.code())))
    /// })
    /// # }
    /// ```
    #[doc(alias = "middleware")]
    pub fn intercept(mut self, interceptor: impl ClientInterceptor) -> Self {
        Arc::make_mut(&mut self.defaults).interceptors.push(Arc::new(interceptor));
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

    /// Returns the interceptors of the calls.
    pub(crate) fn interceptors(&self) -> &Chain<dyn ClientInterceptor> {
        &self.defaults.interceptors
    }

    /// Begins to watch a call, if there is an observer of its end.
    pub(crate) fn watch(&self, method: &'static Method) -> Watch {
        let intercepted = !self.defaults.interceptors.is_empty();
        Watch::client(method, intercepted, || self.transport.server())
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
