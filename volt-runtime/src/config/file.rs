//! Reading and writing a configuration's file.
//!
//! The file holds the client's private key, and a client without it has lost its identity. A write
//! therefore replaces the whole file where possible, with content that has reached the disk and
//! that only the owner can read.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, Seek as _, Write},
    path::{Path, PathBuf},
};

use serde::Deserialize as _;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::{ClientConfig, explain::describe};
use crate::error::{Error, Result};

impl ClientConfig {
    /// Reads a configuration from its JSON text.
    ///
    /// # Errors
    ///
    /// Fails if the text is not a JSON object or a field has the wrong type; the error names the field. A
    /// missing field is reported when it is used.
    pub fn from_json(text: &str) -> Result<Self> {
        read(text).map_err(|error| {
            Error::configuration(format!("the client configuration cannot be read: {error}"))
        })
    }

    /// Reads a configuration file. The configuration remembers the path for [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or if [`from_json`](Self::from_json) fails.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| {
            Error::configuration(format!("{} cannot be read: {error}", path.display()))
                .with_source(error)
        })?;
        // It contains the private key.
        let text = Zeroizing::new(text);
        let mut config = read(&text)
            .map_err(|error| Error::configuration(format!("{}: {error}", path.display())))?;
        config.path = Some(path.to_owned());
        Ok(config)
    }

    /// Returns the file that the configuration was read from, and that [`save`](Self::save) writes.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Writes the configuration to a file that only its owner can access. The passphrase is not written.
    ///
    /// A file that exists is replaced as a whole, and keeps its owner, group and the owner's permissions.
    /// A file that cannot be replaced, such as a bind mount, is written in place and keeps all of its
    /// permissions.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written. Its old content is kept.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.try_write(path).map_err(|error| {
            Error::configuration(format!("{} cannot be written: {error}", path.display()))
                .with_source(error)
        })
    }

    /// Writes the configuration back to the file that it was read from. Does nothing if it was not read
    /// from a file.
    ///
    /// # Errors
    ///
    /// Same as [`write`](Self::write).
    pub fn save(&self) -> Result<()> {
        match &self.path {
            Some(path) => self.write(path),
            None => Ok(()),
        }
    }

    fn try_write(&self, path: &Path) -> io::Result<()> {
        replace(path, |mut file| {
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")
        })
    }
}

/// Replaces a file's content. The new content is written beside the file, and renamed over it once
/// complete. Where that is not possible, it is written in place.
fn replace(path: &Path, write: impl Fn(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    replace_with(path, &write, |file, path| file.persist(path).map(drop).map_err(Into::into))
}

/// Like [`replace`], with the function that renames the file, which tests replace.
fn replace_with(
    path: &Path,
    write: &dyn Fn(&mut dyn Write) -> io::Result<()>,
    rename: impl FnOnce(NamedTempFile, &Path) -> io::Result<()>,
) -> io::Result<()> {
    // A link stays a link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match write_beside(&path, write, rename) {
        // Renaming fails on a bind mount, in a read-only directory, and if the directory or file
        // has another owner.
        Err(error)
            if path.exists()
                && matches!(
                    error.kind(),
                    io::ErrorKind::ResourceBusy
                        | io::ErrorKind::CrossesDevices
                        | io::ErrorKind::PermissionDenied
                        | io::ErrorKind::ReadOnlyFilesystem
                ) =>
        {
            tracing::debug!(%error, "the configuration is written in place");
            write_in_place(&path, write)
        }
        outcome => outcome,
    }
}

/// Writes a temporary file in the same directory and renames it. A crash leaves the old file or the new
/// one.
fn write_beside(
    path: &Path,
    write: &dyn Fn(&mut dyn Write) -> io::Result<()>,
    rename: impl FnOnce(NamedTempFile, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_owned);
    // Temporary files are readable by their owner alone, and removed unless they are persisted.
    let mut file = NamedTempFile::new_in(&folder)?;
    write(file.as_file_mut())?;
    if let Ok(before) = fs::metadata(path) {
        keep_owner(file.as_file(), &before)?;
        file.as_file().set_permissions(owners_alone(&before.permissions()))?;
    }
    file.as_file().sync_all()?;
    rename(file, path)?;
    // Makes the name as durable as the content, on systems that can sync directories.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
}

