//! The tree: which resource is in which.

use rusqlite::{Connection, params};

use super::{Tx, rows::strings};
use crate::error::Result;

/// Puts a resource into a folder. Nothing happens if it is there already.
pub(crate) fn add(store: &Tx<'_>, parent: &str, child: &str) -> Result<()> {
    store
        .prepare_cached("INSERT OR IGNORE INTO link (parent_id, child_id) VALUES (?1, ?2)")?
        .execute([parent, child])?;
    Ok(())
}

/// Takes a resource out of a folder; says whether it was there.
pub(crate) fn remove(store: &Tx<'_>, parent: &str, child: &str) -> Result<bool> {
    let removed = store
        .prepare_cached("DELETE FROM link WHERE parent_id = ?1 AND child_id = ?2")?
        .execute([parent, child])?;
    Ok(removed > 0)
}

/// What a resource is directly in.
pub(crate) fn parents(store: &Connection, id: &str) -> Result<Vec<String>> {
    strings(store, "SELECT parent_id FROM link WHERE child_id = ?1 ORDER BY parent_id", [id])
}

/// What is directly in a resource, by name.
pub(crate) fn children(store: &Connection, id: &str) -> Result<Vec<String>> {
    let sql = "SELECT id FROM link JOIN resource ON id = child_id
               WHERE parent_id = ?1 ORDER BY name, id";
    strings(store, sql, [id])
}

/// The first child of this name.
pub(crate) fn child(store: &Connection, id: &str, name: &str) -> Result<Option<String>> {
    let sql = "SELECT id FROM link JOIN resource ON id = child_id
               WHERE parent_id = ?1 AND name = ?2 ORDER BY resource.rowid LIMIT 1";
    Ok(strings(store, sql, [id, name])?.into_iter().next())
}

/// What is in a resource, at most `depth` levels down (0: all the way), nearest first.
pub(crate) fn descendants(store: &Connection, id: &str, depth: u32) -> Result<Vec<String>> {
    let sql = "WITH RECURSIVE down (id, depth) AS (
                   SELECT child_id, 1 FROM link WHERE parent_id = ?1
                   UNION
                   SELECT child_id, depth + 1 FROM link JOIN down ON parent_id = down.id
                   WHERE ?2 = 0 OR depth < ?2)
               SELECT resource.id FROM down JOIN resource ON resource.id = down.id
               GROUP BY resource.id ORDER BY MIN(depth), name, resource.id";
    strings(store, sql, params![id, depth])
}

/// What a resource is in, at most `depth` levels up (0: to the top), nearest first.
pub(crate) fn ancestors(store: &Connection, id: &str, depth: u32) -> Result<Vec<String>> {
    let sql = "WITH RECURSIVE up (id, depth) AS (
                   SELECT parent_id, 1 FROM link WHERE child_id = ?1
                   UNION
                   SELECT parent_id, depth + 1 FROM link JOIN up ON child_id = up.id
                   WHERE ?2 = 0 OR depth < ?2)
               SELECT resource.id FROM up JOIN resource ON resource.id = up.id
               GROUP BY resource.id ORDER BY MIN(depth), name, resource.id";
    strings(store, sql, params![id, depth])
}

/// Whether `inner` is `outer`, or somewhere in it.
pub(crate) fn is_within(store: &Connection, inner: &str, outer: &str) -> Result<bool> {
    Ok(inner == outer || ancestors(store, inner, 0)?.iter().any(|id| id == outer))
}
