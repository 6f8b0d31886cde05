//! The client's identity, the Volt's, and the tokens between them.
//!
//! A token costs a signature and the generation of an ephemeral key, so a few of them are kept and reused:
//! one for each route, because a token names its audience. All connections of a client share them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use crate::{
    CallOptions, ClientConfig, ConnectOptions, Error, Result,
    key::{KeyAlgorithm, SigningKey, VerifyingKey},
    proto::{
        ProtocolError,
        crypto::{CallKey, Ephemeral},
        handshake::{CallToken, Route, Via},
        legacy::{self, Opening},
    },
    socket::unix_now,
};

/// The number of cached tokens, one per route: the Volt's own and those of recently called
/// services.
const KEPT: usize = 8;

/// The client's identity, and that of its Volt. Read from the configuration once: later changes
/// do not affect a connected client. Only the session may be renewed.
#[derive(Debug)]
pub(super) struct Identity {
    /// Signs the tokens.
    key: SigningKey,
    /// Named by the tokens; absent before the first `Authenticate`.
    session: RwLock<Option<String>>,
    /// The audience of the tokens, and the target of relays.
    volt_id: String,
    /// Must sign the key exchanges of the Volt's own services.
    volt_key: VerifyingKey,
    /// The target of relays in the legacy protocol.
    volt_fingerprint: String,
    /// Set if the Volt is behind a relay.
    relayed: bool,
    tokens: TokenCache,
}

/// The message of a call that the Volt rejected for its session. It names the field and the remedy, because
/// it is the first error that a new program meets. It ends with the Volt's reason, which `Error::is_session_invalid`
/// reads.
pub(super) fn session_rejected(lacks_session: bool, reason: &str) -> String {
    let problem = if lacks_session { "is missing" } else { "names no valid session" };
    format!(
        "`credential.session_id` {problem}: obtain a session with `volt_api::Client::authenticate`. \
         The Volt's reason: {reason}"
    )
}

impl Identity {
    /// # Errors
    ///
    /// A configuration error names the field that is missing or invalid.
    pub(super) fn new(
        config: &ClientConfig,
        relayed: bool,
        options: &ConnectOptions,
    ) -> Result<Self> {
        let (key, volt_key) = (config.signing_key()?, config.volt_key()?);
        // Checked here: the Volt could only answer with a protocol error.
        let (ours, theirs) = (key.algorithm(), volt_key.algorithm());
        if ours != theirs {
            return Err(Error::configuration(format!(
                "`credential.key` is an {ours} key and the Volt's is an {theirs} key: \
                 both must be of one kind, which decides the protocol"
            )));
        }
        Ok(Self {
            key,
            session: RwLock::new(config.session_id().map(str::to_owned)),
            volt_id: config.volt_id()?.to_owned(),
            volt_key,
            volt_fingerprint: config.volt_fingerprint()?,
            relayed,
            tokens: TokenCache::new(options.token_lifetime),
        })
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }

    pub(super) fn volt_id(&self) -> &str {
        &self.volt_id
    }

