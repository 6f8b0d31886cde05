//! Sessions: who calls, and which sessions there are.

use std::{sync::Arc, time::Duration};

use rusqlite::Connection;
use volt_api::{
    Status,
    key::VerifyingKey,
    server::{Authenticator, Caller, Token},
    volt::{
        ConnectAuthRequestType as What, GetOneTimeTokenRequest, GetSessionsRequest,
        SaveSessionRequest, Session, SessionStatus,
    },
};

use crate::{
    actor::Actor,
    error::{Result, denied, invalid, not_found, unauthenticated},
    store::events::Event,
    store::{now, resources, search::like, sessions, sessions::SessionRow},
    volt::Volt,
};

/// The lifetime of a one-time token, in seconds, unless the client requests another.
const DEFAULT_TOKEN_TTL: u64 = 10;

/// Authenticates calls by the session in their token.
pub(crate) struct SessionAuthenticator(pub(crate) Arc<Volt>);

impl Authenticator for SessionAuthenticator {
    fn authenticate(&self, token: &Token) -> Result<Caller, Status> {
        let session = match (&token.claims().sub, token.key_id()) {
            (Some(id), _) => self.0.session_of(token, id)?,
            (None, Some(fingerprint)) => self.0.session_of_key(token, fingerprint)?,
            (None, None) => return Ok(Caller::default()),
        };
        Ok(Caller::new(session.id, session.identity_did))
    }
}

impl Volt {
    /// The session that a token names, if it is live and its key signed the token.
    pub(crate) fn session_of(&self, token: &Token, id: &str) -> Result<SessionRow> {
        let session = self.store.read(|store| sessions::get(store, id))?.ok_or_else(refusal)?;
        check(token, session)
    }

    /// The session of the key that a legacy token names.
    pub(crate) fn session_of_key(&self, token: &Token, fingerprint: &str) -> Result<SessionRow> {
        let session = self.store.read(|store| sessions::latest(store, fingerprint, ""))?;
        check(token, session.ok_or_else(refusal)?)
    }
}

/// All that is told to somebody who may be a stranger. Clients know this text.
fn refusal() -> Status {
    unauthenticated("session invalid")
}

/// A session is good for a token if it is live and its key signed the token.
fn check(token: &Token, session: SessionRow) -> Result<SessionRow> {
    let key = VerifyingKey::from_pem(&session.public_key).map_err(|_| refusal())?;
    if session.status != SessionStatus::Live || token.verify(&key).is_err() {
        tracing::debug!(session = session.id, status = ?session.status, "session refused");
        return Err(refusal().into());
    }
    Ok(session)
}

impl Actor {
    /// One's own sessions; all of them for the owner of the Volt.
    pub(crate) fn get_sessions(&self, request: &GetSessionsRequest) -> Result<Vec<Session>> {
        let own = (!self.is_owner()).then_some(self.identity.as_str());
        self.volt.store.read(|store| {
            let mut found = Vec::new();
            for row in sessions::list(store, own)? {
                let session = show(store, &row)?;
                let same = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
                if same(&request.id, &session.id)
                    && same(&request.identity_did, &session.identity_did)
                    && matches(store, &request.identity_name, &session.identity_name)?
                    && (request.status == 0 || request.status == session.status)
                {
                    found.push(session);
                }
            }
            Ok(found)
        })
    }

    /// Lets a session live, ends it, or sets when it ends. Ending one's own is all that others than
    /// the owner of the Volt may do.
    pub(crate) fn save_session(&self, request: &SaveSessionRequest) -> Result<Session> {
        let given = request.session.as_ref().ok_or_else(|| invalid("the session is missing"))?;
        self.volt.store.write(|tx| {
            let mut row = sessions::get(tx, &given.id)?
                .filter(|row| self.is_owner() || row.identity_did == self.identity)
                .ok_or_else(|| not_found("session", &given.id))?;
            let ends = given.expires == 0
                && matches!(given.status(), SessionStatus::Revoked | SessionStatus::Expired);
            if !self.is_owner() && !ends {
                return Err(denied("only the owner of the Volt may change a session").into());
            }
            if given.status != 0 {
                row.status = given.status();
            }
            if given.expires != 0 {
                row.expires = given.expires;
            }
            row.modified = now();
            sessions::save(tx, &row)?;
            let session = show(tx, &row)?;
            tx.emit(Event::session(What::UpdateSession, &session));
            Ok(session)
        })
    }
}

impl Actor {
    /// Creates a one-time token for the actor's identity.
    pub(crate) fn get_one_time_token(&self, request: &GetOneTimeTokenRequest) -> Result<String> {
        let ttl = match u64::try_from(request.ttl) {
            Ok(0) => DEFAULT_TOKEN_TTL,
            Ok(ttl) => ttl,
            Err(_) => return Err(invalid("`ttl` is negative").into()),
        };
        Ok(self.volt.tokens.issue(&self.identity, Duration::from_secs(ttl)))
    }
}

/// A session as the API shows it.
pub(crate) fn show(store: &Connection, session: &SessionRow) -> Result<Session> {
    let identity = resources::get(store, &session.identity_did)?.unwrap_or_default();
    Ok(session.to_message(&identity.name))
}

/// Whether a text matches a pattern with `*`; an empty pattern matches all.
fn matches(store: &Connection, pattern: &str, text: &str) -> Result<bool> {
    if pattern.is_empty() {
        return Ok(true);
    }
    let mut select = store.prepare_cached("SELECT ?1 LIKE ?2 ESCAPE '\\'")?;
    Ok(select.query_row([text, &like(pattern)], |row| row.get(0))?)
}
