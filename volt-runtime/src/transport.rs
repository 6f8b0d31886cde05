//! The interface between typed calls and their transport.
//!
//! A transport moves messages without knowing their types. An outgoing message is a [`Payload`],
//! which the transport writes as JSON or as protobuf; an incoming one is a [`Body`] in either
//! encoding. The websocket client is a transport, with JSON;
//! [`Channel::in_process`](crate::Channel::in_process) is another. The same two halves serve both
//! ends of a call.
//!
//! # Order of operations
//!
//! [`Transport::open`] returns a [`RawCall`]. The caller then drives its halves independently, and each by
//! one task at a time:
//!
//! - Sending: [`poll_ready`](SendHalf::poll_ready) before each [`send`](SendHalf::send), then
//!   [`end`](SendHalf::end). Or [`send_first`](SendHalf::send_first) for a single request that may wait for
//!   the connection without a task.
//! - Receiving: [`poll_message`](ReceiveHalf::poll_message) until it returns `None` or an error.
//!
//! The receiving half of a client owns the call: dropping it cancels the call, regardless of the
//! sending half. Deadlines, retries and types are the caller's business ([`call`](crate::call)); a
//! transport enforces its own limits and reports in [`Error::executed`](crate::Error::executed) whether
//! the peer can have acted.
//!
//! A custom transport is for tests and for other wire formats: implement [`Transport`] and pass it to
//! [`Channel::new`](crate::Channel::new).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use crate::{CallOptions, Method, Result, StateWatch, Status};
pub use crate::{
    json::Form,
    message::{Body, DecodeError, Encoding, Payload},
};

/// The transport that a client connects with.
///
/// Both carry the same calls. The choice is logged, and shown by the `Debug` of a
/// [`Channel`](crate::Channel).
///
/// | | websocket | gRPC |
/// |---|---|---|
/// | address | `http_address`, with a scheme | `address`, as `host:port` |
/// | encryption | of each call | TLS; of each call too, through relays |
/// | the Volt is identified by | its key, in each call | its certificate; its key through relays |
/// | messages | JSON | protobuf |
/// | flow control | of the connection | of each call, and of the connection |
///
/// Over gRPC, the limits that concern keys, pre-opened calls and a websocket's flow control have no
/// effect: [`own_connection`](CallOptions::own_connection), [`overflow`](CallOptions::overflow),
/// `preopened_calls`, and without a relay `key_exchange_timeout`.
///
/// A slow reader delays only its own call, unless the unread responses of all calls, of up to 1 MiB each, fill
/// [`connection_buffer`](crate::ConnectOptions::connection_buffer). Then all calls wait until it reads.
///
/// # Errors over gRPC
///
/// | failure | kind | code | executed |
/// |---|---|---|---|
/// | `status` in a response | refused | that of the status | yes |
/// | a status in the trailers | failed | that of the status | yes; maybe, if an intermediary may have sent it |
/// | `UNAUTHENTICATED` in an answer of headers alone | routing | unauthenticated | no |
/// | the same in trailers | failed | unauthenticated | maybe; yes after a response |
/// | the same, `DEADLINE_EXCEEDED`, and the call has a deadline | deadline | deadline exceeded | maybe |
/// | no status, a message that is damaged or truncated, another encoding | protocol | internal | maybe |
/// | no response with status OK, or more than one to a unary call | protocol | internal | maybe |
/// | a response of more than 64 MiB | resource exhausted | resource exhausted | maybe |
/// | an answer that is not gRPC: HTTP 503, a page of HTML | routing | by the HTTP status | maybe |
/// | `REFUSED_STREAM` | routing | unavailable | no |
/// | another `RST_STREAM` | failed | by its reason | maybe |
/// | an answer that violates HTTP/2 | protocol | internal | maybe |
/// | `GOAWAY` that excludes the call | connection | unavailable | no |
/// | the connection is lost, or a ping is not answered | connection | unavailable | maybe |
/// | no connection | connection | unavailable | no |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// The one that the configuration announces, in `volt.relay` if there is one, else in `volt`: the
    /// websocket if there is an `http_address`, else gRPC if `address` is `host:port` and the program
    /// was built with the feature `grpc`. An RSA key always means the websocket.
    #[default]
    Automatic,
    /// The websocket. Without an `http_address`, the client guesses it from `address`.
    Websocket,
    /// gRPC, which needs the feature `grpc`. The address is `host:port`, or begins with `https://`, or
    /// with `http://` where the server speaks HTTP/2 without TLS.
    Grpc,
}

