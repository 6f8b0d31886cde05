//! Who answers calls: an identity, its services, and who may call them.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

#[cfg(feature = "server")]
use super::HttpHandler;
use super::{Authority, Relay, Router, ServerOptions};
use crate::{key::SigningKey, proto::frame::FrameKind};

/// What a server is, whatever its calls come over: a websocket, or the `Connect` call of a client
/// that hosts services.
pub struct Endpoint {
    id: String,
    key: SigningKey,
    router: Router,
    authority: Arc<dyn Authority>,
    legacy: Option<Legacy>,
    relay: Option<Box<dyn Relay>>,
    #[cfg(feature = "server")]
    http: Option<Box<dyn HttpHandler>>,
    options: ServerOptions,
}

struct Legacy {
    key: Arc<OnceLock<SigningKey>>,
    router: Router,
}

impl Endpoint {
    /// An endpoint that serves a router's services.
    ///
    /// `id` is its own id, which callers' tokens must be for; `key`, an Ed25519 key, signs its key
    /// exchanges; `authority` decides who may call.
    pub fn new(
        id: impl Into<String>,
        key: SigningKey,
        router: Router,
        authority: impl Authority,
    ) -> Self {
        Self {
            id: id.into(),
            key,
            router,
            authority: Arc::new(authority),
            legacy: None,
            relay: None,
            #[cfg(feature = "server")]
            http: None,
            options: ServerOptions::default(),
        }
    }

    /// Speaks the legacy protocol as well, with this RSA key, as soon as there is one: making it takes
    /// time, and most endpoints never meet a client that needs it. The services may be others, because
    /// the clients that speak it were made for an older API.
    pub fn with_legacy(mut self, key: Arc<OnceLock<SigningKey>>, router: Router) -> Self {
        self.legacy = Some(Legacy { key, router });
        self
    }

    /// Passes on the calls that are for somebody else. Without a relay they are rejected.
    pub fn with_relay(mut self, relay: impl Relay) -> Self {
        self.relay = Some(Box::new(relay));
        self
    }

    /// Answers plain HTTP requests that come to the port of the websocket. Without a handler nothing
    /// is found there.
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

    /// The services for calls that are opened by such a frame.
    pub(super) fn router(&self, opened_by: FrameKind) -> &Router {
        match (&self.legacy, opened_by) {
            (Some(legacy), FrameKind::LegacyOpening) => &legacy.router,
            _ => &self.router,
        }
    }

    pub(super) fn authority(&self) -> &dyn Authority {
        &*self.authority
    }

    pub(super) fn relay(&self) -> Option<&dyn Relay> {
        self.relay.as_deref()
    }

    #[cfg(feature = "server")]
    pub(super) fn http(&self) -> Option<&dyn HttpHandler> {
        self.http.as_deref()
    }

    pub(super) fn options(&self) -> &ServerOptions {
        &self.options
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("id", &self.id)
            .field("services", &self.router)
            .finish_non_exhaustive()
    }
}
