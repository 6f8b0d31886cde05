//! The Volt's folder: contents of files, and databases, named by resource.
//!
//! The content of a resource lies in a folder of its own, under a name that is its hash, and the store
//! says which hash counts. So the store's own change is what replaces content, whole or not at all.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile, TempPath};

/// The longest resource id that a caller may choose.
const MAX_ID: usize = 120;

/// Where things are on disk.
pub(crate) struct Disk {
    files: PathBuf,
    databases: PathBuf,
    incoming: PathBuf,
}

impl Disk {
    /// Uses `root`, and makes its folders if they are not there.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let disk = Self {
            files: root.join("files"),
            databases: root.join("databases"),
            incoming: root.join("incoming"),
        };
        // Uploads that a crash left half done.
        match fs::remove_dir_all(&disk.incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for folder in [&disk.files, &disk.databases, &disk.incoming] {
            fs::create_dir_all(folder)?;
        }
        Ok(disk)
    }

    /// The content with this hash of the file with this id.
    pub(crate) fn content(&self, id: &str, hash: &str) -> PathBuf {
        self.contents(id).join(hash)
    }

    fn contents(&self, id: &str) -> PathBuf {
        self.files.join(file_name(id))
    }

    /// The database with this id.
    pub(crate) fn database(&self, id: &str) -> PathBuf {
        self.databases.join(format!("{}.db", file_name(id)))
    }

    /// A file for content that is still coming. It goes away by itself unless it is
    /// [put in place](Self::place).
    pub(crate) fn incoming(&self) -> io::Result<NamedTempFile> {
        Builder::new().tempfile_in(&self.incoming)
    }

    /// Puts complete content with this hash beside what the file with this id has.
    pub(crate) fn place(&self, content: TempPath, id: &str, hash: &str) -> io::Result<()> {
        fs::create_dir_all(self.contents(id))?;
        content.persist(self.content(id, hash)).map_err(|error| error.error)
    }

    /// Removes all contents of a file but the one with this hash: what was replaced, and what a crash
    /// kept from counting.
    pub(crate) fn keep_only(&self, id: &str, hash: &str) {
        for other in fs::read_dir(self.contents(id)).into_iter().flatten().flatten() {
            if other.file_name() != hash {
                remove_or_log(&other.path());
            }
        }
    }

    /// Copies what one resource has on disk to another; `hash` is that of its content, if it has any.
    pub(crate) fn copy(&self, from: &str, to: &str, hash: &str) -> io::Result<()> {
        if !hash.is_empty() {
            fs::create_dir_all(self.contents(to))?;
            copy_if_there(&self.content(from, hash), &self.content(to, hash))?;
        }
        let (source, target) = (self.database(from), self.database(to));
        if !source.exists() {
            return Ok(());
        }
        // A copy of the bytes would lack what still stands in the log beside the database.
        let connection = rusqlite::Connection::open(source).map_err(io::Error::other)?;
        let target = target.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        connection.execute("VACUUM INTO ?1", [target]).map_err(io::Error::other)?;
        Ok(())
    }

    /// Removes what a resource has on disk. What cannot be removed is left and logged: the resource
    /// is gone either way.
    pub(crate) fn remove(&self, id: &str) {
        let database = self.database(id);
        let beside = |suffix: &str| {
            let mut name = database.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        for path in [beside("-wal"), beside("-shm"), database.clone()] {
            remove_or_log(&path);
        }
        self.keep_only(id, "");
        // What is not empty was logged.
        let _ = fs::remove_dir(self.contents(id));
    }
}

fn remove_or_log(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a file was left behind");
        }
        _ => {}
    }
}

fn copy_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::copy(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Whether this can be the id of a resource: a DID, a UUID, or the like.
///
/// Ids become file names, so this is what keeps them in their folder.
pub(crate) fn is_valid_id(id: &str) -> bool {
    id.len() <= MAX_ID
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":._-".contains(&byte))
}

/// Colons are not allowed everywhere; no valid id has a plus.
fn file_name(id: &str) -> String {
    id.replace(':', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_leave_their_folder() {
        for id in ["did:volt:0b6a", "0b6a-11", "a.b_c"] {
            assert!(is_valid_id(id), "{id}");
        }
        for id in ["", ".", "..", "../x", "a/b", "a\\b", "@alias", "a+b", "ä", &"x".repeat(121)] {
            assert!(!is_valid_id(id), "{id}");
        }
    }

    #[test]
    fn what_came_before_a_crash_is_cleared_away() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path()).unwrap();
        let (_, kept) = disk.incoming().unwrap().keep().unwrap();
        Disk::open(root.path()).unwrap();
        assert!(!kept.exists());
    }
}
