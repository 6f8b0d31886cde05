//! How a connection is made and kept.

use std::time::Duration;

use crate::{Keepalive, Reconnect};

/// How a connection is made and kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// How long connecting may take, all told. Default 10 seconds.
    pub connect_timeout: Duration,
    /// How long the Volt may take to answer the key exchange that each call begins with; after that
    /// the call fails, and was certainly not executed. Default 15 seconds.
    pub key_exchange_timeout: Duration,
    /// For how long one token, and the ephemeral key in it, opens further calls. Default 30 seconds,
    /// which is also the longest; zero makes new ones for each call.
    ///
    /// This saves each call a signature and a key generation, and a Volt that notices a check. The
    /// Volt draws its own ephemeral key for each call all the same, so that no two calls are
    /// encrypted with one key. The price is in forward secrecy: the private half stays in memory for
    /// this long, and whoever gets hold of it there can decrypt all recorded calls that were opened
    /// with it, rather than only the calls that are open. Calls to which that matters set
    /// [`CallOptions::fresh_key`](crate::CallOptions).
    pub token_lifetime: Duration,
    /// How many calls are kept open with their keys already exchanged. A call that takes one costs one
    /// round trip to the Volt instead of two. Default 0.
    ///
    /// Pre-opened calls go to the Volt itself. Calls to other services and calls with
    /// [`CallOptions::fresh_key`](crate::CallOptions) are opened when they are made, and so is every
    /// call while the pool is empty. Each call taken from the pool is replaced in the background. They
    /// count against the Volt's call limit but not against `max_calls`. A pre-opened call that the Volt
    /// ends is discarded; one that the Volt forgets silently is not noticed, and the call that takes it
    /// is never answered.
    pub preopened_calls: usize,
    /// The maximum age at which a pre-opened call may be taken. Default 30 seconds. Older ones are ended,
    /// and replaced when the next call is made: an unused connection stays silent.
    pub preopened_max_age: Duration,
    /// How long [closing](crate::Channel::close) waits for answers that are due, and then as long
    /// again for what is queued to be written and the Volt to say goodbye. Default 5 seconds.
    pub close_timeout: Duration,
    /// How a Volt that is gone without a word is noticed. Default: after 40 seconds of silence.
    pub keepalive: Option<Keepalive>,
    /// How a connection that was lost is made again; `None` if it is not. The first connection is
    /// tried once.
    pub reconnect: Option<Reconnect>,
    /// The longest message that is accepted, in bytes; a longer one ends the connection. The default
    /// of 128 MiB leaves room for the 64 MiB that the API allows in one response, as base64.
    pub max_message_size: usize,
    /// How many calls may be open at once; a further one fails with
    /// [`ErrorKind::ResourceExhausted`](crate::ErrorKind). Default 65,536.
    pub max_calls: usize,
    /// How many bytes of responses that nobody has read yet are kept for all calls together, beside
    /// what each call [may have](crate::CallOptions::receive_buffer). Beyond it, what each call asks
    /// for then happens to the calls for which more arrives. Default 64 MiB.
    pub connection_buffer: usize,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            key_exchange_timeout: Duration::from_secs(15),
            token_lifetime: Duration::from_secs(30),
            preopened_calls: 0,
            preopened_max_age: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            keepalive: Some(Keepalive::default()),
            reconnect: Some(Reconnect::default()),
            max_message_size: 128 << 20,
            max_calls: 65_536,
            connection_buffer: 64 << 20,
        }
    }
}
