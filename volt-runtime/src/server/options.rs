//! Limits of a server.

use std::time::Duration;

use crate::{Keepalive, Overflow, proto::token};

/// Limits of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The maximum size of a message, in bytes; a larger one ends its connection. Default 128 MiB.
    pub max_message_size: usize,
    /// The maximum number of connections; further ones are closed as they arrive. Default 4,096.
    pub max_connections: usize,
    /// The maximum number of open calls per connection; further ones are rejected. Default 16,384.
    pub max_calls: usize,
    /// The maximum number of bytes of unread requests of one call. Default 4 MiB.
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
    /// How long [`Server::shutdown`](super::Server::shutdown) waits for half-closed calls to end,
    /// and then, for as long again, for queued frames to be written and for the client's close
    /// frame. Default 5 seconds. Callers that open a call meanwhile learn that they are too late
    /// only when the connection closes, so the timeout should be shorter than the callers' key
    /// exchange timeout (15 seconds in this crate).
    pub drain_timeout: Duration,
    /// Detection of clients that have vanished without closing the connection. Default `None`,
    /// because one published client crashes on a ping; enable it where that client is not used.
    pub keepalive: Option<Keepalive>,
    /// The time within which a call must name its method after its key exchange. Default 2 minutes,
    /// the validity period of its token.
    pub invoke_timeout: Duration,
    /// The time after which a connection is closed if its client accepts no data. Default one
    /// minute.
    pub write_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_message_size: 128 << 20,
            max_connections: 4096,
            max_calls: 16_384,
            receive_buffer: 4 << 20,
            connection_buffer: 64 << 20,
            overflow: Overflow::Wait(Duration::from_secs(5)),
            handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(5),
            keepalive: None,
            invoke_timeout: Duration::from_secs(token::TTL + token::LEEWAY),
            write_timeout: Duration::from_mins(1),
        }
    }
}
