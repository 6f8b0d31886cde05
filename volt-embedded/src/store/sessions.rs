//! Sessions: record which key acts for which identity, and until when.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use volt_api::volt::{Session, SessionCredential, SessionStatus};

use super::{
    Tx, now,
    rows::{signed, strings, unsigned},
};
use crate::error::Result;

/// A session with its key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SessionRow {
    pub(crate) id: String,
    pub(crate) identity_did: String,
    /// Distinguishes the sessions of one client.
    pub(crate) name: String,
    /// The client's public key as PEM.
    pub(crate) public_key: String,
    pub(crate) fingerprint: String,
    /// The client's name.
    pub(crate) origin: String,
    pub(crate) created: u64,
    pub(crate) modified: u64,
    /// The time at which the session ends, in milliseconds; 0 means never.
    pub(crate) expires: u64,
    pub(crate) status: SessionStatus,
}

const COLUMNS: &str = "id, identity_did, name, public_key, fingerprint, origin, created, modified, \
                       expires, status";

impl SessionRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut session = Self {
            id: row.get(0)?,
            identity_did: row.get(1)?,
            name: row.get(2)?,
            public_key: row.get(3)?,
            fingerprint: row.get(4)?,
            origin: row.get(5)?,
            created: unsigned(row.get(6)?),
            modified: unsigned(row.get(7)?),
            expires: unsigned(row.get(8)?),
            status: SessionStatus::try_from(row.get::<_, i32>(9)?).unwrap_or_default(),
        };
        // The stored status stays LIVE after the session expires, so it is corrected on reading.
        if session.status == SessionStatus::Live && (1..=now()).contains(&session.expires) {
            session.status = SessionStatus::Expired;
        }
        Ok(session)
    }

    /// Converts the session to the API's message.
    pub(crate) fn to_message(&self, identity_name: &str) -> Session {
        let key = SessionCredential::default()
            .with_session_id(&self.id)
            .with_credential_type("volt:public-key")
            .with_key_fingerprint(&self.fingerprint)
            .with_public_key(&self.public_key);
        Session::default()
            .with_id(&self.id)
            .with_identity_did(&self.identity_did)
            .with_identity_name(identity_name)
            .with_origin(&self.origin)
            .with_created(self.created)
            .with_modified(self.modified)
            .with_expires(self.expires)
            .with_status(self.status)
            .with_credential([key])
    }
}

/// The maximum number of sessions in a list, so that it fits into one message.
const MAX_LISTED: usize = 20_000;

/// Returns whether the owner has rejected or revoked a session of this key, under any name.
pub(crate) fn is_banned(store: &Connection, fingerprint: &str) -> Result<bool> {
    let mut select = store.prepare_cached(
        "SELECT 1 FROM session WHERE fingerprint = ?1 AND status IN (?2, ?3) LIMIT 1",
    )?;
    let (rejected, revoked) =
        (i32::from(SessionStatus::Rejected), i32::from(SessionStatus::Revoked));
    Ok(select.exists(params![fingerprint, rejected, revoked])?)
}

/// Returns whether a key has a session, of any name and status.
pub(crate) fn exists(store: &Connection, fingerprint: &str) -> Result<bool> {
    let mut select =
        store.prepare_cached("SELECT 1 FROM session WHERE fingerprint = ?1 LIMIT 1")?;
    Ok(select.exists([fingerprint])?)
}

/// Counts the sessions with this status.
pub(crate) fn count(store: &Connection, status: SessionStatus) -> Result<u64> {
    let mut select = store.prepare_cached("SELECT COUNT(*) FROM session WHERE status = ?1")?;
    Ok(unsigned(select.query_row([i32::from(status)], |row| row.get(0))?))
}

/// Returns the ids of an identity's sessions.
pub(crate) fn of_identity(store: &Connection, identity: &str) -> Result<Vec<String>> {
    strings(store, "SELECT id FROM session WHERE identity_did = ?1", [identity])
}

pub(crate) fn get(store: &Connection, id: &str) -> Result<Option<SessionRow>> {
    let sql = format!("SELECT {COLUMNS} FROM session WHERE id = ?1");
    Ok(store.prepare_cached(&sql)?.query_row([id], SessionRow::read).optional()?)
}

/// Returns the newest session of a key with this name. Creation order decides, because the clock may
/// have been set back.
pub(crate) fn latest(
    store: &Connection,
    fingerprint: &str,
    name: &str,
) -> Result<Option<SessionRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM session WHERE fingerprint = ?1 AND name = ?2
         ORDER BY rowid DESC LIMIT 1"
    );
    Ok(store.prepare_cached(&sql)?.query_row([fingerprint, name], SessionRow::read).optional()?)
}

/// Returns the newest [`MAX_LISTED`] sessions of all identities, or of one, oldest first.
pub(crate) fn list(store: &Connection, identity: Option<&str>) -> Result<Vec<SessionRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM session WHERE rowid IN
             (SELECT rowid FROM session WHERE ?1 IS NULL OR identity_did = ?1
              ORDER BY rowid DESC LIMIT {MAX_LISTED})
         ORDER BY rowid"
    );
    let mut select = store.prepare_cached(&sql)?;
    let rows = select.query_map([identity], SessionRow::read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Inserts a session, or updates its identity, status and expiry.
pub(crate) fn save(store: &Tx<'_>, session: &SessionRow) -> Result<()> {
    let sql = format!(
        "INSERT INTO session ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO UPDATE
         SET identity_did = ?2, modified = ?8, expires = ?9, status = ?10"
    );
    store.prepare_cached(&sql)?.execute(params![
        session.id,
        session.identity_did,
        session.name,
        session.public_key,
        session.fingerprint,
        session.origin,
        signed(session.created),
        signed(session.modified),
        signed(session.expires),
        i32::from(session.status),
    ])?;
    Ok(())
}
