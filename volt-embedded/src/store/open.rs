//! Creates and opens the store's file, and rejects files that are not a Volt's store.

use std::{
    fs::{self, File},
    io,
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, config::DbConfig, limits::Limit};

use super::{search::MAX_PATTERN, tx::Tx};
use crate::{
    disk::make_private,
    error::{Result, precondition},
};

/// The version of the schema, kept in the file's `user_version`.
const VERSION: i64 = 2;
/// Marks the file as a Volt's store: `VOLT` in ASCII.
const APPLICATION: i64 = 0x564F_4C54;

/// Creates a store in a new file, with the contents that `fill` adds. The file is created
/// atomically.
pub(crate) fn create(path: &Path, fill: impl FnOnce(&Tx<'_>) -> Result<()>) -> Result<()> {
    let mut draft = path.to_owned().into_os_string();
    draft.push(".new");
    let draft = Path::new(&draft);
    remove_if_there(draft)?;
    make_private(draft)?;
    let mut connection = Connection::open(draft)?;
    connection.execute_batch(include_str!("schema.sql"))?;
    connection.pragma_update(None, "user_version", VERSION)?;
    connection.pragma_update(None, "application_id", APPLICATION)?;
    configure(&connection)?;
    let tx = Tx::new(connection.transaction()?);
    fill(&tx)?;
    tx.commit(|| {})?;
    connection.close().map_err(|(_, error)| error)?;
    fs::rename(draft, path)?;
    sync_folder(path)?;
    Ok(())
}

/// Opens the connection that writes.
///
/// With `durable`, `synchronous` is `FULL`: a committed change survives a power failure. Otherwise it
/// is `NORMAL`: a power failure may undo the last changes, but never damages the store.
pub(super) fn writer(path: &Path, durable: bool) -> Result<Connection> {
    make_private(path)?;
    let connection = Connection::open(path)?;
    upgrade(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
    configure(&connection)?;
    Ok(connection)
}

/// Rejects files that are not a Volt's store, and upgrades older stores.
fn upgrade(connection: &Connection) -> Result<()> {
    let foreign = |reason: String| {
        precondition(format!(
            "`volt.db` is not the store of a Volt ({reason}); restore it from a backup, or choose \
             another data folder"
        ))
    };
    let number = |name: &str| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(|error| foreign(error.to_string()))
    };
    let (version, application) = (number("user_version")?, number("application_id")?);
    match (version, application) {
        (VERSION, APPLICATION) => Ok(()),
        (1, 0) if connection.table_exists(None, "setting")? => {
            connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {} PRAGMA user_version = {VERSION};
                 PRAGMA application_id = {APPLICATION}; COMMIT;",
                include_str!("upgrade_1.sql")
            ))?;
            Ok(())
        }
        (0, 0) => Err(foreign("it is empty".to_owned()).into()),
        (version, APPLICATION) => {
            let message = format!("`volt.db` has version {version}, this Volt needs {VERSION}");
            Err(precondition(message).into())
        }
        _ => Err(foreign("it is another program's database".to_owned()).into()),
    }
}

/// Applies the settings that all connections to the store share.
pub(super) fn configure(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "foreign_keys", true)?;
    // Make wildcards case-sensitive, like equality.
    connection.pragma_update(None, "case_sensitive_like", true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // SQLite recurses for each wildcard, so an unlimited pattern overflows the stack.
    let longest = i32::try_from(MAX_PATTERN * 2).unwrap_or(i32::MAX);
    connection.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, longest)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Syncs a file's folder, so that the file's name is durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
