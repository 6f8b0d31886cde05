//! One-time tokens: short-lived codes that another client can exchange for a session of the same
//! identity. They are not kept over a restart.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;
use volt_api::volt::GetOneTimeTokenRequest;

use crate::{
    actor::Actor,
    fault::{Result, invalid},
};

const DEFAULT_TTL: u64 = 10;

/// The tokens that nobody has used yet.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<String, Issued>>);

struct Issued {
    identity: String,
    until: Instant,
}

impl Tokens {
    fn issue(&self, identity: &str, ttl: Duration) -> String {
        let token = Uuid::new_v4().simple().to_string();
        let now = Instant::now();
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, issued| issued.until > now);
        let issued = Issued { identity: identity.to_owned(), until: now + ttl };
        tokens.insert(token.clone(), issued);
        token
    }

    /// Uses a token up; gives the identity that it is for, if it is still good.
    pub(crate) fn take(&self, token: &str) -> Option<String> {
        let issued = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(token)?;
        (issued.until > Instant::now()).then_some(issued.identity)
    }
}

impl Actor {
    pub(crate) fn get_one_time_token(&self, request: &GetOneTimeTokenRequest) -> Result<String> {
        let ttl = match u64::try_from(request.ttl) {
            Ok(0) => DEFAULT_TTL,
            Ok(ttl) => ttl,
            Err(_) => return Err(invalid("`ttl` is negative").into()),
        };
        Ok(self.volt.tokens.issue(&self.identity, Duration::from_secs(ttl)))
    }
}
