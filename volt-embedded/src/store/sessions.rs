//! Sessions: which key acts for which identity, and until when.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use volt_api::volt::{Session, SessionCredential, SessionStatus};

use super::{
    Tx, now,
    rows::{signed, unsigned},
};
use crate::error::Result;

/// A session and the key that it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SessionRow {
    pub(crate) id: String,
    pub(crate) identity_did: String,
    /// Tells the sessions of one client apart.
    pub(crate) name: String,
    /// PEM.
    pub(crate) public_key: String,
    pub(crate) fingerprint: String,
    /// The client's name.
    pub(crate) origin: String,
    pub(crate) created: u64,
    pub(crate) modified: u64,
    /// In milliseconds; 0 is never.
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
        // Nothing runs when a session's time is up, so it is noticed when somebody looks.
        if session.status == SessionStatus::Live && (1..=now()).contains(&session.expires) {
            session.status = SessionStatus::Expired;
        }
        Ok(session)
    }

    /// As the API shows it: without its key's PEM, but with the key's fingerprint.
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

pub(crate) fn get(store: &Connection, id: &str) -> Result<Option<SessionRow>> {
    let sql = format!("SELECT {COLUMNS} FROM session WHERE id = ?1");
    Ok(store.prepare_cached(&sql)?.query_row([id], SessionRow::read).optional()?)
}

/// The newest session of a key.
pub(crate) fn latest(
    store: &Connection,
    fingerprint: &str,
    name: &str,
) -> Result<Option<SessionRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM session WHERE fingerprint = ?1 AND name = ?2
         ORDER BY created DESC, rowid DESC LIMIT 1"
    );
    Ok(store.prepare_cached(&sql)?.query_row([fingerprint, name], SessionRow::read).optional()?)
}

/// All sessions, oldest first; those of one identity if one is given.
pub(crate) fn list(store: &Connection, identity: Option<&str>) -> Result<Vec<SessionRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM session WHERE ?1 IS NULL OR identity_did = ?1 ORDER BY created, rowid"
    );
    let mut select = store.prepare_cached(&sql)?;
    let rows = select.query_map([identity], SessionRow::read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds a session, or writes it as it now is.
pub(crate) fn save(store: &Tx<'_>, session: &SessionRow) -> Result<()> {
    let sql = format!(
        "INSERT INTO session ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO UPDATE SET modified = ?8, expires = ?9, status = ?10"
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
