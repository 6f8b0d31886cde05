//! Authenticating calls, and listing and ending sessions.

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
    state::{sessions::LiveSession, tokens::MAX_TTL},
    store::events::Event,
    store::{now, resources, search::like, sessions, sessions::SessionRow},
    volt::Volt,
};

/// The lifetime of a one-time token, in seconds, unless the client requests another.
const DEFAULT_TOKEN_TTL: u64 = 10;

/// Authenticates calls using the session in their token.
pub(crate) struct SessionAuthenticator(pub(crate) Arc<Volt>);

impl Authenticator for SessionAuthenticator {
    fn authenticate(&self, token: &Token) -> Result<Caller, Status> {
        let session = match (&token.claims().sub, token.key_id()) {
            // The published WebAssembly client sends an empty `sub` for an absent one.
            (Some(id), _) if !id.is_empty() => self.0.session_of(token, id)?,
            (_, Some(fingerprint)) => self.0.session_of_key(token, fingerprint)?,
            _ => return Ok(Caller::default()),
        };
        Ok(Caller::new(session.id, session.identity_did))
    }

    fn authenticate_key(&self, key: &VerifyingKey) -> Result<Caller, Status> {
        let session = self.0.session_of_certificate(key)?;
        Ok(Caller::new(session.id, session.identity_did))
    }
}

impl Volt {
    /// Returns the session that a token names, if it is live and its key signed the token.
    pub(crate) fn session_of(&self, token: &Token, id: &str) -> Result<SessionRow> {
        let session = self.store.read_for_authentication(|store| sessions::get(store, id))?;
        check(token, session.ok_or_else(refusal)?)
    }

    /// Returns the session of the key that a legacy token names.
    pub(crate) fn session_of_key(&self, token: &Token, fingerprint: &str) -> Result<SessionRow> {
        let session =
            self.store.read_for_authentication(|store| sessions::latest(store, fingerprint, ""))?;
        check(token, session.ok_or_else(refusal)?)
    }

    /// Returns the session of a key whose possession TLS has proved.
    fn session_of_certificate(&self, key: &VerifyingKey) -> Result<SessionRow> {
        let fingerprint = key.fingerprint();
        let session = self
            .store
            .read_for_authentication(|store| sessions::latest(store, &fingerprint, ""))?;
        let live = session.filter(|session| session.status == SessionStatus::Live);
        Ok(live.ok_or_else(refusal)?)
    }

    /// Ends the calls and invalidates the one-time tokens of sessions that have just ended.
    pub(crate) fn end_sessions(&self, ids: &[String]) {
        for id in ids {
            self.tokens.end_session(id);
            self.live_sessions.ends(id, 1);
        }
    }
}

/// The only error that a caller without a valid session receives. Published clients match this
/// text.
fn refusal() -> Status {
    unauthenticated("session invalid")
}

/// Returns the session if it is live and its key signed the token.
fn check(token: &Token, session: SessionRow) -> Result<SessionRow> {
    let key = VerifyingKey::from_pem(&session.public_key).map_err(|_| refusal())?;
    if session.status != SessionStatus::Live || token.verify(&key).is_err() {
        tracing::debug!(identity = session.identity_did, status = ?session.status, "session refused");
        return Err(refusal().into());
    }
    Ok(session)
}

impl Actor {
    /// Ties a long-lived call to the actor's session, so that the call ends when the session does.
    pub(crate) fn join_session(&self) -> Result<LiveSession> {
        let session = self.volt.live_sessions.join(&self.session);
        self.read(|store| {
            let row = sessions::get(store, &self.session)?.ok_or_else(refusal)?;
            if row.status != SessionStatus::Live {
                return Err(refusal().into());
            }
            session.expires(row.expires);
            Ok(session)
        })
    }

