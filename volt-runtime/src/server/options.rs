//! Limits of a server.

use std::time::Duration;

use crate::{Keepalive, Overflow, proto::token};

/// Limits of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The longest message that is accepted, in bytes; a longer one ends its connection. Default
    /// 128 MiB.
    pub max_message_size: usize,
    /// How many connections there may be at once; further ones are closed as they come. Default 4,096.
    pub max_connections: usize,
    /// How many calls one connection may have open; further ones are rejected. Default 16,384.
    pub max_calls: usize,
    /// How many bytes of requests that a handler has not read yet are kept for each call. Default
    /// 4 MiB.
    pub receive_buffer: usize,
    /// How many bytes of such requests are kept for all calls of a connection together. Default 64 MiB.
    pub connection_buffer: usize,
    /// What happens when either is full. By default the connection is not read for up to 5 seconds,
    /// then the call fails.
    pub overflow: Overflow,
    /// How long a client may take to complete the handshakes of TLS and of the websocket, or a plain
    /// HTTP request. Default 10 seconds.
    pub handshake_timeout: Duration,
    /// How long [`Server::shutdown`](super::Server::shutdown) waits for calls that have been asked
    /// all that they will be asked, and then as long again for what is queued to be written and the
    /// client to say goodbye. Default 5 seconds. Calls that come meanwhile learn only by its end that
    /// they are too late, so it should be less than their callers wait for a key exchange (15 seconds
    /// in this crate).
    pub drain_timeout: Duration,
    /// How clients that are gone without a word are noticed. Default `None`, because one published
    /// client dies of a ping; turn it on where that client is not used.
    pub keepalive: Option<Keepalive>,
    /// How long a call may take from its key exchange until it names its method. Default 2 minutes,
    /// which is how long its token is valid.
    pub invoke_timeout: Duration,
    /// How long a client may take nothing of what is to be written to it, before its connection ends.
    /// Default one minute.
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
