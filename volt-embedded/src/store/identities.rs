//! Identities: resources with aliases, such as their keys. An identity's resource is its home folder.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use volt_api::{
    key::VerifyingKey,
    volt::{ConnectResourceEvent as What, IdentityAlias, OnlineStatus, Resource, ResourceStatus},
};

use super::{Tx, events::Event, links, now, resources, rows::strings, search::like};
use crate::error::{Result, exists};

/// The kinds of an identity's resource.
pub(crate) const KINDS: [&str; 3] = [resources::IDENTITY, "volt:folder", "volt:home-folder"];
/// The type of an alias that is a public key; its text is the key's fingerprint.
pub(crate) const PUBLIC_KEY: &str = "volt:public-key";

const COLUMNS: &str =
    "id, identity_did, alias, alias_type, public_key, issuer_id, authenticate, description";

fn read(row: &Row<'_>) -> rusqlite::Result<IdentityAlias> {
    Ok(IdentityAlias {
        id: row.get(0)?,
        identity_did: row.get(1)?,
        alias: row.get(2)?,
        alias_type: row.get(3)?,
        public_key: row.get(4)?,
        issuer_id: row.get(5)?,
        authenticate: row.get(6)?,
        description: row.get(7)?,
        ..IdentityAlias::default()
    })
}

/// Creates an identity with this id in the root resource. Returns the id.
pub(crate) fn create(tx: &Tx<'_>, root: &str, id: &str, name: &str) -> Result<String> {
    let created = now();
    let identity = Resource::default()
        .with_id(id)
        .with_name(if name.is_empty() { id } else { name })
        .with_owner(id)
        .with_kind(KINDS)
        .with_status(ResourceStatus::Live)
        .with_online_status(OnlineStatus::Online)
        .with_created(created)
        .with_modified(created)
        .with_version(1);
    resources::insert(tx, &identity)?;
    links::add(tx, root, id)?;
    tx.emit(Event::resource(What::Create, &identity));
    Ok(id.to_owned())
}

/// Adds a proven key to an identity.
pub(crate) fn add_key(tx: &Tx<'_>, identity: &str, key: &VerifyingKey) -> Result<()> {
    let alias = IdentityAlias::default()
        .with_identity_did(identity)
        .with_alias(key.fingerprint())
        .with_alias_type(PUBLIC_KEY)
        .with_public_key(key.to_pem());
    save(tx, &alias, true)
}

/// Returns the alias of this key, which names the key's identity. Only proven keys are found:
/// otherwise an identity could claim another client's key.
pub(crate) fn with_key(store: &Connection, key: &VerifyingKey) -> Result<Option<IdentityAlias>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM identity_alias WHERE alias_type = ?1 AND alias = ?2 AND proven"
    );
    Ok(store.prepare_cached(&sql)?.query_row([PUBLIC_KEY, &key.fingerprint()], read).optional()?)
}

/// Returns the proven keys of an identity, in the order in which they were added.
pub(crate) fn keys(store: &Connection, identity: &str) -> Result<Vec<VerifyingKey>> {
    let sql = "SELECT public_key FROM identity_alias
               WHERE identity_did = ?1 AND alias_type = ?2 AND proven ORDER BY id";
    let keys = strings(store, sql, [identity, PUBLIC_KEY])?;
    Ok(keys.iter().filter_map(|pem| VerifyingKey::from_pem(pem).ok()).collect())
}

/// Returns all keys of an identity, including those that it claims but that are not proven.
pub(crate) fn claimed_keys(store: &Connection, identity: &str) -> Result<Vec<VerifyingKey>> {
    let aliases = aliases(store, identity)?;
    let keys = aliases.iter().filter(|alias| alias.alias_type == PUBLIC_KEY);
    Ok(keys.filter_map(|alias| VerifyingKey::from_pem(&alias.public_key).ok()).collect())
}

