//! Who may do what.
//!
//! The owner of the Volt may do everything, the owner of a resource everything with it. Others need
//! a rule that permits it, on the resource or, if the rule is recursive, on something that it is in;
//! a rule that denies outweighs one that permits. A resource shared as public can be read by anyone
//! with a session.

use rusqlite::{Connection, OptionalExtension as _};
use volt_api::volt::{PolicyDecision, ShareMode};

use crate::{error::Result, store};

/// See a resource, download its content.
pub(crate) const READ: &str = "volt:resource-read";
/// Change a resource or its content, delete it, move it.
pub(crate) const WRITE: &str = "volt:resource-write";
/// Put something into a resource.
pub(crate) const CREATE: &str = "volt:resource-create";
/// Query a database.
pub(crate) const DATABASE_READ: &str = "volt:database-read";
/// Change what is in a database.
pub(crate) const DATABASE_WRITE: &str = "volt:database-write";
/// Publish to a wire.
pub(crate) const WIRE_PUBLISH: &str = "volt:wire-publish";
/// Subscribe to a wire.
pub(crate) const WIRE_SUBSCRIBE: &str = "volt:wire-subscribe";

/// What else grants this: whoever may write may read, and whoever may use a thing may see it.
fn implied_by(access: &str) -> &'static [&'static str] {
    match access {
        READ => &[WRITE, DATABASE_READ, DATABASE_WRITE, WIRE_PUBLISH, WIRE_SUBSCRIBE],
        CREATE | DATABASE_WRITE | WIRE_PUBLISH => &[WRITE],
        DATABASE_READ => &[DATABASE_WRITE, WRITE],
        WIRE_SUBSCRIBE => &[READ, WRITE],
        _ => &[],
    }
}

/// What a public resource lets everyone do.
fn is_public(access: &str) -> bool {
    matches!(access, READ | DATABASE_READ | WIRE_SUBSCRIBE)
}

/// Whether an identity may do something with a resource. A resource that is not there: no.
pub(crate) fn may(
    store: &Connection,
    volt_owner: &str,
    identity: &str,
    resource: &str,
    access: &str,
) -> Result<bool> {
    let row = store
        .prepare_cached("SELECT owner, share_mode FROM resource WHERE id = ?1")?
        .query_row([resource], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i32>(1)?)))
        .optional()?;
    let Some((owner, share_mode)) = row else { return Ok(false) };
    if identity == volt_owner || identity == owner {
        return Ok(true);
    }
    let mut permitted = share_mode == i32::from(ShareMode::PublicRead) && is_public(access);
    for (rule, decision) in store::access::rules(store, resource, identity)? {
        match decision {
            PolicyDecision::Deny if rule == access || rule == "*" => return Ok(false),
            PolicyDecision::Permit => {
                permitted |=
                    rule == access || rule == "*" || implied_by(access).contains(&rule.as_str());
            }
            _ => {}
        }
    }
    Ok(permitted)
}