    /// Returns the actor's sessions, or all sessions for the owner of the Volt.
    pub(crate) fn get_sessions(&self, request: &GetSessionsRequest) -> Result<Vec<Session>> {
        let own = (!self.is_owner()).then_some(self.identity.as_str());
        // Reject an invalid pattern even if there are no sessions to match.
        like(&request.identity_name)?;
        self.read(|store| {
            let mut found = Vec::new();
            for row in sessions::list(store, own)? {
                self.scope.check()?;
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

    /// Changes the status or the expiry of a session. Actors other than the owner of the Volt may
    /// only end their own live sessions.
    pub(crate) fn save_session(&self, request: &SaveSessionRequest) -> Result<Session> {
        let given = request.session.as_ref().ok_or_else(|| invalid("the session is missing"))?;
        if SessionStatus::try_from(given.status).is_err() {
            return Err(invalid(format!("`status` {} is unknown", given.status)).into());
        }
        self.write(|tx| {
            let mut row = sessions::get(tx, &given.id)?
                .filter(|row| self.is_owner() || row.identity_did == self.identity)
                .ok_or_else(|| not_found("session", &given.id))?;
            let ends = given.expires == 0
                && matches!(given.status(), SessionStatus::Revoked | SessionStatus::Expired);
            if !self.is_owner() && !ends {
                return Err(denied("only the owner of the Volt may change a session").into());
            }
            // An expired session is renewed without asking the owner. Clients must therefore not be
            // able to expire a session that the owner has rejected, revoked or not admitted yet.
            if !self.is_owner() && row.status != SessionStatus::Live {
                return Err(denied("only the owner of the Volt may change an ended session").into());
            }
            if given.status != 0 {
                row.status = given.status();
            }
            if given.expires != 0 {
                row.expires = given.expires;
            }
            row.modified = now().max(row.modified);
            sessions::save(tx, &row)?;
            // Read the session again: it is expired if its time is up.
            let row = sessions::get(tx, &given.id)?.ok_or_else(refusal)?;
            let (volt, id) = (Arc::clone(&self.volt), row.id.clone());
            let (live, expires) = (row.status == SessionStatus::Live, row.expires);
            tx.afterwards(move || {
                if live {
                    volt.live_sessions.ends(&id, expires);
                } else {
                    volt.end_sessions(&[id]);
                }
            });
            let session = show(tx, &row)?;
            tx.emit(Event::session(What::UpdateSession, &session));
            Ok(session)
        })
    }

    /// Creates a one-time token for the actor's identity.
    pub(crate) fn get_one_time_token(&self, request: &GetOneTimeTokenRequest) -> Result<String> {
        let ttl = match u64::try_from(request.ttl) {
            Ok(0) => DEFAULT_TOKEN_TTL,
            Ok(ttl) => ttl,
            Err(_) => return Err(invalid("`ttl` is negative").into()),
        };
        let ttl = Duration::from_secs(ttl).min(MAX_TTL);
        // The session may have ended since the call was authenticated. Ending a session also needs
        // the writer, so no token can be issued after the session's tokens have been removed.
        self.write(|tx| {
            let row = sessions::get(tx, &self.session)?;
            if row.is_some_and(|row| row.status != SessionStatus::Live) {
                return Err(refusal().into());
            }
            Ok(self.volt.tokens.issue(&self.identity, &self.session, ttl))
        })
    }
}

/// Converts a session to the API's message, with the name of its identity.
pub(crate) fn show(store: &Connection, session: &SessionRow) -> Result<Session> {
    let identity = resources::get(store, &session.identity_did)?.unwrap_or_default();
    Ok(session.to_message(&identity.name))
}

/// Returns whether a text matches a pattern with `*`. An empty pattern matches everything.
fn matches(store: &Connection, pattern: &str, text: &str) -> Result<bool> {
    if pattern.is_empty() {
        return Ok(true);
    }
    let mut select = store.prepare_cached("SELECT ?1 LIKE ?2 ESCAPE '\\'")?;
    Ok(select.query_row([text, &like(pattern)?], |row| row.get(0))?)
}
