//! The limits and policies of a server.
//!
//! Every limit applies to one peer unless stated otherwise. Without it, the peer could use up the
//! server's memory, time or places.

use std::time::Duration;

use crate::{Keepalive, Overflow, proto::token};

/// Limits and policies of a server. Set with
/// [`ServiceHost::with_options`](super::ServiceHost::with_options).
///
/// The defaults suit a server on a public network. A tunnel applies the limits on calls, from
/// [`max_calls`](Self::max_calls) to [`overflow`](Self::overflow), and
/// [`invoke_timeout`](Self::invoke_timeout); the others are applied by its websocket.
///
/// They are described for websockets. Over gRPC, a violation ends the call alone where it can, a call
/// names its method with its first message, and HTTP/2's flow control takes the place of `overflow`,
/// which limits how long a message of more than 64 KiB waits for memory of the connection.
///
/// ```
/// use std::time::Duration;
/// use volt_runtime::server::{AllowedOrigins, ServerOptions};
///
/// let mut options = ServerOptions::default();
/// options.max_message_size = 8 << 20;
/// options.drain_timeout = Duration::from_secs(10);
/// options.allowed_origins = AllowedOrigins::List(vec!["https://app.example".to_owned()]);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The maximum size of a message on the wire, in bytes; a larger one ends its connection. Default
    /// 128 MiB: requests have up to 64 MiB, and base64 and encryption add a third and more.
    pub max_message_size: usize,
    /// The maximum size of a message, in bytes, until a call of its connection was admitted with a
    /// session. A larger message is not read until then, and ends its connection after the
    /// [handshake timeout](Self::handshake_timeout). Default 256 KiB, twice the largest key exchange.
    ///
    /// It does not apply to legacy messages of a host that speaks the legacy protocol, because a
    /// legacy call brings its first request together with its token. A host whose authenticator
    /// admits callers without a session should raise it to the largest message that it expects.
    pub unauthenticated_message_size: usize,
    /// The maximum number of bytes held for all connections that have no session yet: in messages over
    /// 16 KiB, in queues, and for open calls, which count as 2 KiB each. A connection that would exceed it
    /// ends. Default 64 MiB.
    pub unauthenticated_bytes: usize,
    /// The time within which a message must arrive whole, for each MiB of it. The connection of a
    /// slower one ends. Time during which the server does not read does not count. Default 20
    /// seconds.
    pub message_timeout: Duration,
    /// The maximum number of connections; further ones are answered with HTTP status 503. Default
    /// 4,096.
    pub max_connections: usize,
    /// The maximum number of connections from one address that have no session: no call of theirs was
    /// admitted with one yet. Further ones are answered with HTTP status 503. Default 256.
    ///
    /// With IPv6, a network of 64 bits counts as one address. Connections from this machine are not
    /// counted: a proxy on it must limit its clients itself. A host whose authenticator admits callers
    /// without a session should raise it to the number of connections that it expects from one address.
    pub max_unauthenticated_per_address: usize,
    /// The maximum number of open calls per connection; further ones are rejected. Calls that have
    /// not named their method yet count for [`max_key_exchanges`](Self::max_key_exchanges) instead.
    /// Default 16,384.
    pub max_calls: usize,
    /// The maximum number of calls per connection that have not named their method yet. Beyond it,
    /// the oldest one ends if it is at least 5 seconds old; otherwise the new call is rejected.
    /// Default 4,096.
    pub max_key_exchanges: usize,
    /// The maximum number of calls per connection that are forwarded to another host and have not
    /// named their method yet. Further ones wait, and are forwarded one after another. Default 64.
    pub max_relayed_exchanges: usize,
    /// The maximum number of bytes of unread requests of one call. Default 4 MiB. One message is always
    /// accepted, regardless of its size.
    pub receive_buffer: usize,
    /// The maximum number of bytes of unread requests, for all calls of a connection together.
    /// Default 64 MiB.
    pub connection_buffer: usize,
    /// The policy for when either limit is reached. By default the connection is not read for up to
    /// 5 seconds, then the call fails.
    pub overflow: Overflow,
    /// The timeout for the TLS and websocket handshakes, or for a plain HTTP request. Default 10
    /// seconds.
    pub handshake_timeout: Duration,
    /// The time for which [`Server::shutdown`](crate::server::Server::shutdown) waits for half-closed
    /// calls to end, and then, for as long again, for queued frames to be written and for the client's
    /// close frame. Default 5 seconds. Callers that open a call meanwhile learn that they are too late
    /// only when the connection closes, so the timeout should be shorter than the callers' key exchange
    /// timeout (15 seconds in this crate).
    pub drain_timeout: Duration,
    /// Detection of clients that have vanished without closing the connection, with websocket pings.
    /// Default `None`, because one published client crashes on a ping; enable it where that client
    /// is not used.
    pub keepalive: Option<Keepalive>,
    /// The silence after which the system probes, with TCP keepalive, whether the client's machine
    /// can still be reached. A connection ends if its machine does not answer four probes, a
    /// quarter of this time apart. Clients do not notice. Default one minute; `None` leaves it to
    /// the system, which usually never probes.
    pub tcp_keepalive: Option<Duration>,
    /// The time within which a call must name its method after it was opened. Default 2 minutes,
    /// the validity period of its token. Calls that are forwarded to another host have at most 15
    /// seconds.
    pub invoke_timeout: Duration,
    /// The time after which a connection is closed if its client accepts no data that is waiting to be
    /// written. Default one minute. An idle connection is not affected.
    pub write_timeout: Duration,
    /// The web pages that may connect. Default [`AllowedOrigins::SameHost`].
    pub allowed_origins: AllowedOrigins,
    /// Enables the legacy protocol, if the host [has a key for
    /// it](crate::server::ServiceHost::with_legacy). Default true.
    pub legacy: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_message_size: 128 << 20,
            unauthenticated_message_size: 256 << 10,
            unauthenticated_bytes: 64 << 20,
            message_timeout: Duration::from_secs(20),
            max_connections: 4096,
            max_unauthenticated_per_address: 256,
            max_calls: 16_384,
            max_key_exchanges: 4096,
            max_relayed_exchanges: 64,
            receive_buffer: 4 << 20,
            connection_buffer: 64 << 20,
            overflow: Overflow::Wait(Duration::from_secs(5)),
            handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(5),
            keepalive: None,
            tcp_keepalive: Some(Duration::from_mins(1)),
            invoke_timeout: Duration::from_secs(token::TTL + token::LEEWAY),
            write_timeout: Duration::from_mins(1),
            allowed_origins: AllowedOrigins::default(),
            legacy: true,
        }
    }
}

/// The web pages whose scripts may send requests to a server, by the `Origin` that their browser
/// states. Requests of other pages are answered with HTTP status 403.
///
/// Programs other than browsers state no origin, and are always served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllowedOrigins {
    /// Pages of the requested host, on any port, and of this machine.
    #[default]
    SameHost,
    /// Also pages of these origins, such as `https://app.example`. `null` means local files and
    /// sandboxed frames.
    List(Vec<String>),
    /// All pages. Choose it for a server that web pages everywhere use.
    Any,
}