/// A boxed future without borrows.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// A transport for calls to a Volt. See the [module](self) for how its calls are driven.
///
/// This one refuses every call, to test a program without a Volt:
///
/// ```
/// use volt_runtime::{
///     CallOptions, Channel, Error, Method, Result,
///     transport::{BoxFuture, RawCall, Transport},
/// };
///
/// #[derive(Debug)]
/// struct Offline;
///
/// impl Transport for Offline {
///     fn open(&self, _: &'static Method, _: &CallOptions) -> Result<RawCall> {
///         Err(Error::connection("this program is offline"))
///     }
///
///     fn close(&self) -> BoxFuture<()> {
///         Box::pin(std::future::ready(()))
///     }
///
///     fn open_calls(&self) -> usize {
///         0
///     }
/// }
///
/// let channel = Channel::new(Offline);
/// assert_eq!(channel.open_calls(), 0);
/// ```
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Opens a call. This never waits for the peer: a refusal is reported when the call is read.
    ///
    /// # Errors
    ///
    /// Fails if there is no connection, or the options cannot be met.
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall>;

    /// Opens a call apart from the others, on its own connection if possible: see
    /// [`CallOptions::own_connection`]. Returns `None` if the transport has no such connections; the
    /// caller then uses [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// Same as [`open`](Self::open).
    fn open_apart(
        &self,
        method: &'static Method,
        options: &CallOptions,
    ) -> Option<BoxFuture<Result<RawCall>>> {
        let _ = (method, options);
        None
    }

    /// Waits until calls can be opened. Returns `None` if they can be opened now. The default is `None`:
    /// a transport without connections is always ready.
    ///
    /// # Errors
    ///
    /// Fails if the transport is closed permanently.
    fn ready(&self) -> Option<BoxFuture<Result<()>>> {
        None
    }

    /// Returns a watch of the connection's state. The default never changes. Calls are not retried, and
    /// subscriptions not reopened, once the state is
    /// [`Closed`](crate::ConnectionState::Closed).
    fn state(&self) -> StateWatch {
        StateWatch::connected()
    }

    /// Returns the server that calls go to, for spans and metrics. The default is `None`: unknown, or in
    /// this process.
    fn server(&self) -> Option<&ServerAddress> {
        None
    }

    /// Closes the connection. Calls that only await their single response receive it; all others
    /// fail. The future resolves when the connection has closed.
    fn close(&self) -> BoxFuture<()>;

    /// Returns the number of open calls, including those whose end has not been sent to the peer
    /// yet.
    fn open_calls(&self) -> usize;
}

/// The server of a transport, as it is configured: for spans and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerAddress {
    /// The RPC system, `rpc.system.name` of OpenTelemetry's conventions: `grpc`, or `volt` for Volt's
    /// protocol on a websocket.
    pub system: &'static str,
    /// The host, without brackets if it is an IPv6 address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl ServerAddress {
    /// Creates the address of a server.
    pub fn new(system: &'static str, host: impl Into<String>, port: u16) -> Self {
        Self { system, host: host.into(), port }
    }
}

/// The two halves of one end of a call. They are independent: each may move to its own task.
pub struct RawCall {
    /// The sending half.
    pub sender: Box<dyn SendHalf>,
    /// The receiving half. On a client, dropping it before its end cancels the call.
    pub receiver: Box<dyn ReceiveHalf>,
}

impl fmt::Debug for RawCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCall").finish_non_exhaustive()
    }
}

/// The sending half of one end of a call.
pub trait SendHalf: Send {
    /// Waits until [`send`](Self::send) may be called.
    ///
    /// # Errors
    ///
    /// Fails if the call can send no further messages, because it has ended or its connection is
    /// lost.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// Accepts a message for sending. `Ok` means accepted, not delivered. The message is written before
    /// this returns, so the caller may change or drop it.
    ///
    /// # Errors
    ///
    /// Fails if the message cannot be written, or the half is not ready. The call stays open, and
    /// another message may be sent.
    fn send(&mut self, message: &dyn Payload) -> Result<()>;

    /// Sends the first message in the background, as soon as the half is ready; `last` is set if no
    /// other follows, and this half then ends with it. It is not sent after `deadline`. Failures are
    /// reported by the receiving half.
    ///
    /// Do not drop this half before the other one.
    fn send_first(&mut self, message: Arc<dyn Payload>, last: bool, deadline: Option<Instant>);

    /// Ends this half, with the reason if it is a failure: a client's half-close, a server's end.
    /// Never waits. A second call does nothing.
    fn end(&mut self, failure: Option<&Status>);
}

/// The receiving half of one end of a call.
pub trait ReceiveHalf: Send {
    /// Reads the next message. Returns `None` after a clean end. Must not be called
    /// after an error.
    ///
    /// A client does not read after the end. A server may: this waits until the caller cancels or
    /// disconnects, which is an error.
    ///
    /// # Errors
    ///
    /// Fails if the peer ended the call with an error, or the call failed.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>>;

    /// Waits until nothing more can arrive because the call has failed, for example with its
    /// connection. Earlier messages can still be read, followed by the reason. Lets a server stop a
    /// handler early. The default never resolves: a failure is then seen only after everything has
    /// been read.
    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Pending
    }
}
