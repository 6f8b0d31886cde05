//! The data folder: file contents and databases, named after their resources. A sync database has its
//! documents in a file separate from the one that callers query with SQL.
//!
//! Each resource has its own folder, which holds the content in a file named after its hash; the
//! store records which hash is current. A store transaction therefore replaces content atomically.
//! Contents are never modified in place, so copies of a resource share them through hard links.
//!
//! Errors name the path, for the operator.

#[cfg(test)]
mod tests;

use std::{
    fs::{DirBuilder, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use fs_err::{self as fs, File};
use rusqlite::{Connection, OpenFlags};
use tempfile::{Builder, NamedTempFile, TempPath};

use crate::{
    error::{Result, precondition},
    scope::Scope,
    sql,
};

/// The longest resource id that a client may choose.
const MAX_ID: usize = 120;
/// The content of the lock file while a Volt runs in the folder, or after that Volt was killed.
const RUNNING: &[u8] = b"running";
/// The number of SQLite instructions between two checks of the scope while a database is copied.
const INSTRUCTIONS: i32 = 10_000;

/// The data folder of a running Volt. No other Volt can open it.
pub(crate) struct Disk {
    root: PathBuf,
    files: PathBuf,
    databases: PathBuf,
    documents: PathBuf,
    incoming: PathBuf,
    /// Syncs a file or folder to disk before the store refers to it. Does nothing in a temporary folder.
    sync: fn(&File) -> io::Result<()>,
    /// Locked while the Volt runs.
    lock: File,
    /// Held while a database is created or removed, so that a deleted database is not recreated.
    databases_lock: Mutex<()>,
}

/// The purpose of a resource's database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Callers' SQL.
    Sql,
    /// Documents that callers edit.
    Documents,
}

const PURPOSES: [Purpose; 2] = [Purpose::Sql, Purpose::Documents];

/// Copies of a resource's data, which are removed unless they are [placed](Disk::place_copy).
pub(crate) struct Copied {
    content: Option<(TempPath, String)>,
    databases: Vec<(Purpose, TempPath)>,
}

impl Disk {
    /// Locks the data folder and creates missing files and subfolders. With `durable`, contents are
    /// synced to disk.
    pub(crate) fn open(root: &Path, durable: bool) -> Result<Self> {
        refuse_foreign(root)?;
        create_private(root)?;
        let path = root.join("volt.lock");
        make_private(&path)?;
        let lock = fs::OpenOptions::new().read(true).write(true).open(path)?;
        match lock.file().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("another Volt uses the data folder `{}`", root.display());
                return Err(precondition(message).into());
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let disk = Self {
            root: root.to_owned(),
            files: root.join("files"),
            databases: root.join("databases"),
            documents: root.join("documents"),
            incoming: root.join("incoming"),
            sync: if durable { File::sync_all } else { |_| Ok(()) },
            lock,
            databases_lock: Mutex::default(),
        };
        // Remove unfinished uploads of a Volt that was killed.
        match fs::remove_dir_all(&disk.incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        for folder in [&disk.files, &disk.databases, &disk.documents, &disk.incoming] {
            create_private(folder)?;
            #[cfg(unix)]
            fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        }
        Ok(disk)
    }

    /// Returns the path of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("volt.db")
    }

    /// Rejects a folder whose store, or the store's write-ahead log, is missing.
    pub(crate) fn refuse_incomplete(&self) -> Result<()> {
        let missing = if self.store().exists() {
            let killed = self.was_killed()?;
            (killed && !self.root.join("volt.db-wal").exists()).then_some("volt.db-wal")
        } else {
            let used = self.was_killed()?
                || fs::read_dir(&self.files)?.next().is_some()
                || fs::read_dir(&self.databases)?.next().is_some()
                || fs::read_dir(&self.documents)?.next().is_some();
            used.then_some("volt.db")
        };
        let Some(missing) = missing else { return Ok(()) };
        let message = format!(
            "`{}` is missing, but `{}` contains data of a Volt; restore it from a backup, or choose \
             another data folder",
            missing,
            self.root.display()
        );
        Err(precondition(message).into())
    }

    /// Returns whether the last Volt in this folder was killed.
    fn was_killed(&self) -> io::Result<bool> {
        let mut state = Vec::new();
        (&self.lock).rewind()?;
        (&self.lock).take(64).read_to_end(&mut state)?;
        Ok(state == RUNNING)
    }

    /// Records whether a Volt runs in this folder. If so, the store must have a write-ahead log.
    pub(crate) fn set_running(&self, running: bool) -> io::Result<()> {
        self.lock.set_len(0)?;
        if running {
            (&self.lock).rewind()?;
            (&self.lock).write_all(RUNNING)?;
        }
        self.lock.sync_all()
    }

    /// Removes data whose resources do not exist, as left behind by a killed Volt.
    pub(crate) fn remove_orphans(&self, exists: impl Fn(&str) -> Result<bool>) -> Result<()> {
        let folders = [(&self.files, false), (&self.databases, true), (&self.documents, true)];
        for (folder, is_database) in folders {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let stem = if is_database {
                    name.rsplit_once(".db").map_or("", |(stem, _)| stem)
                } else {
                    &name
                };
                if exists(&stem.replace('+', ":"))? {
                    continue;
                }
                tracing::warn!(path = %entry.path().display(), "removing the data of a deleted resource");
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Returns the path of the content with this hash.
    pub(crate) fn content(&self, id: &str, hash: &str) -> PathBuf {
        self.contents(id).join(hash)
    }

    fn contents(&self, id: &str) -> PathBuf {
        self.files.join(file_name(id))
    }

    fn databases(&self, purpose: Purpose) -> &Path {
        match purpose {
            Purpose::Sql => &self.databases,
            Purpose::Documents => &self.documents,
        }
    }

    fn database(&self, id: &str, purpose: Purpose) -> PathBuf {
        self.databases(purpose).join(format!("{}.db", file_name(id)))
    }

    /// Returns whether a resource has a database.
    pub(crate) fn has_database(&self, id: &str) -> bool {
        PURPOSES.iter().any(|purpose| self.database(id, *purpose).exists())
    }

    /// Returns the path of a database, creating it if necessary. `exists` returns whether the
    /// resource still exists.
    pub(crate) fn open_database(
        &self,
        id: &str,
        purpose: Purpose,
        exists: impl FnOnce() -> Result<()>,
    ) -> Result<PathBuf> {
        let path = self.database(id, purpose);
        // Deleting a resource removes its database under the same lock, after its row.
        let _lock = self.databases_lock.lock().unwrap_or_else(PoisonError::into_inner);
        exists()?;
        if !path.exists() {
            make_private(&path)?;
            sql::create(&path)?;
            self.sync_folder(self.databases(purpose))?;
        }
        Ok(path)
    }

    /// Creates a file for incoming content. It is removed when dropped, unless it is
    /// [placed](Self::place).
    pub(crate) fn incoming(&self) -> io::Result<NamedTempFile> {
        Builder::new().tempfile_in(&self.incoming)
    }

    /// Syncs incoming content to disk if the Volt is durable.
    pub(crate) fn sync(&self, content: &File) -> io::Result<()> {
        (self.sync)(content)
    }

    /// Moves complete content with this hash into the folder with the file's contents.
    pub(crate) fn place(&self, content: TempPath, id: &str, hash: &str) -> io::Result<()> {
        let folder = self.contents(id);
        if !folder.exists() {
            create_private(&folder)?;
            self.sync_folder(&self.files)?;
        }
        persist(content, &folder.join(hash))?;
        self.sync_folder(&folder)
    }

    /// Removes all contents of a file except the one with this hash, to which the store refers.
    pub(crate) fn keep_only(&self, id: &str, hash: &str) {
        let others = self.contents_except(id, hash);
        if !others.is_empty() && self.is_store_synced() {
            for other in &others {
                remove_or_log(other);
            }
        }
    }

    fn contents_except(&self, id: &str, hash: &str) -> Vec<PathBuf> {
        let all = fs::read_dir(self.contents(id)).into_iter().flatten().flatten();
        all.filter(|content| content.file_name() != hash).map(|content| content.path()).collect()
    }

    /// Syncs the changes of the store. After a power failure, a change that was not synced is undone,
    /// and the store refers to the earlier data again. Returns whether that data can be removed.
    fn is_store_synced(&self) -> bool {
        // The file without a write-ahead log is complete.
        let log = match File::open(self.root.join("volt.db-wal")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            log => log,
        };
        let synced = log.and_then(|log| (self.sync)(&log));
        if let Err(error) = &synced {
            tracing::warn!(%error, "the store cannot be synced before its earlier data is removed");
        }
        synced.is_ok()
    }

    /// Copies the data of a resource; `hash` is the hash of its content, if it has any. Stops when
    /// the scope ends.
    pub(crate) fn copy(&self, id: &str, hash: &str, scope: &Scope) -> Result<Copied> {
        let mut copied = Copied { content: None, databases: Vec::new() };
        if !hash.is_empty() {
            copied.content =
                self.link(&self.content(id, hash), scope)?.map(|path| (path, hash.to_owned()));
        }
        for purpose in PURPOSES {
            let source = self.database(id, purpose);
            if !source.exists() {
                continue;
            }
            let target = self.vacant()?;
            // Copying the file would miss changes that are only in its write-ahead log.
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let mut connection = Connection::open_with_flags(source, flags)?;
            let scope = scope.clone();
            connection.progress_handler(INSTRUCTIONS, Some(move || scope.is_over()))?;
            let name =
                target.to_str().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
            connection.execute("VACUUM INTO ?1", [name])?;
            self.sync(&File::open(&target)?)?;
            copied.databases.push((purpose, target));
        }
        Ok(copied)
    }

    /// Hard-links content into the folder of incoming files, or copies it if links are not
    /// supported. Returns `None` if the content does not exist.
    fn link(&self, from: &Path, scope: &Scope) -> Result<Option<TempPath>> {
        let target = self.vacant()?;
        match fs::hard_link(from, &target) {
            Ok(()) => return Ok(Some(target)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(_) => {}
        }
        let (copy, path) = self.incoming()?.into_parts();
        let (mut source, mut copy) =
            (File::open(from)?, File::from_parts(copy, path.to_path_buf()));
        while io::copy(&mut (&mut source).take(16 << 20), &mut copy)? > 0 {
            scope.check()?;
        }
        self.sync(&copy)?;
        Ok(Some(path))
    }

    /// Returns an unused path for an incoming file.
    fn vacant(&self) -> io::Result<TempPath> {
        let path = self.incoming()?.into_temp_path();
        fs::remove_file(&path)?;
        Ok(path)
    }

    /// Moves copied data to the resource with this id.
    pub(crate) fn place_copy(&self, copied: Copied, id: &str) -> Result<()> {
        if let Some((content, hash)) = copied.content {
            self.place(content, id, &hash)?;
        }
        for (purpose, database) in copied.databases {
            let path = self.database(id, purpose);
            persist(database, &path)?;
            make_private(&path)?;
            // The copy is not in WAL mode.
            sql::create(&path)?;
            self.sync_folder(self.databases(purpose))?;
        }
        Ok(())
    }

    /// Removes the data of a deleted resource. Files that cannot be removed are logged and removed
    /// at the next start.
    pub(crate) fn remove(&self, id: &str) {
        let _lock = self.databases_lock.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = self.contents_except(id, "");
        let databases: Vec<_> =
            PURPOSES.iter().map(|purpose| self.database(id, *purpose)).collect();
        if contents.is_empty() && databases.iter().all(|database| !database.exists()) {
            return;
        }
        // Remove it in any case: a new resource with this id must not adopt the data.
        self.is_store_synced();
        for database in databases {
            let beside = |suffix: &str| {
                let mut name = database.clone().into_os_string();
                name.push(suffix);
                PathBuf::from(name)
            };
            for path in [beside("-wal"), beside("-shm"), database.clone()] {
                remove_or_log(&path);
            }
        }
        for content in &contents {
            remove_or_log(content);
        }
        // Remaining files have already been logged.
        let _ = fs::remove_dir(self.contents(id));
    }

    /// Syncs a folder, so that new names in it are durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        #[cfg(unix)]
        (self.sync)(&File::open(folder)?)?;
        #[cfg(not(unix))]
        let _ = folder;
        Ok(())
    }
}

#[cfg(test)]
impl Disk {
    /// Replaces the syncing of files in tests, for example with a disk that fails.
    pub(crate) fn sync_with(&mut self, sync: fn(&File) -> io::Result<()>) {
        self.sync = sync;
    }
}

/// Rejects a folder with files that are not a Volt's, which would be mixed with them.
fn refuse_foreign(root: &Path) -> Result<()> {
    if root.join("volt.lock").exists() || root.join("volt.db").exists() || !root.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name();
        // The root of a file system contains this folder.
        if name != "lost+found" {
            let message = format!(
                "`{}` contains other files, such as `{}`: choose an empty folder, or one that does not exist",
                root.display(),
                name.display()
            );
            return Err(precondition(message).into());
        }
    }
    Ok(())
}

/// Creates a folder that only its owner can use, unless it exists.
fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| at(folder, &error))
}

fn persist(path: TempPath, target: &Path) -> io::Result<()> {
    path.persist(target).map_err(|error| at(target, &error.error))
}

/// Names the path of an error.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{error}: `{}`", path.display()))
}

/// Creates a file that only its owner can read, or restricts an existing file accordingly. SQLite
/// applies the same permissions to the auxiliary files of a database.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    let file = fs::OpenOptions::new().create(true).append(true).open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    drop(file);
    Ok(())
}

fn remove_or_log(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "removing a file failed");
        }
        _ => {}
    }
}

/// Returns whether a client may choose this id for a resource: a DID, a UUID, or similar.
///
/// Ids become file names, so this check also prevents path traversal.
pub(crate) fn is_valid_id(id: &str) -> bool {
    id.len() <= MAX_ID
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":._-".contains(&byte))
}

/// Returns the file name for an id. Colons are not allowed on every platform, so they become
/// pluses, which no valid id contains.
fn file_name(id: &str) -> String {
    id.replace(':', "+")
}
