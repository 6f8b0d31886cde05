//! A server's identity, services and authorization.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

#[cfg(feature = "server")]
use super::HttpHandler;
use super::{Authenticator, RelayHandler, Router, ServerOptions};
use crate::{key::SigningKey, proto::frame::FrameKind};

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
    pub(super) fn http(&self) -> Option<&dyn HttpHandler> {
        self.http.as_deref()
    }

    pub(super) fn options(&self) -> &ServerOptions {
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
