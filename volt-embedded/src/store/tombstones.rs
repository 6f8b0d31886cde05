//! Tombstones: the ids of deleted resources, which other identities cannot reuse.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Tx;
use crate::error::Result;

/// A deleted resource.
pub(crate) struct Tombstone {
    /// The owner at the time of deletion.
    pub(crate) owner: String,
    /// Set if the resource was an identity.
    pub(crate) identity: bool,
}

/// Returns the tombstone of an id.
pub(crate) fn get(store: &Connection, id: &str) -> Result<Option<Tombstone>> {
    let sql = "SELECT owner, identity FROM tombstone WHERE id = ?1";
    let read =
        |row: &rusqlite::Row<'_>| Ok(Tombstone { owner: row.get(0)?, identity: row.get(1)? });
    Ok(store.prepare_cached(sql)?.query_row([id], read).optional()?)
}

/// Records the deletion of a resource.
pub(crate) fn add(tx: &Tx<'_>, id: &str, owner: &str, identity: bool) -> Result<()> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO tombstone (id, owner, identity) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![id, owner, identity])?;
    Ok(())
}

/// Removes the tombstone of an id that is in use again.
pub(crate) fn remove(tx: &Tx<'_>, id: &str) -> Result<()> {
    tx.prepare_cached("DELETE FROM tombstone WHERE id = ?1")?.execute([id])?;
    Ok(())
}
