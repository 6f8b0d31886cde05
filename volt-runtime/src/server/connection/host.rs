//! A server's identity, services, authorization and limits.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::relay::RelayHandler;
#[cfg(feature = "server")]
use crate::server::HttpHandler;
use crate::{
    Keepalive, Overflow,
    key::SigningKey,
    proto::{frame::FrameKind, token},
    server::{Authenticator, Router},
};

/// A server's identity, services and authorization. Its calls arrive over a websocket, or over the
/// `Connect` call of a client that hosts services.
pub struct ServiceHost {
    id: String,
    key: SigningKey,
    router: Router,
    authenticator: Arc<dyn Authenticator>,
    legacy: Option<Legacy>,
    relay: Option<Box<dyn RelayHandler>>,
    #[cfg(feature = "server")]
    http: Option<Box<dyn HttpHandler>>,
    options: ServerOptions,
}

struct Legacy {
    key: Arc<OnceLock<SigningKey>>,
    router: Router,
}

impl ServiceHost {
    /// Creates a host for a router's services.
    ///
    /// `id` is the host's id, which callers' tokens must name; `key`, an Ed25519 key, signs its key
    /// exchanges; `authenticator` authenticates and authorizes the callers.
    pub fn new(
        id: impl Into<String>,
        key: SigningKey,
        router: Router,
        authenticator: impl Authenticator,
    ) -> Self {
        Self {
            id: id.into(),
            key,
            router,
            authenticator: Arc::new(authenticator),
            legacy: None,
            relay: None,
            #[cfg(feature = "server")]
            http: None,
            options: ServerOptions::default(),
        }
    }

    /// Also supports the legacy protocol with this RSA key, once the key is set. It may be set
    /// late: generating it takes time, and most hosts never meet a client that needs it. The
    /// services may differ, because legacy clients were built for an older API.
    pub fn with_legacy(mut self, key: Arc<OnceLock<SigningKey>>, router: Router) -> Self {
        self.legacy = Some(Legacy { key, router });
        self
    }

    /// Forwards calls to other hosts. Without a relay handler such calls are rejected.
    pub fn with_relay(mut self, relay: impl RelayHandler) -> Self {
        self.relay = Some(Box::new(relay));
        self
    }

    /// Answers plain HTTP requests on the websocket's port. Without a handler they get 404.
    #[cfg(feature = "server")]
    pub fn with_http(mut self, handler: impl HttpHandler) -> Self {
        self.http = Some(Box::new(handler));
        self
    }

    /// Sets the limits.
    pub fn with_options(mut self, options: ServerOptions) -> Self {
        self.options = options;
        self
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }

    pub(super) fn legacy_key(&self) -> Option<&SigningKey> {
        self.legacy.as_ref()?.key.get()
    }

    /// Returns the services for calls opened with this kind of frame.
    pub(super) fn router(&self, opened_by: FrameKind) -> &Router {
        match (&self.legacy, opened_by) {
            (Some(legacy), FrameKind::LegacyOpening) => &legacy.router,
            _ => &self.router,
        }
    }

    pub(super) fn authenticator(&self) -> &dyn Authenticator {
        &*self.authenticator
    }

    pub(super) fn relay(&self) -> Option<&dyn RelayHandler> {
        self.relay.as_deref()
    }

    #[cfg(feature = "server")]
    pub(in crate::server) fn http(&self) -> Option<&dyn HttpHandler> {
        self.http.as_deref()
    }

    pub(in crate::server) fn options(&self) -> &ServerOptions {
        &self.options
    }
}

impl fmt::Debug for ServiceHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceHost")
            .field("id", &self.id)
            .field("services", &self.router)
            .finish_non_exhaustive()
    }
}

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
    /// How long [`Server::shutdown`](crate::server::Server::shutdown) waits for half-closed calls to end,
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
