//! The tree of resources.

use std::collections::HashSet;

use rusqlite::Connection;

use super::{Tx, rows::strings};
use crate::error::Result;

/// Adds a resource to a folder, unless the folder already contains it.
pub(crate) fn add(store: &Tx<'_>, parent: &str, child: &str) -> Result<()> {
    store
        .prepare_cached("INSERT OR IGNORE INTO link (parent_id, child_id) VALUES (?1, ?2)")?
        .execute([parent, child])?;
    Ok(())
}

/// Removes a resource from a folder. Returns whether the folder contained it.
pub(crate) fn remove(store: &Tx<'_>, parent: &str, child: &str) -> Result<bool> {
    let removed = store
        .prepare_cached("DELETE FROM link WHERE parent_id = ?1 AND child_id = ?2")?
        .execute([parent, child])?;
    Ok(removed > 0)
}

/// Returns the parents of a resource.
pub(crate) fn parents(store: &Connection, id: &str) -> Result<Vec<String>> {
    strings(store, "SELECT parent_id FROM link WHERE child_id = ?1 ORDER BY parent_id", [id])
}

/// Returns the children of a resource, ordered by name.
pub(crate) fn children(store: &Connection, id: &str) -> Result<Vec<String>> {
    let sql = "SELECT id FROM link JOIN resource ON id = child_id
               WHERE parent_id = ?1 ORDER BY name, id";
    strings(store, sql, [id])
}

/// Returns the oldest child with this name.
pub(crate) fn child(store: &Connection, id: &str, name: &str) -> Result<Option<String>> {
    let sql = "SELECT id FROM link JOIN resource ON id = child_id
               WHERE parent_id = ?1 AND name = ?2 ORDER BY resource.rowid LIMIT 1";
    Ok(strings(store, sql, [id, name])?.into_iter().next())
}

/// Returns the descendants of a resource, at most `depth` levels down (0: all), nearest first.
pub(crate) fn descendants(store: &Connection, id: &str, depth: u32) -> Result<Vec<String>> {
    let below = "SELECT name, id FROM link JOIN resource ON id = child_id WHERE parent_id = ?1";
    walk(store, id, depth, below)
}

/// Returns the ancestors of a resource, at most `depth` levels up (0: all), nearest first.
pub(crate) fn ancestors(store: &Connection, id: &str, depth: u32) -> Result<Vec<String>> {
    let above = "SELECT name, id FROM link JOIN resource ON id = parent_id WHERE child_id = ?1";
    walk(store, id, depth, above)
}

/// Walks the tree level by level, ordering each level by name. Each resource is visited once,
/// regardless of the number of paths to it.
fn walk(store: &Connection, id: &str, depth: u32, next: &str) -> Result<Vec<String>> {
    let mut select = store.prepare_cached(next)?;
    let mut seen = HashSet::from([id.to_owned()]);
    let mut found = Vec::new();
    let mut level = vec![(String::new(), id.to_owned())];
    let mut left = if depth == 0 { u32::MAX } else { depth };
    while left > 0 && !level.is_empty() {
        left -= 1;
        let mut below = Vec::new();
        for (_, id) in level {
            let rows = select.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            for row in rows {
                let (name, id): (String, String) = row?;
                if seen.insert(id.clone()) {
                    below.push((name, id));
                }
            }
        }
        below.sort_unstable();
        found.extend(below.iter().map(|(_, id)| id.clone()));
        level = below;
    }
    Ok(found)
}

/// Returns whether `inner` is `outer` or one of its descendants.
pub(crate) fn is_within(store: &Connection, inner: &str, outer: &str) -> Result<bool> {
    Ok(inner == outer || ancestors(store, inner, 0)?.iter().any(|id| id == outer))
}