/// Returns all aliases of an identity.
pub(crate) fn aliases(store: &Connection, identity: &str) -> Result<Vec<IdentityAlias>> {
    let sql = format!("SELECT {COLUMNS} FROM identity_alias WHERE identity_did = ?1 ORDER BY id");
    let mut select = store.prepare_cached(&sql)?;
    let rows = select.query_map([identity], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Finds an alias by its type and text.
pub(crate) fn by_alias(
    store: &Connection,
    alias_type: &str,
    alias: &str,
) -> Result<Option<IdentityAlias>> {
    let sql = format!("SELECT {COLUMNS} FROM identity_alias WHERE alias_type = ?1 AND alias = ?2");
    Ok(store.prepare_cached(&sql)?.query_row([alias_type, alias], read).optional()?)
}

/// Finds identities by name and alias. `*` is a wildcard; an empty pattern matches everything.
pub(crate) fn find(
    store: &Connection,
    name: &str,
    alias: &str,
    alias_type: &str,
) -> Result<Vec<String>> {
    let all = |pattern: &str| like(if pattern.is_empty() { "*" } else { pattern });
    // Identities without aliases match unless an alias is requested.
    let any_alias = alias.is_empty() && alias_type.is_empty();
    let sql = "SELECT resource.id FROM resource JOIN kind ON resource_id = resource.id
               WHERE kind = 'volt:identity' AND name LIKE ?1 ESCAPE '\\'
                 AND (?2 OR EXISTS (SELECT 1 FROM identity_alias
                      WHERE identity_did = resource.id
                        AND alias LIKE ?3 ESCAPE '\\' AND alias_type LIKE ?4 ESCAPE '\\'))
               ORDER BY name, resource.id";
    strings(store, sql, params![all(name)?, any_alias, all(alias)?, all(alias_type)?])
}

/// Adds an alias, or updates the one with the same type and text. `proven` is true for a key that
/// has signed a call that names the identity, or that the owner of the Volt vouches for.
pub(crate) fn save(store: &Tx<'_>, alias: &IdentityAlias, proven: bool) -> Result<()> {
    if let Some(other) = by_alias(store, &alias.alias_type, &alias.alias)?
        && other.identity_did != alias.identity_did
    {
        let mut claimed =
            store.prepare_cached("DELETE FROM identity_alias WHERE id = ?1 AND NOT proven")?;
        // An unproven claim is replaced when another identity proves the key.
        if !proven || claimed.execute([other.id])? == 0 {
            return Err(exists(format!("`{}` belongs to another identity", alias.alias)).into());
        }
    }
    store
        .prepare_cached(
            "INSERT INTO identity_alias
                 (identity_did, alias, alias_type, public_key, issuer_id, authenticate,
                  description, proven)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (alias_type, alias) DO UPDATE
             SET public_key = ?4, issuer_id = ?5, authenticate = ?6, description = ?7,
                 proven = MAX(proven, ?8)",
        )?
        .execute(params![
            alias.identity_did,
            alias.alias,
            alias.alias_type,
            alias.public_key,
            alias.issuer_id,
            alias.authenticate,
            alias.description,
            proven,
        ])?;
    Ok(())
}

/// Removes an alias of an identity, identified by number or by type and text.
pub(crate) fn remove(store: &Tx<'_>, identity: &str, alias: &IdentityAlias) -> Result<()> {
    store
        .prepare_cached(
            "DELETE FROM identity_alias
             WHERE identity_did = ?1 AND (id = ?2 OR (alias_type = ?3 AND alias = ?4))",
        )?
        .execute(params![identity, alias.id, alias.alias_type, alias.alias])?;
    Ok(())
}

/// Removes all aliases of an identity except its keys, which it needs to authenticate.
pub(crate) fn purge(store: &Tx<'_>, identity: &str) -> Result<()> {
    store
        .prepare_cached("DELETE FROM identity_alias WHERE identity_did = ?1 AND alias_type <> ?2")?
        .execute([identity, PUBLIC_KEY])?;
    Ok(())
}
