//! The tokens in the metadata of calls.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hyper::http::HeaderValue;

use crate::{
    CallOptions, ClientConfig, ConnectOptions, Error, Executed, Result,
    key::{KeyAlgorithm, SigningKey},
    proto::token::{Claims, TTL},
    socket::unix_now,
};

/// The number of cached tokens, one per audience: the Volt, and recently called services.
const KEPT: usize = 8;

/// The client's identity, and the tokens that prove it.
pub(super) struct Tokens {
    key: SigningKey,
    session: RwLock<Option<String>>,
    volt_id: String,
    /// In seconds.
    lifetime: u64,
    /// Newest last.
    cached: Mutex<Vec<Arc<Token>>>,
}

/// A signed token for one audience.
struct Token {
    audience: String,
    /// Unix seconds.
    made: u64,
    header: HeaderValue,
}

impl Tokens {
    /// # Errors
    ///
    /// A configuration error names the field that is missing or invalid.
    pub(super) fn new(config: &ClientConfig, options: &ConnectOptions) -> Result<Self> {
        let key = config.signing_key()?;
        if key.algorithm() != KeyAlgorithm::Ed25519 {
            return Err(Error::configuration(
                "`credential.key` is an RSA key, and gRPC needs an Ed25519 key: create one with \
                 `ClientConfig::with_new_key`, or use `TransportKind::Websocket`",
            ));
        }
        Ok(Self {
            key,
            session: RwLock::new(config.session_id().map(str::to_owned)),
            volt_id: config.volt_id()?.to_owned(),
            // As on the websocket, a token is used for at most half of its validity period.
            lifetime: options.token_lifetime.as_secs().min(TTL / 2),
            cached: Mutex::default(),
        })
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }

    pub(super) fn volt_id(&self) -> &str {
        &self.volt_id
    }

    pub(super) fn lacks_session(&self) -> bool {
        self.session.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Replaces the session. Further tokens name the new one.
    pub(super) fn renew(&self, session: String) {
        let mut current = self.session.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(session);
        // While the lock is held, because tokens are kept with it held.
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns the token of a call.
    ///
    /// # Errors
    ///
    /// Fails if the token cannot be signed, which is not expected.
    pub(super) fn get(&self, options: &CallOptions) -> Result<HeaderValue> {
        let host = options.target.as_ref().and_then(|target| target.host_client_id.as_deref());
        self.token(host.unwrap_or(&self.volt_id), options.fresh_key, unix_now())
    }

    /// Returns a token for an audience. A `fresh` one is not shared with other calls.
    fn token(&self, audience: &str, fresh: bool, now: u64) -> Result<HeaderValue> {
        // If the clock was set back, a token's age is unknown.
        let is_young =
            |token: &Token| now.checked_sub(token.made).is_some_and(|age| age < self.lifetime);
        if !fresh {
            let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            let known = cached.iter().rfind(|token| token.audience == audience && is_young(token));
            if let Some(token) = known {
                return Ok(token.header.clone());
            }
        }
        // Signed outside the lock. Two calls may both sign one, which is harmless.
        let cannot = |error: &dyn std::fmt::Display| {
            Error::protocol(format!("the token cannot be signed: {error}"))
                .with_executed(Executed::No)
        };
        let session = self.session.read().unwrap_or_else(PoisonError::into_inner);
        let claims = Claims::direct(audience, session.as_deref(), now);
        let jwt = claims.to_jwt(&self.key).map_err(|error| cannot(&error))?;
        let mut header = HeaderValue::try_from(jwt).map_err(|error| cannot(&error))?;
        // A shared token is not marked as sensitive, so HPACK sends it once rather than with each
        // call. HPACK reveals a value only to an attacker who guesses all of it (RFC 7541, 7.1),
        // and a signature cannot be guessed.
        header.set_sensitive(fresh);
        if !fresh && self.lifetime > 0 {
            let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            cached.retain(|token| token.audience != audience && is_young(token));
            if cached.len() == KEPT {
                cached.remove(0);
            }
            let (audience, header) = (audience.to_owned(), header.clone());
            cached.push(Arc::new(Token { audience, made: now, header }));
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Target, proto::token::Token as Received};

    fn tokens() -> Tokens {
        let key = SigningKey::generate().unwrap();
        let pem = key.to_pem().unwrap().to_string();
        let config = ClientConfig::new("did:volt:1", "http://localhost:1", "")
            .with_credential(pem, Some("s".to_owned()));
        Tokens::new(&config, &ConnectOptions::default()).unwrap()
    }

    fn read(header: &HeaderValue) -> Received {
        Received::parse_jwt(header.to_str().unwrap()).unwrap()
    }

    #[test]
    fn a_token_names_the_audience_and_the_session_and_no_key() {
        let tokens = tokens();
        let mut options = CallOptions::default();
        let token = read(&tokens.get(&options).unwrap());
        token.verify(&tokens.key.verifying_key()).unwrap();
        let claims = token.claims();
        assert_eq!(
            (&*claims.aud, claims.sub.as_deref(), &claims.k),
            ("did:volt:1", Some("s"), &None)
        );
        options.target = Some(Target::new("id").hosted_by("did:host", ""));
        assert_eq!(read(&tokens.get(&options).unwrap()).claims().aud, "did:host");
    }

    #[test]
    fn a_token_is_shared_unless_a_fresh_one_is_requested() {
        let tokens = tokens();
        let at = |now, fresh| tokens.token("a", fresh, now).unwrap();
        let first = at(1000, false);
        assert_eq!(at(1029, false), first);
        assert_ne!(at(1001, true), first);
        // HPACK indexes headers that recur.
        assert!(!first.is_sensitive() && at(1001, true).is_sensitive());
        assert_ne!(at(1030, false), first);
        // The clock was set back.
        assert_ne!(at(900, false), at(1030, false));
    }

    #[test]
    fn the_cache_is_bounded() {
        let tokens = tokens();
        for number in 0..100 {
            tokens.token(&number.to_string(), false, 1000).unwrap();
        }
        assert_eq!(tokens.cached.lock().unwrap().len(), KEPT);
    }
}
