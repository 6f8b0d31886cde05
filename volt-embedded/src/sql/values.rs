//! Converts values between SQLite and the API.

use std::collections::BTreeMap;

use rusqlite::{
    Row, Statement,
    types::{ToSqlOutput, ValueRef},
};
use volt_api::{
    data::{DataType, Variant, VariantRow, variant::Data},
    volt::{AttributeValue, attribute_value},
};

use crate::error::{Result, invalid};

/// The largest row, in bytes.
const MAX_ROW: usize = 32 << 20;

/// Assigns values to the parameters of a statement by name. The prefix `:`, `@` or `$` may be
/// omitted, and an unnamed parameter is identified by its number.
pub(super) fn assign<'a>(
    statement: &Statement<'_>,
    parameters: &'a BTreeMap<String, AttributeValue>,
) -> Result<Vec<(usize, ToSqlOutput<'a>)>> {
    let mut assigned = Vec::new();
    let last_numbered = (1..=statement.parameter_count())
        .rev()
        .find(|index| statement.parameter_name(*index).is_some_and(|name| name.starts_with('?')));
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index);
        let number = index.to_string();
        let bare = name.unwrap_or(&number).trim_start_matches([':', '@', '$', '?']);
        let value = name.and_then(|name| parameters.get(name)).or_else(|| parameters.get(bare));
        match value {
            Some(value) => assigned.push((index, to_sqlite(value))),
            // A statement with `?3` has three parameters, even if it does not use the others.
            None if name.is_none() && last_numbered.is_some_and(|last| index < last) => {}
            None => {
                let name = name.unwrap_or(&number);
                return Err(invalid(format!("parameter `{name}` has no value")).into());
            }
        }
    }
    if assigned.len() < parameters.len() {
        let names: Vec<_> = parameters.keys().map(String::as_str).collect();
        let message = format!("the statement does not use all of `{}`", names.join("`, `"));
        return Err(invalid(message).into());
    }
    Ok(assigned)
}

/// Refers to the value, because SQLite makes its own copy.
fn to_sqlite(value: &AttributeValue) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match &value.value {
        Some(attribute_value::Value::String(text)) => ValueRef::Text(text.as_bytes()),
        Some(attribute_value::Value::Integer(number)) => ValueRef::Integer(*number),
        Some(attribute_value::Value::Real(number)) => ValueRef::Real(*number),
        Some(attribute_value::Value::Boolean(flag)) => ValueRef::Integer(i64::from(*flag)),
        Some(attribute_value::Value::Bytes(bytes)) => ValueRef::Blob(bytes),
        _ => ValueRef::Null,
    })
}

/// Returns the size of the texts and blobs of all parameters.
pub(super) fn total_size(parameters: &BTreeMap<String, AttributeValue>) -> u64 {
    let size = |value: &AttributeValue| match &value.value {
        Some(attribute_value::Value::String(text)) => text.len(),
        Some(attribute_value::Value::Bytes(bytes)) => bytes.len(),
        _ => 0,
    };
    parameters.values().map(|value| size(value) as u64).sum()
}

/// Returns the size of a row. Fails if it does not fit into one message.
pub(super) fn size(row: &Row<'_>, columns: usize) -> rusqlite::Result<usize> {
    let mut total = 0;
    for index in 0..columns {
        total += match row.get_ref(index)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
            _ => 8,
        };
    }
    if total > MAX_ROW {
        let too_big = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_TOOBIG);
        let message = format!("a row has {total} bytes; the limit is {MAX_ROW}");
        return Err(rusqlite::Error::SqliteFailure(too_big, Some(message)));
    }
    Ok(total)
}

/// Converts a row to the API's message.
pub(super) fn row(row: &Row<'_>, columns: usize) -> rusqlite::Result<VariantRow> {
    let mut cells = Vec::with_capacity(columns);
    for index in 0..columns {
        let data = match row.get_ref(index)? {
            ValueRef::Null => Data::Null(true),
            ValueRef::Integer(number) => Data::Integer(number),
            ValueRef::Real(number) => Data::Real(number),
            // SQLite does not check that texts are valid UTF-8, which JSON must be.
            ValueRef::Text(bytes) => Data::Text(String::from_utf8_lossy(bytes).into_owned()),
            ValueRef::Blob(bytes) => Data::Blob(bytes.to_vec()),
        };
        cells.push(Variant { data: Some(data), ..Variant::default() });
    }
    Ok(VariantRow::default().with_column(cells))
}

/// Returns the type of a column declaration, according to SQLite's affinity rules.
pub(super) fn declared_type(declaration: &str) -> DataType {
    let declaration = declaration.to_ascii_uppercase();
    let has = |part: &str| declaration.contains(part);
    if has("INT") || has("BOOL") {
        DataType::Integer
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        DataType::Text
    } else if has("BLOB") {
        DataType::Blob
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        DataType::Real
    } else {
        DataType::Unknown
    }
}

/// Returns the type of a value.
pub(super) fn value_type(value: ValueRef<'_>) -> DataType {
    match value {
        ValueRef::Null => DataType::Null,
        ValueRef::Integer(_) => DataType::Integer,
        ValueRef::Real(_) => DataType::Real,
        ValueRef::Text(_) => DataType::Text,
        ValueRef::Blob(_) => DataType::Blob,
    }
}
