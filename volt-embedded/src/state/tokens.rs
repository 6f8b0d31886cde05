//! One-time tokens: short-lived codes that another client can exchange for a session of the same
//! identity.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

/// The longest lifetime of a token.
pub(crate) const MAX_TTL: Duration = Duration::from_mins(10);
/// The maximum number of unused tokens per session. A further token replaces the oldest.
const MAX_OF_SESSION: usize = 16;

/// The one-time tokens that have not been used yet.
#[derive(Default)]
pub(crate) struct OneTimeTokens(Mutex<HashMap<String, Issued>>);

struct Issued {
    identity: String,
    /// The session that requested the token. The token becomes invalid when the session ends.
    session: String,
    until: Instant,
}

impl OneTimeTokens {
    /// Creates a token for this identity. It expires after `ttl`, or when the session ends.
    pub(crate) fn issue(&self, identity: &str, session: &str, ttl: Duration) -> String {
        let token = Uuid::new_v4().simple().to_string();
        let now = Instant::now();
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, issued| issued.until > now);
        let own = || tokens.iter().filter(|(_, issued)| issued.session == session);
        if own().count() >= MAX_OF_SESSION {
            let oldest =
                own().min_by_key(|(_, issued)| issued.until).map(|(token, _)| token.clone());
            oldest.and_then(|oldest| tokens.remove(&oldest));
        }
        let issued = Issued {
            identity: identity.to_owned(),
            session: session.to_owned(),
            until: now + ttl.min(MAX_TTL),
        };
        tokens.insert(token.clone(), issued);
        token
    }

    /// Consumes a token. Returns its identity unless the token is unknown, used or expired.
    pub(crate) fn take(&self, token: &str) -> Option<String> {
        let issued = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(token)?;
        (issued.until > Instant::now()).then_some(issued.identity)
    }

    /// Removes the tokens of a session that has ended.
    pub(crate) fn end_session(&self, session: &str) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, issued| issued.session != session);
    }
}
