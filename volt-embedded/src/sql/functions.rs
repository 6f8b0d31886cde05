//! Bounds the time of functions whose cost is the product of their arguments' lengths.
//!
//! SQLite stops a statement between its instructions, and one call of a function is one instruction.
//! With two values of 16 MiB, one such call takes minutes to hours. With shorter values it takes
//! seconds, so each call checks first whether the statement has to stop.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{
    Connection, Error, ErrorCode, Result, ToSql, ffi,
    functions::{Context, FunctionFlags, SubType},
    limits::Limit,
    params_from_iter,
    types::{ToSqlOutput, Value, ValueRef},
};

use super::policy::MAX_PATTERN;

/// A function, its number of arguments, and the maximum product of the lengths of the first two in
/// bytes, for which it takes a few seconds.
const FUNCTIONS: [(&str, i32, u64); 11] = [
    ("like", 2, 1 << 31),
    ("like", 3, 1 << 31),
    ("glob", 2, 1 << 31),
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

/// Replaces functions of a connection with versions that check the lengths and whether to `stop`,
/// and then call SQLite's own function. The operators `LIKE` and `GLOB` call `like` and `glob`.
pub(super) fn bound(
    connection: &Connection,
    longest_value: i32,
    stop: impl Fn() -> bool + Clone + Send + 'static,
) -> Result<()> {
    let original = Arc::new(Original { connection: Mutex::default(), longest_value });
    for (name, arguments, limit) in FUNCTIONS {
        let (original, stop) = (Arc::clone(&original), stop.clone());
        let parameters = ["?"; 3][..if arguments == 3 { 3 } else { 2 }].join(", ");
        let (call, json) = (format!("SELECT {name}({parameters})"), name == "json_patch");
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS
            | FunctionFlags::SQLITE_RESULT_SUBTYPE;
        connection.create_scalar_function(name, arguments, flags, move |context| {
            if stop() {
                let interrupted = ffi::Error::new(ffi::SQLITE_INTERRUPT);
                return Err(Error::SqliteFailure(interrupted, None));
            }
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

/// If a text is set, the function's error loses the code for a value that is too large.
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
struct Original {
    connection: Mutex<Option<Connection>>,
    longest_value: i32,
}

impl Original {
    fn call(&self, call: &str, context: &Context<'_>) -> Result<Answer> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.is_none() {
            let opened = Connection::open_in_memory()?;
            opened.set_limit(Limit::SQLITE_LIMIT_LENGTH, self.longest_value)?;
            opened.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN)?;
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
    /// The text may not be UTF-8, because SQLite does not check it.
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
    use super::{super::policy::MAX_VALUE, *};

    /// The replacement returns what the function returns, of every type.
    #[test]
    fn the_functions_return_what_sqlites_do() {
        let (original, bounded) = [(); 2].map(|()| Connection::open_in_memory().unwrap()).into();
        bound(&bounded, MAX_VALUE, || false).unwrap();
        let values = [
            "NULL",
            "''",
            "'aüäa'",
            "'ä'",
            "x'c3'",
            "x'61c3bc'",
            "'61ä62'",
            "1.50",
            "15",
            "' a '",
            "'A_%'",
            "'[^b]*'",
        ];
        let evaluate = |connection: &Connection, sql: &str| {
            let sql = format!("SELECT typeof({sql}), hex({sql})");
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        };
        for (name, arguments, _) in FUNCTIONS {
            for first in values {
                for second in values {
                    let third = match (name, arguments) {
                        ("like", 3) => ", '_'",
                        (_, 3) => ", 'new'",
                        _ => "",
                    };
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
        bound(&connection, MAX_VALUE, || false).unwrap();
        for sql in [
            "SELECT instr(zeroblob(8000000), zeroblob(4000000) || x'01')",
            "SELECT replace(hex(zeroblob(4000000)), hex(zeroblob(2000000)) || 'x', 'y')",
            "SELECT trim(hex(zeroblob(400000)), hex(zeroblob(20000)))",
            "SELECT unhex(hex(zeroblob(400000)), hex(zeroblob(20000)))",
            "SELECT hex(zeroblob(4000000)) LIKE hex(zeroblob(250))",
            "SELECT hex(zeroblob(4000000)) GLOB hex(zeroblob(250))",
            "SELECT hex(zeroblob(4000000)) LIKE hex(zeroblob(250)) ESCAPE 'a'",
        ] {
            let outcome = connection.query_row(sql, [], |row| row.get::<_, Value>(0));
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("too long"), "{sql}: {error}");
        }
        let sql = "SELECT 'a' LIKE hex(zeroblob(1000))";
        let outcome = connection.query_row(sql, [], |row| row.get::<_, Value>(0));
        assert!(outcome.unwrap_err().to_string().contains("pattern too complex"));
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE).unwrap();
        let sql = "SELECT replace(hex(zeroblob(1000000)), '00', 'twenty characters...')";
        let outcome = connection.query_row(sql, [], |row| row.get::<_, Value>(0));
        let code = outcome.unwrap_err().sqlite_error_code();
        assert_eq!(code, Some(ErrorCode::TooBig), "the result is too large");
        let sql = "SELECT instr(zeroblob(8000000) || x'01', zeroblob(1000) || x'01')";
        let at: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(at, 7_999_001);
    }

    #[test]
    fn no_function_begins_after_the_statement_has_to_stop() {
        let connection = Connection::open_in_memory().unwrap();
        let calls = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&calls);
        let stop = move || {
            let mut calls = counter.lock().unwrap();
            *calls += 1;
            *calls > 2
        };
        bound(&connection, MAX_VALUE, stop).unwrap();
        // SQLite does not check for an interrupt within the expressions of a row.
        let sql = "SELECT instr(?1, 1), trim(?1, 'b'), ?1 LIKE 'a', ?1 GLOB 'b', ?1 LIKE 'c'";
        let outcome = connection.query_row(sql, ["a"], |row| row.get::<_, Value>(0));
        let code = outcome.unwrap_err().sqlite_error_code();
        assert_eq!((code, *calls.lock().unwrap()), (Some(ErrorCode::OperationInterrupted), 3));
    }
}
