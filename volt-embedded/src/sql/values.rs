//! Values, between SQLite and the API.

use std::collections::BTreeMap;

use rusqlite::{
    Row, Statement,
    types::{Value, ValueRef},
};
use volt_api::{
    data::{DataType, Variant, VariantRow, variant::Data},
    volt::{AttributeValue, attribute_value},
};

use super::sql_status;
use crate::error::{Result, invalid};

/// Binds parameters by name. The `:`, `@` or `$` before a name in the statement may be left out, and
/// a parameter without a name goes by its number.
pub(super) fn bind(
    statement: &mut Statement<'_>,
    parameters: &BTreeMap<String, AttributeValue>,
) -> Result<()> {
    let mut used = 0;
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).map(str::to_owned);
        let number = index.to_string();
        let name = name.as_deref().unwrap_or(&number);
        let bare = name.trim_start_matches([':', '@', '$', '?']);
        let value = parameters.get(name).or_else(|| parameters.get(bare));
        let value = value.ok_or_else(|| invalid(format!("parameter `{name}` has no value")))?;
        statement
            .raw_bind_parameter(index, to_sqlite(value))
            .map_err(|error| sql_status(&error))?;
        used += 1;
    }
    if used < parameters.len() {
        let names: Vec<_> = parameters.keys().map(String::as_str).collect();
        let message = format!("the statement does not use all of `{}`", names.join("`, `"));
        return Err(invalid(message).into());
    }
    Ok(())
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

/// A row as the API sends it.
pub(super) fn row(row: &Row<'_>, columns: usize) -> rusqlite::Result<VariantRow> {
    let mut cells = Vec::with_capacity(columns);
    for index in 0..columns {
        let data = match row.get_ref(index)? {
            ValueRef::Null => Data::Null(true),
            ValueRef::Integer(number) => Data::Integer(number),
            ValueRef::Real(number) => Data::Real(number),
            // SQLite does not check that texts are UTF-8; JSON must be.
            ValueRef::Text(bytes) => Data::Text(String::from_utf8_lossy(bytes).into_owned()),
            ValueRef::Blob(bytes) => Data::Blob(bytes.to_vec()),
        };
        cells.push(Variant { data: Some(data) });
    }
    Ok(VariantRow { column: cells })
}

/// How many bytes the values of a row take that can be large.
pub(super) fn size(row: &VariantRow) -> usize {
    let size = |cell: &Variant| match &cell.data {
        Some(Data::Text(text)) => text.len(),
        Some(Data::Blob(bytes)) => bytes.len(),
        _ => 0,
    };
    row.column.iter().map(size).sum()
}

/// The type that a column was declared with, by SQLite's own rules.
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

/// The type of a value.
pub(super) fn value_type(value: ValueRef<'_>) -> DataType {
    match value {
        ValueRef::Null => DataType::Null,
        ValueRef::Integer(_) => DataType::Integer,
        ValueRef::Real(_) => DataType::Real,
        ValueRef::Text(_) => DataType::Text,
        ValueRef::Blob(_) => DataType::Blob,
    }
}
