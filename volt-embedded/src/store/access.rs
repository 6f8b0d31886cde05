//! Access rules, and requests for access that nobody has decided yet.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use volt_api::volt::{Access, PolicyDecision, access::Subject};

use super::Tx;
use crate::error::Result;

const COLUMNS: &str = "access.id, resource_id, identity_did, credential_lookup, access, extra, \
                       decision, recursive, request_time, decision_time, request_count";

/// A rule as it stands; names and kinds are filled in by whoever shows it.
fn read(row: &Row<'_>) -> rusqlite::Result<Access> {
    let identity: String = row.get(2)?;
    let credential: String = row.get(3)?;
    Ok(Access {
        id: row.get(0)?,
        resource_id: row.get(1)?,
        subject: Some(if credential.is_empty() {
            Subject::IdentityDid(identity)
        } else {
            Subject::CredentialLookup(credential)
        }),
        access: row.get(4)?,
        extra: row.get(5)?,
        decision: row.get(6)?,
        recursive: row.get(7)?,
        request_time: row.get(8)?,
        decision_time: row.get(9)?,
        request_count: row.get(10)?,
        ..Access::default()
    })
}

pub(crate) fn get(store: &Connection, id: &str) -> Result<Option<Access>> {
    let sql = format!("SELECT {COLUMNS} FROM access WHERE id = ?1");
    Ok(store.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// All rules; those of one resource if one is given.
pub(crate) fn list(store: &Connection, resource: Option<&str>) -> Result<Vec<Access>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM access WHERE ?1 IS NULL OR resource_id = ?1
         ORDER BY request_time, id"
    );
    let mut select = store.prepare_cached(&sql)?;
    let rows = select.query_map([resource], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The same identity's rule for the same access to the same resource.
pub(crate) fn find(
    store: &Connection,
    resource: &str,
    identity: &str,
    access: &str,
) -> Result<Option<Access>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM access
         WHERE resource_id = ?1 AND identity_did = ?2 AND access = ?3 LIMIT 1"
    );
    Ok(store.prepare_cached(&sql)?.query_row([resource, identity, access], read).optional()?)
}

/// What the rules say about an identity and a resource: the access that each is about, and its
/// decision. A recursive rule is also about all that is in its resource.
pub(crate) fn rules(
    store: &Connection,
    resource: &str,
    identity: &str,
) -> Result<Vec<(String, PolicyDecision)>> {
    let mut select = store.prepare_cached(
        "WITH RECURSIVE up (id) AS (
             SELECT ?1 UNION SELECT parent_id FROM link JOIN up ON child_id = up.id)
         SELECT access, decision FROM access JOIN up ON up.id = resource_id
         WHERE (resource_id = ?1 OR recursive) AND identity_did IN (?2, '*')
           AND credential_lookup = '' AND extra = ''",
    )?;
    let rows = select.query_map([resource, identity], |row| {
        let decision = PolicyDecision::try_from(row.get::<_, i32>(1)?).unwrap_or_default();
        Ok((row.get(0)?, decision))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds a rule, or writes it as it now is.
pub(crate) fn save(store: &Tx<'_>, rule: &Access) -> Result<()> {
    let (identity, credential) = match &rule.subject {
        Some(Subject::IdentityDid(did)) => (did.as_str(), ""),
        Some(Subject::CredentialLookup(lookup)) => ("", lookup.as_str()),
        _ => ("", ""),
    };
    store
        .prepare_cached(
            "INSERT OR REPLACE INTO access VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            rule.id,
            rule.resource_id,
            identity,
            credential,
            rule.access,
            rule.extra,
            rule.decision,
            rule.recursive,
            rule.request_time,
            rule.decision_time,
            rule.request_count,
        ])?;
    Ok(())
}

pub(crate) fn delete(store: &Tx<'_>, id: &str) -> Result<()> {
    store.prepare_cached("DELETE FROM access WHERE id = ?1")?.execute([id])?;
    Ok(())
}

pub(crate) fn delete_all(store: &Tx<'_>, resource: &str) -> Result<()> {
    store.prepare_cached("DELETE FROM access WHERE resource_id = ?1")?.execute([resource])?;
    Ok(())
}