    /// Returns whether calls need a session that the configuration does not have. Legacy calls name
    /// the client's key instead.
    pub(super) fn lacks_session(&self) -> bool {
        !self.is_legacy() && self.session.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Replaces the session. Further tokens name the new one.
    pub(super) fn renew(&self, session: String) {
        let mut current = self.session.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(session);
        // While the lock is held, because tokens are kept with it held.
        self.tokens.lock().clear();
    }

    /// Returns whether calls use the legacy protocol, which depends on the key's algorithm.
    pub(super) fn is_legacy(&self) -> bool {
        self.key.algorithm() == KeyAlgorithm::Rsa
    }

    /// Returns the route of a call: its audience, the key that must sign the answer, and the hops in
    /// between.
    ///
    /// | target | audience | signer | hops |
    /// |---|---|---|---|
    /// | the Volt | Volt | Volt | none |
    /// | a Volt behind a relay | Volt | Volt | Volt |
    /// | a relayed service | host | host | host |
    /// | a relayed service of a Volt behind a relay | host | host | Volt, host |
    ///
    /// # Errors
    ///
    /// Returns a configuration error if the host's public key cannot be read.
    pub(super) fn route(&self, options: &CallOptions) -> Result<Route> {
        let mut destinations = Vec::new();
        if self.relayed {
            destinations.push(self.volt_id.clone());
        }
        let mut route = Route {
            audience: self.volt_id.clone(),
            signer: self.volt_key.clone(),
            via: Via { destinations, ..Via::default() },
        };
        let Some(target) = &options.target else {
            return Ok(route);
        };
        // Only a channel with gRPC connects to such servers, and does not ask for a route.
        if target.host_address.is_some() {
            return Err(Error::configuration(
                "the service runs on its own gRPC server: build this program with the feature \
                 `grpc` of `volt-api` or `volt-runtime`",
            ));
        }
        // A built-in service names the Volt itself as its host.
        if let Some(host) = target.host_client_id.as_ref().filter(|host| **host != self.volt_id) {
            route.audience.clone_from(host);
        }
        if let Some(pem) = &target.host_public_key {
            route.signer = VerifyingKey::from_pem(pem).map_err(|error| {
                Error::configuration(format!(
                    "the service's `host_public_key` is not a valid public key: {error}"
                ))
            })?;
        }
        if target.relayed
            && target.host_client_id.as_ref().is_some_and(|host| *host != self.volt_id)
        {
            route.via.destinations.extend(target.host_client_id.clone());
            route.via.service.clone_from(&target.host_service_id);
        }
        Ok(route)
    }

    /// Returns a token for a call on `route`. A `fresh` one is not shared with other calls.
    pub(super) fn token(
        &self,
        route: &Route,
        fresh: bool,
    ) -> Result<Arc<CallToken>, ProtocolError> {
        let now = unix_now();
        if !fresh && let Some(token) = self.tokens.get(route, now) {
            return Ok(token);
        }
        // Signed outside the cache's lock. Two calls may both sign one, which is harmless.
        let session = self.session.read().unwrap_or_else(PoisonError::into_inner);
        let ephemeral = Ephemeral::generate()?;
        let token = Arc::new(CallToken::new(route, &self.key, session.as_deref(), ephemeral, now)?);
        if !fresh {
            self.tokens.keep(&token, now);
        }
        Ok(token)
    }

    /// Returns the key of a new legacy call, and the opening for its first message.
    pub(super) fn open_legacy(&self, route: &Route) -> Result<(CallKey, Opening), ProtocolError> {
        // The legacy protocol routes by the fingerprints of keys, not by DIDs.
        let volt = self.relayed.then(|| self.volt_fingerprint.clone());
        let host = route.via.service.as_ref().map(|_| route.signer.fingerprint());
        let targets = volt.into_iter().chain(host).collect();
        legacy::open(route, targets, &self.key, unix_now())
    }
}

/// Tokens shared by several calls, newest last.
#[derive(Debug)]
struct TokenCache {
    tokens: Mutex<Vec<Arc<CallToken>>>,
    /// In seconds.
    lifetime: u64,
}

impl TokenCache {
    fn new(lifetime: Duration) -> Self {
        Self { tokens: Mutex::default(), lifetime: lifetime.as_secs() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<CallToken>>> {
        // Every change is a single operation, so the list is consistent even if the lock is
        // poisoned.
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the newest token that may open further calls on a route.
    fn get(&self, route: &Route, now: u64) -> Option<Arc<CallToken>> {
        let tokens = self.lock();
        tokens.iter().rfind(|token| token.serves(route, now, self.lifetime)).cloned()
    }

    /// Adds a token. A full cache drops the oldest one.
    fn keep(&self, token: &Arc<CallToken>, now: u64) {
        if self.lifetime == 0 {
            return;
        }
        let mut tokens = self.lock();
        // Expired tokens go first: their private keys should not stay in memory.
        tokens.retain(|token| token.is_valid(now, self.lifetime));
        if tokens.len() == KEPT {
            tokens.remove(0);
        }
        tokens.push(Arc::clone(token));
    }
}
