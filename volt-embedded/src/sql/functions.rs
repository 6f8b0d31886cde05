//! Bounds the time of functions that take as long as the product of their arguments' lengths.
//!
//! SQLite stops a statement between its instructions, and one call of a function is one instruction.
//! With two values of 16 MiB, one such call takes minutes to hours.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{
    Connection, Error, ErrorCode, Result, ToSql,
    functions::{Context, FunctionFlags, SubType},
    limits::Limit,
    params_from_iter,
    types::{ToSqlOutput, Value, ValueRef},
};

use super::policy::MAX_VALUE;

/// A function, its number of arguments, and the maximum product of the lengths of the first two in
/// bytes, for which it takes a few seconds.
const FUNCTIONS: [(&str, i32, u64); 8] = [
    ("instr", 2, 1 << 38),
    ("replace", 3, 1 << 38),
    ("trim", 2, 1 << 30),
    ("ltrim", 2, 1 << 30),
    ("rtrim", 2, 1 << 30),
    ("unhex", 2, 1 << 30),
    ("json_patch", 2, 1 << 36),
    ("jsonb_patch", 2, 1 << 36),
];

/// The subtype with which SQLite marks a text as JSON.
const JSON: SubType = Some(b'J' as u32);

/// Replaces the functions of a connection by ones that check the lengths, and then let SQLite's own
/// function work.
pub(super) fn bound(connection: &Connection) -> Result<()> {
    let original = Arc::<Original>::default();
    for (name, arguments, limit) in FUNCTIONS {
        let original = Arc::clone(&original);
        let parameters = ["?"; 3][..if arguments == 3 { 3 } else { 2 }].join(", ");
        let (call, json) = (format!("SELECT {name}({parameters})"), name == "json_patch");
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS
            | FunctionFlags::SQLITE_RESULT_SUBTYPE;
        connection.create_scalar_function(name, arguments, flags, move |context| {
            let lengths = [0, 1].map(|index| length(context.get_raw(index)));
            if lengths[0].saturating_mul(lengths[1]) > limit {
                let message = format!("the arguments of `{name}` are too long: {lengths:?} bytes");
                return Err(Error::UserFunctionError(message.into()));
            }
            let answer = original.call(&call, context).map_err(without_text)?;
            let subtype = if json && matches!(answer, Answer::Text(_)) { JSON } else { None };
            Ok((answer, subtype))
        })?;
    }
    Ok(())
}

/// With a text, an error of a function loses its code, which says that a value is too large.
fn without_text(error: Error) -> Error {
    match error {
        Error::SqliteFailure(code, _) if code.code == ErrorCode::TooBig => {
            Error::SqliteFailure(code, None)
        }
        other => other,
    }
}

/// The length in bytes. The text of a number is short.
fn length(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() as u64,
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 32,
    }
}

/// A connection with SQLite's own functions, opened when it is needed.
#[derive(Default)]
struct Original(Mutex<Option<Connection>>);

impl Original {
    fn call(&self, call: &str, context: &Context<'_>) -> Result<Answer> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.is_none() {
            let opened = Connection::open_in_memory()?;
            opened.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE)?;
            *connection = Some(opened);
        }
        let Some(connection) = &*connection else { return Ok(Answer::Value(Value::Null)) };
        let mut select = connection.prepare_cached(call)?;
        let arguments =
            (0..context.len()).map(|index| ToSqlOutput::Borrowed(context.get_raw(index)));
        select.query_row(params_from_iter(arguments), |row| {
            Ok(match row.get_ref(0)? {
                ValueRef::Text(bytes) => Answer::Text(bytes.to_vec()),
                other => Answer::Value(other.try_into()?),
            })
        })
    }
}

/// The value that a function returns.
enum Answer {
    /// Not necessarily UTF-8, which SQLite does not check.
    Text(Vec<u8>),
    Value(Value),
}

impl ToSql for Answer {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Value(value) => value.into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The replacement returns what the function returns, of every type.
    #[test]
    fn the_functions_are_those_of_sqlite() {
        let (original, bounded) = [(); 2].map(|()| Connection::open_in_memory().unwrap()).into();
        bound(&bounded).unwrap();
        let values =
            ["NULL", "''", "'aüäa'", "'ä'", "x'c3'", "x'61c3bc'", "'61ä62'", "1.50", "15", "' a '"];
        let evaluate = |connection: &Connection, sql: &str| {
            let sql = format!("SELECT typeof({sql}), hex({sql})");
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        };
        for (name, arguments, _) in FUNCTIONS {
            for first in values {
                for second in values {
                    let third = if arguments == 3 { ", 'new'" } else { "" };
                    let sql = format!("{name}({first}, {second}{third})");
                    let expected: Result<(String, String)> = evaluate(&original, &sql);
                    let given = evaluate(&bounded, &sql);
                    assert_eq!(given.is_ok(), expected.is_ok(), "{sql}");
                    if let (Ok(given), Ok(expected)) = (given, expected) {
                        assert_eq!(given, expected, "{sql}");
                    }
                }
            }
        }
        let sql = r#"SELECT json_array(json_patch('{"a":1}', '{"b":[2]}'))"#;
        let nested: String = bounded.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(nested, r#"[{"a":1,"b":[2]}]"#, "the result is known as JSON");
        bounded.execute_batch("CREATE TABLE t (x); CREATE INDEX i ON t (trim(x, 'a'))").unwrap();
    }

    #[test]
    fn long_arguments_are_refused_before_the_work() {
        let connection = Connection::open_in_memory().unwrap();
        bound(&connection).unwrap();
        for sql in [
            "SELECT instr(zeroblob(8000000), zeroblob(4000000) || x'01')",
            "SELECT replace(hex(zeroblob(4000000)), hex(zeroblob(2000000)) || 'x', 'y')",
            "SELECT trim(hex(zeroblob(400000)), hex(zeroblob(20000)))",
            "SELECT unhex(hex(zeroblob(400000)), hex(zeroblob(20000)))",
        ] {
            let outcome = connection.query_row(sql, [], |row| row.get::<_, Value>(0));
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("too long"), "{sql}: {error}");
        }
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE).unwrap();
        let sql = "SELECT replace(hex(zeroblob(1000000)), '00', 'twenty characters...')";
        let outcome = connection.query_row(sql, [], |row| row.get::<_, Value>(0));
        let code = outcome.unwrap_err().sqlite_error_code();
        assert_eq!(code, Some(ErrorCode::TooBig), "the result is too large");
        let sql = "SELECT instr(zeroblob(8000000) || x'01', zeroblob(1000) || x'01')";
        let at: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(at, 7_999_001);
    }
}
