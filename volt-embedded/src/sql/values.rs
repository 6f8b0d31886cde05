//! Converts values between SQLite and the API.

use std::collections::BTreeMap;

use rusqlite::{
    Row, Statement,
    types::{Value, ValueRef},
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
pub(super) fn assign(
    statement: &Statement<'_>,
    parameters: &BTreeMap<String, AttributeValue>,
) -> Result<Vec<(usize, Value)>> {
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

fn to_sqlite(value: &AttributeValue) -> Value {
    match &value.value {
        Some(attribute_value::Value::String(text)) => Value::Text(text.clone()),
        Some(attribute_value::Value::Integer(number)) => Value::Integer(*number),
        Some(attribute_value::Value::Real(number)) => Value::Real(*number),
        Some(attribute_value::Value::Boolean(flag)) => Value::Integer(i64::from(*flag)),
        Some(attribute_value::Value::Bytes(bytes)) => Value::Blob(bytes.clone()),
        _ => Value::Null,
    }
}

/// Converts a row to the API's message.
///
/// Fails, before copying any values, if they do not fit into one message.
pub(super) fn row(row: &Row<'_>, columns: usize) -> rusqlite::Result<VariantRow> {
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

/// Returns the size of the texts and blobs of a row.
pub(super) fn size(row: &VariantRow) -> usize {
    let size = |cell: &Variant| match &cell.data {
        Some(Data::Text(text)) => text.len(),
        Some(Data::Blob(bytes)) => bytes.len(),
        _ => 0,
    };
    row.column.iter().map(size).sum()
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