/// Overwrites the file itself, which keeps its owner and mode. If that fails, its old content is
/// restored, as far as the disk allows.
fn write_in_place(path: &Path, write: &dyn Fn(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut content = Zeroizing::new(Vec::new());
    write(&mut *content)?;
    let before = Zeroizing::new(fs::read(path)?);
    let mut file = OpenOptions::new().write(true).open(path)?;
    overwrite(&mut file, &content).inspect_err(|_| {
        // The first error is the one to report.
        let _ = overwrite(&mut file, &before);
    })
}

/// Writes, then cuts the file to the new length. Cutting first would leave an empty file if the disk is
/// full.
fn overwrite(file: &mut File, content: &[u8]) -> io::Result<()> {
    file.rewind()?;
    file.write_all(content)?;
    let length = file.stream_position()?;
    file.set_len(length)?;
    file.sync_all()
}

/// Copies the owner and group of the old file, for programs that run as another user.
#[cfg(unix)]
fn keep_owner(file: &File, before: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == (before.uid(), before.gid()) {
        return Ok(());
    }
    fchown(file, Some(before.uid()), Some(before.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// The same permissions for the owner, and none for other users.
#[cfg(unix)]
fn owners_alone(permissions: &Permissions) -> Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    Permissions::from_mode(permissions.mode() & 0o700)
}

#[cfg(not(unix))]
fn owners_alone(permissions: &Permissions) -> Permissions {
    permissions.clone()
}

/// Reads JSON. Errors name the member by its path, and never contain a value.
fn read(text: &str) -> Result<ClientConfig, String> {
    // Some editors on Windows begin a file with a byte order mark.
    let text = text.trim_start_matches('\u{feff}');
    let mut input = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let config =
        ClientConfig::deserialize(serde_path_to_error::Deserializer::new(&mut input, &mut track));
    // Trailing text, such as that of a merge conflict, is also an error.
    config
        .and_then(|config| input.end().map(|()| config))
        .map_err(|error| describe(&track.path().to_string(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<std::ffi::OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    /// Fails as renaming onto a bind mount does.
    fn busy(_: NamedTempFile, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ResourceBusy.into())
    }

    #[cfg(unix)]
    #[test]
    fn an_unrenamable_file_is_written_in_place() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("volt.config.json");
        fs::write(&path, "the old content, which is longer").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let before = fs::metadata(&path).unwrap();
        replace_with(&path, &|file| file.write_all(b"new"), busy).unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()));
        assert_eq!(names(folder.path()), ["volt.config.json"]);
    }

    #[test]
    fn a_failed_write_in_place_restores_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("volt.config.json");
        fs::write(&path, "old").unwrap();
        let calls = std::cell::Cell::new(0);
        let write = |file: &mut dyn Write| {
            calls.set(calls.get() + 1);
            file.write_all(b"half")?;
            if calls.get() == 1 { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
        };
        let error = replace_with(&path, &write, busy).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    }

    /// Only root can change a file's owner; other users check that the owner is kept.
    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_owner() {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("volt.config.json");
        fs::write(&path, "old").unwrap();
        let _ = chown(&path, Some(1234), Some(1235));
        let before = fs::metadata(&path).unwrap();
        replace(&path, |file| file.write_all(b"new")).unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_full_disk_leaves_the_old_file_intact() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("volt.config.json");
        fs::write(&path, "old").unwrap();
        let error = replace(&path, |file| {
            file.write_all(b"{ \"client_name\": \"ha")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["volt.config.json"]);
    }
}
