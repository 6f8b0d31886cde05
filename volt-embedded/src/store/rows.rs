//! Conversions between rows and the API's types.

use rusqlite::Connection;

use crate::error::{Result, internal};

/// Returns the first column of all rows.
pub(super) fn strings(
    store: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<String>> {
    let mut select = store.prepare_cached(sql)?;
    let rows = select.query_map(parameters, |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes a value as the API's JSON.
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| internal(format!("a value cannot be stored: {error}")).into())
}

/// Reads a value from the API's JSON.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| internal(format!("a value in the store is damaged: {error}")).into())
}

/// Converts to SQLite's signed integers. Stored numbers never exceed the range of `i64`.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The inverse of [`signed`].
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
