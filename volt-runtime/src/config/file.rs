//! Reading and writing a configuration's file.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::ClientConfig;
use crate::error::{Error, Result};

impl ClientConfig {
    /// Reads a configuration from its JSON text.
    ///
    /// # Errors
    ///
    /// When it is not a JSON object or a field has the wrong type; names the field. What it lacks
    /// shows when it is used.
    pub fn from_json(text: &str) -> Result<Self> {
        read(text).map_err(|error| {
            Error::configuration(format!("the client configuration cannot be read: {error}"))
        })
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or as [`from_json`](Self::from_json).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| {
            Error::configuration(format!("{} cannot be read: {error}", path.display()))
                .with_source(error)
        })?;
        // It has the private key in it.
        let text = Zeroizing::new(text);
        let mut config = read(&text)
            .map_err(|error| Error::configuration(format!("{}: {error}", path.display())))?;
        config.path = Some(path.to_owned());
        Ok(config)
    }

    /// The file that the configuration was read from, and that [`save`](Self::save) writes.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Writes the configuration to a file, readable by its owner alone, whole or not at all. The file
    /// keeps the permissions that its owner has. A passphrase is not written.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; what was there before is then still there.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.try_write(path).map_err(|error| {
            Error::configuration(format!("{} cannot be written: {error}", path.display()))
                .with_source(error)
        })
    }

    /// Writes the configuration back to the file that it was read from. One that came from no file
    /// is not written.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
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

/// Gives a file new content, whole or not at all: it is written beside it and takes its place when it
/// is complete.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    // A link stays a link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_owned);
    // Temporary files are made readable by their owner alone, and go away unless they are persisted.
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    write(file.as_file_mut())?;
    if let Ok(before) = fs::metadata(&path) {
        file.as_file().set_permissions(owners_alone(&before.permissions()))?;
    }
    file.as_file().sync_all()?;
    file.persist(&path)?;
    // The name is as durable as the content, where a folder can be synchronised.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
}

/// The same permissions for the owner, and none for others.
#[cfg(unix)]
fn owners_alone(permissions: &Permissions) -> Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    Permissions::from_mode(permissions.mode() & 0o700)
}

#[cfg(not(unix))]
fn owners_alone(permissions: &Permissions) -> Permissions {
    permissions.clone()
}

/// Reads JSON; what is wrong is named by its path.
fn read(text: &str) -> Result<ClientConfig, serde_path_to_error::Error<serde_json::Error>> {
    let text = text.trim_start_matches('\u{feff}');
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_fills_up_leaves_the_old_file_whole_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("volt.config.json");
        fs::write(&path, "old").unwrap();
        let error = replace(&path, |file| {
            file.write_all(b"{ \"client_name\": \"ha")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["volt.config.json"]);
    }
}
