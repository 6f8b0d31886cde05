//! Files of this machine: complete or absent, and always within their folder.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use tokio::fs;
use uuid::Uuid;
use volt_runtime::{Error, ErrorKind, Executed, Result};

/// A file that is written beside its target and renamed into place when it is complete. Dropping it
/// earlier removes it.
pub(super) struct Partial {
    path: PathBuf,
    target: PathBuf,
    complete: bool,
}

impl Partial {
    /// Creates the file. Its folder must exist.
    pub(super) async fn create(target: &Path) -> Result<(Self, fs::File)> {
        let Some(name) = target.file_name() else {
            return Err(Error::configuration(format!("`{}` names no file", target.display())));
        };
        // The name of the target may be as long as names can be, so it is not part of this one.
        let path = target.with_file_name(format!(".volt-{}.part", Uuid::new_v4().simple()));
        let file = fs::File::options().write(true).create_new(true).open(&path).await;
        let file = file.map_err(|error| {
            local(&format!("`{}` cannot be written", Path::new(name).display()), error)
        })?;
        Ok((Self { path, target: target.to_owned(), complete: false }, file))
    }

    /// Writes the file to disk and renames it. An existing file is replaced.
    pub(super) async fn complete(mut self, file: fs::File) -> Result<()> {
        let failed =
            |error| local(&format!("`{}` cannot be written", self.target.display()), error);
        file.sync_all().await.map_err(failed)?;
        drop(file.into_std().await);
        fs::rename(&self.path, &self.target).await.map_err(failed)?;
        self.complete = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.complete {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The error for a failure of this machine's files.
pub(super) fn local(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, what).with_source(error).with_executed(Executed::No)
}

/// Returns the names of a path from a Volt, if each can be a name in a folder of this machine.
///
/// # Errors
///
/// If a name would lead out of the folder, or is one that systems treat specially.
pub(super) fn safe_names(path: &str) -> Result<Vec<&str>> {
    let names: Vec<_> = path.split('/').collect();
    match names.iter().find_map(|name| Some((name, problem(name)?))) {
        None => Ok(names),
        Some((name, problem)) => Err(Error::new(
            ErrorKind::Conversion,
            format!("the Volt's file {path:?} cannot be stored here: the name {name:?} {problem}"),
        )),
    }
}

/// Returns what is wrong with a name. Rejects what is special on any system, so that a folder that
/// was downloaded on one can be copied to another.
fn problem(name: &str) -> Option<&'static str> {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let numbered = |device: &str| {
        stem.strip_prefix(device).is_some_and(|rest| {
            let number =
                matches!(rest.as_bytes(), [b'0'..=b'9']) || matches!(rest, "¹" | "²" | "³");
            if device == "com" || device == "lpt" { number } else { rest.is_empty() }
        })
    };
    if matches!(name, "" | "." | "..") {
        Some("leads elsewhere")
    } else if name.contains(['\\', ':', '\0']) {
        Some("has a character that separates or ends paths")
    } else if name.ends_with(['.', ' ']) {
        Some("ends with a dot or space, which some systems remove")
    } else if DEVICES.iter().any(|device| numbered(device)) {
        Some("is a device on some systems")
    } else {
        None
    }
}

/// Creates the folders on the way to a file and returns its path. Symbolic links within `root` are
/// not followed: they could lead out of it.
pub(super) async fn place(root: &Path, names: &[&str]) -> Result<PathBuf> {
    let mut path = root.to_owned();
    let (name, folders) = names.split_last().unwrap_or((&"", &[]));
    for folder in folders {
        path.push(folder);
        ensure_folder(&path).await?;
    }
    path.push(name);
    Ok(path)
}

/// Creates a folder of a download unless it exists.
pub(super) async fn ensure_folder(path: &Path) -> Result<()> {
    let failed =
        |error| local(&format!("the folder `{}` cannot be created", path.display()), error);
    match fs::create_dir(path).await {
        // Another file of the download may have created it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path).await.map_err(failed)?;
            if found.is_dir() {
                return Ok(());
            }
            Err(failed(io::Error::new(error.kind(), "a file or symbolic link has this name")))
        }
        outcome => outcome.map_err(failed),
    }
}

/// A file in a folder of this machine.
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// The names from the folder, with `/` between them.
    pub(super) name: String,
    pub(super) size: u64,
}

/// Lists the regular files in a folder, at any depth. Symbolic links are not followed.
///
/// # Errors
///
/// If a folder cannot be read, or a name is not valid Unicode.
pub(super) async fn list(root: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut open = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = open.pop() {
        let failed =
            |error| local(&format!("the folder `{}` cannot be read", folder.display()), error);
        let mut entries = fs::read_dir(&folder).await.map_err(failed)?;
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            let name = entry.file_name().into_string().map_err(|name| not_unicode(&name))?;
            let name = format!("{prefix}{name}");
            let kind = entry.file_type().await.map_err(failed)?;
            if kind.is_dir() {
                open.push((entry.path(), format!("{name}/")));
            } else if kind.is_file() {
                let size = entry.metadata().await.map_err(failed)?.len();
                found.push(Found { path: entry.path(), name, size });
            }
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn not_unicode(name: &OsString) -> Error {
    Error::new(
        ErrorKind::Conversion,
        format!("the name `{}` is not Unicode: rename the file", name.display()),
    )
    .with_executed(Executed::No)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/../b",
            "a/..",
            ".",
            "a//b",
            "a/",
            "..\\b",
            "C:b",
            "a\0b",
            "con",
            "NUL.txt",
            "a/com1",
            "LPT9.log",
            "end.",
            "end ",
        ] {
            assert!(safe_names(path).is_err(), "{path:?}");
        }
        for path in ["a", "a/b.txt", ".hidden", "...a", "console", "com", "über/ä b", "nullable"]
        {
            assert!(safe_names(path).is_ok(), "{path:?}");
        }
    }
}
