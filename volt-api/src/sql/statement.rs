//! Statements with the values of their parameters.

use std::collections::BTreeMap;

use volt_runtime::Error;

use crate::{
    data::SqlExecuteStart,
    rows::RowError,
    volt::{AttributeValue, attribute_value::Value},
};

macro_rules! from {
    ($($variant:ident: $($from:ty)*;)*) => {$($(
        impl From<$from> for AttributeValue {
            fn from(value: $from) -> Self {
                Self { value: Some(Value::$variant(value.into())), ..Self::default() }
            }
        }
    )*)*};
}

from! {
    String: &str String;
    Integer: i8 i16 i32 i64 u8 u16 u32;
    Real: f32 f64;
    Boolean: bool;
    Bytes: &[u8] Vec<u8>;
}

impl From<&String> for AttributeValue {
    fn from(value: &String) -> Self {
        value.as_str().into()
    }
}

/// `None` is NULL.
impl<T: Into<Self>> From<Option<T>> for AttributeValue {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::default, Into::into)
    }
}

/// A statement with the values of its parameters.
#[derive(Debug)]
pub(super) struct Statement {
    sql: String,
    parameters: BTreeMap<String, AttributeValue>,
    /// The number of values bound by position.
    bound: usize,
}

impl Statement {
    pub(super) fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), parameters: BTreeMap::new(), bound: 0 }
    }

    /// Binds the next positional parameter.
    pub(super) fn bind(&mut self, value: AttributeValue) {
        self.bound += 1;
        self.parameters.insert(self.bound.to_string(), value);
    }

    pub(super) fn bind_as(&mut self, name: impl Into<String>, value: AttributeValue) {
        self.parameters.insert(name.into(), value);
    }

    pub(super) fn into_start(self, database: &str) -> SqlExecuteStart {
        SqlExecuteStart {
            database_id: database.to_owned(),
            statement: self.sql,
            parameter: self.parameters,
            ..SqlExecuteStart::default()
        }
    }
}

pub(super) fn no_row() -> Error {
    RowError::new("the statement returned no row; `fetch_optional` returns `None` for that").into()
}

pub(super) fn several_rows() -> Error {
    RowError::new("the statement returned more than one row: use `fetch_all`, or `LIMIT 1`").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_values_become_values_of_sql() {
        let null = AttributeValue::default();
        assert_eq!(AttributeValue::from("a"), null.clone().with_string("a"));
        assert_eq!(AttributeValue::from("a".to_owned()), null.clone().with_string("a"));
        assert_eq!(AttributeValue::from(-1_i64), null.clone().with_integer(-1));
        assert_eq!(AttributeValue::from(0.5), null.clone().with_real(0.5));
        assert_eq!(AttributeValue::from(true), null.clone().with_boolean(true));
        assert_eq!(AttributeValue::from(vec![1_u8]), null.clone().with_bytes([1]));
        assert_eq!(AttributeValue::from(Some(1)), null.clone().with_integer(1));
        assert_eq!(AttributeValue::from(None::<&str>), null);
    }

    #[test]
    fn positions_count_from_one_beside_names() {
        let mut statement = Statement::new("SELECT ?, ?, :n");
        statement.bind("a".into());
        statement.bind_as(":n", 1.into());
        statement.bind("b".into());
        let start = statement.into_start("@shop");
        assert_eq!(start.parameter.keys().collect::<Vec<_>>(), ["1", "2", ":n"]);
        assert_eq!(start.database_id, "@shop");
    }
}
