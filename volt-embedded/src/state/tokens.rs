//! One-time tokens: short-lived codes that another client can exchange for a session of the same
//! identity.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

/// The one-time tokens that have not been used yet.
#[derive(Default)]
pub(crate) struct OneTimeTokens(Mutex<HashMap<String, Issued>>);

struct Issued {
    identity: String,
    until: Instant,
}

impl OneTimeTokens {
    /// Creates a token for this identity that expires after `ttl`.
    pub(crate) fn issue(&self, identity: &str, ttl: Duration) -> String {
        let token = Uuid::new_v4().simple().to_string();
        let now = Instant::now();
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, issued| issued.until > now);
        let issued = Issued { identity: identity.to_owned(), until: now + ttl };
        tokens.insert(token.clone(), issued);
        token
    }

    /// Consumes a token. Returns its identity unless the token is unknown, used or expired.
    pub(crate) fn take(&self, token: &str) -> Option<String> {
        let issued = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(token)?;
        (issued.until > Instant::now()).then_some(issued.identity)
    }
}
