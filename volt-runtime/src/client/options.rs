//! Options for establishing and maintaining a connection.
//!
//! The options of single calls are in [`CallOptions`](crate::CallOptions).

use std::time::Duration;

use super::{connector::Connector, proxy::Proxy};
use crate::{Keepalive, Reconnect, Renewal, TransportKind};

/// Options for establishing and maintaining a connection, for [`connect`](crate::connect) and
/// `volt_api::Client::connect_with`.
///
/// ```
/// use std::time::Duration;
/// use volt_runtime::{ConnectOptions, Proxy};
///
/// # fn main() -> volt_runtime::Result<()> {
/// let mut options = ConnectOptions::default();
/// options.connect_timeout = Duration::from_secs(3);
/// options.proxy = Proxy::new("http://proxy.example:3128")?;
/// // Two calls are opened in advance and need one round trip less.
/// options.preopened_calls = 2;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The transport: websocket or gRPC. Default: the one that the configuration announces.
    pub transport: TransportKind,
    /// The timeout of one attempt to connect: the host's name, TCP, a proxy, TLS and the websocket
    /// or HTTP/2 handshake together. Default 10 seconds.
    pub connect_timeout: Duration,
    /// The proxy. Default: that of the [environment](Proxy::from_environment).
    pub proxy: Proxy,
    /// A function that connects to the Volt's or relay's host, in place of name resolution, TCP and any
    /// proxy. Default `None`.
    pub connector: Option<Connector>,
    /// The timeout for the key exchange that each call begins with. A call that exceeds it fails,
    /// and was certainly not executed. It does not run while a message that takes longer than a second
    /// is arriving. Default 15 seconds.
    pub key_exchange_timeout: Duration,
    /// The time for which a token and its ephemeral key may be reused for further calls. Default 30
    /// seconds, which is also the maximum; zero creates new ones for each call.
    ///
    /// Reuse saves each call a signature and a key generation, and a Volt that caches the token a
    /// verification. The Volt still draws its own ephemeral key for each call, so no two calls are
    /// encrypted with the same key. The cost is forward secrecy: the private half stays in memory
    /// for this long, and an attacker who reads it there can decrypt all recorded calls that were
    /// opened with it, rather than only the open calls. Calls that need more set
    /// [`CallOptions::fresh_key`](crate::CallOptions).
    pub token_lifetime: Duration,
    /// The number of calls that are pre-opened, with their keys already exchanged. A call that uses one
    /// needs one round trip to the Volt instead of two. Default 0.
    ///
    /// Pre-opened calls go to the Volt itself. Calls to other services and calls with
    /// [`CallOptions::fresh_key`](crate::CallOptions) are opened when they are made, and so is every
    /// call while the pool is empty. Each call taken from the pool is replaced in the background. They
    /// count against the Volt's call limit but not against `max_calls`. A pre-opened call that the Volt
    /// ends is discarded; one that the Volt forgets silently is not detected, and the call that uses it
    /// is never answered.
    pub preopened_calls: usize,
    /// The maximum age at which a pre-opened call may be taken. Default 30 seconds. Older ones are ended,
    /// and replaced when the next call is made: an unused connection stays silent.
    pub preopened_max_age: Duration,
    /// The time for which [closing](crate::Channel::close) waits for answers that are due, and then, for as
    /// long again, for queued frames to be written and for the Volt's close frame. Default 5
    /// seconds.
    pub close_timeout: Duration,
    /// Detection of a Volt that has vanished without closing the connection. Default: after 40
    /// seconds of silence. Over gRPC, there are pings only while calls are open, and at least 30 seconds
    /// apart, because servers end connections that ping more often.
    pub keepalive: Option<Keepalive>,
    /// The backoff for re-establishing a lost connection; `None` disables reconnecting. The first
    /// connection is tried only once, unless [`retry_first`](Self::retry_first) is set. A server that asks for a later attempt
    /// ([`Error::retry_after`](crate::Error::retry_after)) adds its delay to that of the backoff, up to
    /// five minutes.
    #[doc(alias = "retry")]
    pub reconnect: Option<Reconnect>,
    /// Also retries the first connection, with the same backoff, until
    /// [`Reconnect::give_up_after`]. Default false. Each failure is logged as a warning. An invalid
    /// configuration fails at once. Has no effect if [`reconnect`](Self::reconnect) is `None`.
    pub retry_first: bool,
    /// Obtains a new session after the Volt has rejected the current one. Default `None`: such calls fail.
    /// See [`Renewal`], and [`Channel`](crate::Channel#sessions) for which calls continue.
    pub renewal: Option<Renewal>,
    /// The maximum size of a message, in bytes; a larger one ends the connection. The default of
    /// 128 MiB leaves room for the 64 MiB that the API allows in one response, as base64. Over gRPC, the
    /// limit is never above 64 MiB, and a larger message fails its own call only.
    pub max_message_size: usize,
    /// The maximum size of a message to the Volt on the wire, in bytes. A larger one fails its own
    /// call with [`ErrorKind::ResourceExhausted`](crate::ErrorKind) before anything of it is sent; a
    /// Volt would end the connection. The default of 96 MiB leaves room for the 64 MiB that the API
    /// allows in one request, as base64.
    pub max_sent_message_size: usize,
    /// The maximum number of open calls; a further one fails with
    /// [`ErrorKind::ResourceExhausted`](crate::ErrorKind). Default 65,536.
    pub max_calls: usize,
    /// The maximum number of bytes of unread responses, for all calls together, in addition to each
    /// call's own [limit](crate::CallOptions::receive_buffer). When it is reached, the overflow
    /// policy of the call for which more arrives applies; calls that exceed their own limits leave a
    /// quarter of it to the others. Calls on their own connections share another such buffer. Default
    /// 64 MiB.
    pub connection_buffer: usize,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            transport: TransportKind::Automatic,
            connect_timeout: Duration::from_secs(10),
            proxy: Proxy::from_environment(),
            connector: None,
            key_exchange_timeout: Duration::from_secs(15),
            token_lifetime: Duration::from_secs(30),
            preopened_calls: 0,
            preopened_max_age: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            keepalive: Some(Keepalive::default()),
            reconnect: Some(Reconnect::default()),
            retry_first: false,
            renewal: None,
            max_message_size: 128 << 20,
            max_sent_message_size: 96 << 20,
            max_calls: 65_536,
            connection_buffer: 64 << 20,
        }
    }
}
