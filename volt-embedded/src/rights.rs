//! Access rights: decides what an identity may do with a resource.
//!
//! The owner of the Volt has all rights, and the owner of a resource has all rights to it. Other
//! identities need a rule that permits the access, on the resource or, if the rule is recursive, on
//! a resource that contains it. Denying rules take precedence over permitting ones. A public
//! resource can be read by every client with a session.

use rusqlite::{Connection, OptionalExtension as _};
use volt_api::volt::{PolicyDecision, ShareMode};

use crate::{error::Result, store};

/// See a resource: its name, kinds and attributes.
pub(crate) const READ: &str = "volt:resource-read";
/// Read the content of a file. Only rules for [`READ`] and [`WRITE`] permit it: the right to
/// publish to a wire, for instance, implies the right to see the wire but not to read its content.
pub(crate) const CONTENT: &str = "volt:resource-content";
/// Change a resource or its content, delete it, or move it.
pub(crate) const WRITE: &str = "volt:resource-write";
/// Create something in a resource.
pub(crate) const CREATE: &str = "volt:resource-create";
/// Query a database.
pub(crate) const DATABASE_READ: &str = "volt:database-read";
/// Change the content of a database.
pub(crate) const DATABASE_WRITE: &str = "volt:database-write";
/// Publish to a wire.
pub(crate) const WIRE_PUBLISH: &str = "volt:wire-publish";
/// Subscribe to a wire.
pub(crate) const WIRE_SUBSCRIBE: &str = "volt:wire-subscribe";

/// Returns the other accesses that imply this one.
fn implied_by(access: &str) -> &'static [&'static str] {
    match access {
        READ => &[WRITE, DATABASE_READ, DATABASE_WRITE, WIRE_PUBLISH, WIRE_SUBSCRIBE],
        CREATE | DATABASE_WRITE | WIRE_PUBLISH => &[WRITE],
        DATABASE_READ => &[DATABASE_WRITE, WRITE],
        CONTENT | WIRE_SUBSCRIBE => &[READ, WRITE],
        _ => &[],
    }
}

/// Returns whether a rule that denies the access `rule` also denies `access`.
fn denies(rule: &str, access: &str) -> bool {
    rule == "*" || rule == access || (access == CONTENT && rule == READ)
}

/// Returns whether every identity has this access to a public resource.
fn is_public(access: &str) -> bool {
    matches!(access, READ | CONTENT | DATABASE_READ | WIRE_SUBSCRIBE)
}

/// Returns whether an identity has this access to a resource. Returns `false` if the resource does
/// not exist.
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
            PolicyDecision::Deny if denies(&rule, access) => return Ok(false),
            PolicyDecision::Permit => {
                permitted |=
                    rule == access || rule == "*" || implied_by(access).contains(&rule.as_str());
            }
            _ => {}
        }
    }
    Ok(permitted)
}
