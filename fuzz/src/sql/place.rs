//! The database of the calls, and everything beside it that they must not change.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use tempfile::TempDir;
use volt_embedded::__core::create_database;

const SCHEMA: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, x, y TEXT, z BLOB, UNIQUE (x, y));
    INSERT INTO t (x, y, z) VALUES (1, 'one', x'00'), ('a', 'text', NULL), (2.5, NULL, x'ffd8');
    CREATE TABLE u (a INTEGER REFERENCES t (id), b INTEGER CHECK (b IS NOT 7)) STRICT;
    CREATE TABLE log (line);
    CREATE TRIGGER logged AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.x); END;
    CREATE VIEW v AS SELECT t.x, log.line FROM t JOIN log;
    CREATE VIRTUAL TABLE f USING fts5 (body);
    INSERT INTO f VALUES ('some words'), ('other words');
    CREATE VIRTUAL TABLE r USING rtree (id, low, high);
    INSERT INTO r VALUES (1, 0, 10), (2, 5, 15);
";
/// Settings of the process that a caller could change.
const SETTINGS: [&str; 3] = ["hard_heap_limit", "soft_heap_limit", "temp_store_directory"];

pub(super) struct Place {
    folder: TempDir,
    /// The database before any call.
    template: Vec<u8>,
    /// Watches the database. `None` while it is replaced.
    watcher: Option<Connection>,
    version: i64,
    settings: Vec<String>,
    working: PathBuf,
}

impl Place {
    pub(super) fn new() -> Self {
        let shared = Path::new("/dev/shm");
        let folder = match shared.is_dir() {
            true => tempfile::tempdir_in(shared),
            false => tempfile::tempdir(),
        };
        let folder = folder.unwrap();
        let path = folder.path().join("database");
        create_database(&path).unwrap();
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection.close().unwrap();
        let template = fs::read(&path).unwrap();
        fs::write(folder.path().join("neighbour"), &template).unwrap();
        let working = env::current_dir().unwrap();
        let mut place =
            Self { folder, template, watcher: None, version: 0, settings: Vec::new(), working };
        place.restore();
        place.settings = place.settings();
        place
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("database")
    }

    /// Checks the state after a call. `may_change` is set if it may have changed the database.
    pub(super) fn check(&mut self, may_change: bool) {
        assert_eq!(self.settings(), self.settings, "settings of the process");
        assert_eq!(env::current_dir().unwrap(), self.working);
        let watcher = self.watcher.as_ref().unwrap();
        watcher.execute_batch("BEGIN IMMEDIATE; ROLLBACK").expect("no lock is left");
        let version = pragma::<i64>(watcher, "data_version");
        let files = fs::read_dir(self.folder.path()).unwrap();
        let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let files: BTreeSet<_> = files.collect();
        let known = ["database", "database-shm", "database-wal", "neighbour"];
        assert!(files.iter().all(|file| known.contains(&file.as_str())), "{files:?}");
        if version == self.version {
            return;
        }
        assert!(may_change, "the database was changed");
        assert_eq!(pragma::<String>(watcher, "journal_mode"), "wal");
        assert_eq!(pragma::<String>(watcher, "encoding"), "UTF-8");
        assert_eq!(pragma::<String>(watcher, "quick_check"), "ok");
        let neighbour = fs::read(self.folder.path().join("neighbour")).unwrap();
        assert!(neighbour == self.template, "the file beside it was changed");
        self.restore();
    }

    /// Restores the database to its state before any call.
    fn restore(&mut self) {
        self.watcher = None;
        for end in ["-wal", "-shm"] {
            fs::remove_file(self.folder.path().join(format!("database{end}"))).ok();
        }
        fs::write(self.path(), &self.template).unwrap();
        let watcher = Connection::open(self.path()).unwrap();
        // Keeps the write-ahead log open, so that no call has to create it.
        watcher.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
        self.version = pragma(&watcher, "data_version");
        self.watcher = Some(watcher);
    }

    fn settings(&self) -> Vec<String> {
        let watcher = self.watcher.as_ref().unwrap();
        let value = |name: &&str| {
            let value = watcher.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
            format!("{name}: {:?}", value.unwrap_or(rusqlite::types::Value::Null))
        };
        SETTINGS.iter().map(value).collect()
    }
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> T {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap()
}
