//! The policy for callers' SQL: restricts what a statement may do and how large it may be.
//!
//! A caller's statement stays within its database. It cannot open other files, change process-wide
//! settings, or control transactions, which are managed through the API.

use rusqlite::{
    Connection, Result,
    config::DbConfig,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
};

/// The longest text or blob, in bytes. It is shorter for a statement that can hold many of them at
/// once.
pub(crate) const MAX_VALUE: i32 = 16 << 20;

/// The longest pattern of `LIKE` and `GLOB`, in bytes. SQLite recurses for each wildcard, and a
/// pattern of many thousands overflows the stack.
pub(crate) const MAX_PATTERN: i32 = 1000;

/// The maximum depth to which triggers and actions of foreign keys may run one another.
pub(super) const MAX_TRIGGER_DEPTH: i32 = 50;

const LIMITS: [(Limit, i32); 10] = [
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 4 << 20),
    (Limit::SQLITE_LIMIT_COLUMN, 1000),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 250),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 250),
    (Limit::SQLITE_LIMIT_VDBE_OP, 1_000_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 10_000),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, MAX_TRIGGER_DEPTH),
];

/// Read-only pragmas, and pragmas whose argument is a table, an index or a count.
const READING_PRAGMAS: [&str; 14] = [
    "collation_list",
    "compile_options",
    "foreign_key_check",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "module_list",
    "pragma_list",
    "quick_check",
    "table_info",
    "table_xinfo",
];

/// Pragmas that are permitted only without an argument, because an argument would change the file
/// format or affect the whole process.
const BARE_PRAGMAS: [&str; 8] = [
    "data_version",
    "encoding",
    "freelist_count",
    "journal_mode",
    "page_count",
    "page_size",
    "schema_version",
    "table_list",
];

/// Pragmas of the connection or of the database itself, with or without a value. Not `case_sensitive_like`,
/// which SQLite deprecates: it would replace the bounded `like`.
const SETTINGS: [&str; 6] = [
    "application_id",
    "defer_foreign_keys",
    "foreign_keys",
    "optimize",
    "recursive_triggers",
    "user_version",
];

/// Functions with effects outside the database.
const FORBIDDEN_FUNCTIONS: [&str; 3] = ["fts3_tokenizer", "load_extension", "sqlite_log"];

/// The permitted virtual table modules.
const MODULES: [&str; 8] =
    ["fts3", "fts4", "fts4aux", "fts5", "fts5vocab", "geopoly", "rtree", "rtree_i32"];

/// Applies the policy to a connection, whose texts and blobs have at most `longest_value` bytes. `own` is
/// true while the connection runs one of the Volt's own statements.
pub(super) fn apply(
    connection: &mut Connection,
    longest_value: i32,
    own: impl Fn() -> bool + Send + 'static,
) -> Result<()> {
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest_value)?;
    for (limit, value) in LIMITS {
        connection.set_limit(limit, value)?;
    }
    // The schema belongs to the caller. Neither it nor a statement may corrupt the file, and its
    // views and triggers may not call functions with side effects.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if own() || is_permitted(&context.action) {
            Authorization::Allow
        } else {
            Authorization::Deny
        }
    }))
}

fn is_permitted(action: &AuthAction<'_>) -> bool {
    match *action {
        AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::Unknown { .. } => false,
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let named =
                |list: &[&str]| list.iter().any(|one| one.eq_ignore_ascii_case(pragma_name));
            named(&READING_PRAGMAS)
                || named(&SETTINGS)
                || (pragma_value.is_none() && named(&BARE_PRAGMAS))
        }
        AuthAction::Function { function_name } => {
            !FORBIDDEN_FUNCTIONS.iter().any(|one| one.eq_ignore_ascii_case(function_name))
        }
        AuthAction::CreateVtable { module_name, .. } => {
            MODULES.iter().any(|one| one.eq_ignore_ascii_case(module_name))
        }
        _ => true,
    }
}
