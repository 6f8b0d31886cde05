//! A server's identity, services, authorization and limits.
//!
//! All connections of a server share one host. It also remembers the keys of legacy calls, across
//! connections, because a recorded call could be replayed on any of them.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::{forwards::Forwards, options::ServerOptions, relay::RelayHandler};
#[cfg(feature = "server")]
use crate::server::HttpHandler;
use crate::{
    key::SigningKey,
    proto::{
        ProtocolError,
        crypto::CallKey,
        frame::FrameKind,
        legacy::{self, SealedKeys},
        token::Token,
    },
    server::{Authenticator, Router},
};

/// A server's identity, services and authorization. Its calls arrive over a websocket (`serve`), over
/// gRPC (`serve_grpc`), or over the `Connect` call of a client that hosts services
/// ([`Tunnel`](super::Tunnel)).
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
    forwards: Forwards,
}

/// The support of the legacy protocol.
struct Legacy {
    key: Arc<OnceLock<SigningKey>>,
    router: Router,
    /// The sealed keys that have opened a call.
    seen: Mutex<SealedKeys>,
}

impl ServiceHost {
    /// Creates a host for a router's services.
    ///
    /// `id` is the host's id, which callers' tokens must name; `key`, an Ed25519 key, signs its key
    /// exchanges; `authenticator` authenticates and authorizes the callers.
    ///
    /// Clients check the signature with the public key in their configuration (`volt.public_key`), so the
    /// key should outlive the process: save it as [PEM](SigningKey::to_pem).
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
            forwards: Forwards::default(),
        }
    }

    /// Also supports the legacy protocol with this RSA key, once the key is set. Without this, or
    /// while no key is set, or with [`legacy`](ServerOptions::legacy) off, legacy calls are rejected.
    /// The key may be set late: generating it takes time, and most hosts never meet a client that
    /// needs it. The services may differ, because legacy clients were built for an older API.
    ///
    /// The authenticator must [verify](crate::server::Token::verify) the tokens of legacy calls: a call
    /// whose token it has not verified is rejected before its key is decrypted.
    pub fn with_legacy(mut self, key: Arc<OnceLock<SigningKey>>, router: Router) -> Self {
        self.legacy = Some(Legacy { key, router, seen: Mutex::default() });
        self
    }

    /// Forwards calls to other hosts. Without a relay handler, such calls are rejected.
    pub fn with_relay(mut self, relay: impl RelayHandler) -> Self {
        self.relay = Some(Box::new(relay));
        self
    }

    /// Answers plain HTTP requests on the websocket's port. Without a handler, they are answered
    /// with 404.
    #[cfg(feature = "server")]
    pub fn with_http(mut self, handler: impl HttpHandler) -> Self {
        self.http = Some(Box::new(handler));
        self
    }

    /// Sets the limits. Default: those of [`ServerOptions::default`].
    pub fn with_options(mut self, options: ServerOptions) -> Self {
        self.options = options;
        self
    }

    pub(in crate::server) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Returns whether the legacy protocol is supported.
    pub(in crate::server) fn speaks_legacy(&self) -> bool {
        self.legacy_key().is_some()
    }

    fn legacy_key(&self) -> Option<(&SigningKey, &Mutex<SealedKeys>)> {
        // The key may be set later, from another task.
        let legacy = self.legacy.as_ref().filter(|_| self.options.legacy)?;
        Some((legacy.key.get()?, &legacy.seen))
    }

    /// Opens the key of a legacy call at `now` (Unix seconds), once for each sealed key. The caller
    /// must have authenticated the token: this is the expensive step.
    pub(super) fn open_legacy(&self, token: &Token, now: u64) -> Result<CallKey, ProtocolError> {
        const CLOSED: ProtocolError =
            ProtocolError::Unexpected("the legacy protocol is not supported here");
        let (key, seen) = self.legacy_key().ok_or(CLOSED)?;
        if !token.is_verified() {
            return Err(ProtocolError::Unexpected(
                "a legacy call needs a token signed by a known key",
            ));
        }
        let seen = || seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A repetition is detected before and after the decryption: two may arrive at the same time.
        seen().check(token)?;
        let opened = legacy::call_key(token, key)?;
        seen().admit(token, now)?;
        Ok(opened)
    }

    /// Returns the services of the current API.
    #[cfg(all(feature = "server", feature = "grpc"))]
    pub(in crate::server) fn services(&self) -> &Router {
        &self.router
    }

    /// Returns the services for calls opened with this kind of frame.
    pub(super) fn router(&self, opened_by: FrameKind) -> &Router {
        match (&self.legacy, opened_by) {
            (Some(legacy), FrameKind::LegacyOpening) => &legacy.router,
            _ => &self.router,
        }
    }

    pub(in crate::server) fn authenticator(&self) -> &dyn Authenticator {
        &*self.authenticator
    }

    pub(super) fn relay(&self) -> Option<&dyn RelayHandler> {
        self.relay.as_deref()
    }

    pub(super) fn forwards(&self) -> &Forwards {
        &self.forwards
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
