//! Access rules, and access requests that await a decision.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use volt_api::volt::{Access, PolicyDecision, access::Subject};

use super::{Tx, rows::unsigned};
use crate::error::Result;

const COLUMNS: &str = "access.id, resource_id, identity_did, credential_lookup, access, extra, \
                       decision, recursive, request_time, decision_time, request_count";

/// Reads a rule without the names and kinds, which are in other tables.
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

/// Returns all rules, or those of one resource.
pub(crate) fn list(store: &Connection, resource: Option<&str>) -> Result<Vec<Access>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM access WHERE ?1 IS NULL OR resource_id = ?1
         ORDER BY request_time, id"
    );
    let mut select = store.prepare_cached(&sql)?;
    let rows = select.query_map([resource], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Finds an identity's rule for this access to this resource.
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

/// Returns the accesses and decisions of the rules that apply to an identity and a resource. A
/// recursive rule also applies to everything in its resource. A rule for the fingerprint of one of the
/// identity's keys applies to the identity.
///
/// This Volt cannot evaluate conditions: permitting rules with conditions are ignored, and denying
/// ones always apply.
pub(crate) fn rules(
    store: &Connection,
    resource: &str,
    identity: &str,
) -> Result<Vec<(String, PolicyDecision)>> {
    let mut select = store.prepare_cached(
        "WITH RECURSIVE up (id) AS (
             SELECT ?1 UNION SELECT parent_id FROM link JOIN up ON child_id = up.id)
         SELECT access, decision FROM access JOIN up ON up.id = resource_id
         WHERE (resource_id = ?1 OR recursive)
           AND (identity_did IN (?2, '*') OR identity_did IN
                (SELECT alias FROM identity_alias WHERE identity_alias.identity_did = ?2
                 AND alias_type = 'volt:public-key' AND proven))
           AND credential_lookup = '' AND (extra = '' OR decision = ?3)",
    )?;
    let deny = i32::from(PolicyDecision::Deny);
    let rows = select.query_map(params![resource, identity, deny], |row| {
        let decision = PolicyDecision::try_from(row.get::<_, i32>(1)?).unwrap_or_default();
        Ok((row.get(0)?, decision))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Inserts or replaces a rule.
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

/// Counts an identity's access requests that await a decision.
pub(crate) fn count_requests(store: &Connection, identity: &str) -> Result<u64> {
    let sql = "SELECT COUNT(*) FROM access WHERE identity_did = ?1 AND decision = ?2";
    let prompt = i32::from(PolicyDecision::Prompt);
    let count =
        store.prepare_cached(sql)?.query_row(params![identity, prompt], |row| row.get(0))?;
    Ok(unsigned(count))
}

/// Returns whether any rule permits an access to this identity.
pub(crate) fn permits_any(store: &Connection, identity: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM access WHERE identity_did = ?1 AND decision = ?2 LIMIT 1";
    let permit = i32::from(PolicyDecision::Permit);
    Ok(store.prepare_cached(sql)?.exists(params![identity, permit])?)
}

pub(crate) fn delete_all(store: &Tx<'_>, resource: &str) -> Result<()> {
    store.prepare_cached("DELETE FROM access WHERE resource_id = ?1")?.execute([resource])?;
    Ok(())
}
