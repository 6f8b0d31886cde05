//! The Volt's own settings, stored by name.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Tx;
use crate::error::Result;

pub(crate) fn get(store: &Connection, name: &str) -> Result<Option<String>> {
    let value = store
        .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(value)
}

pub(crate) fn set(store: &Tx<'_>, name: &str, value: &str) -> Result<()> {
    store
        .prepare_cached("INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)")?
        .execute(params![name, value])?;
    Ok(())
}
