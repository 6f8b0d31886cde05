//! Local files: complete or absent, and always within their folder.

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use tokio::{fs, task::spawn_blocking};
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
        if target.file_name().is_none() {
            return Err(Error::configuration(format!("`{}` names no file", target.display())));
        }
        let target = target.to_owned();
        // File system operations cannot be cancelled. The operation owns the guard, which removes
        // the file even if the future was dropped.
        let created = blocking(move || {
            Self::beside(&target)
                .map_err(|error| local(&format!("`{}` cannot be written", target.display()), error))
        });
        let (partial, file) = created.await?;
        Ok((partial, fs::File::from_std(file)))
    }

    fn beside(target: &Path) -> io::Result<(Self, std::fs::File)> {
        // The name of the target may be as long as names can be, so it is not part of this one.
        let path = target.with_file_name(format!(".volt-{}.part", Uuid::new_v4().simple()));
        let file = std::fs::File::options().write(true).create_new(true).open(&path)?;
        Ok((Self { path, target: target.to_owned(), complete: false }, file))
    }

    /// Writes the file to disk and renames it. An existing file is replaced.
    ///
    /// If the future is dropped, the file may still be renamed: it is complete.
    pub(super) async fn complete(self, file: fs::File) -> Result<()> {
        let file = file.into_std().await;
        blocking(move || {
            // Move the whole value: dropping it removes the file unless it is complete.
            let mut partial = self;
            let failed =
                |error| local(&format!("`{}` cannot be written", partial.target.display()), error);
            file.sync_all().map_err(failed)?;
            drop(file);
            std::fs::rename(&partial.path, &partial.target).map_err(failed)?;
            partial.complete = true;
            Ok(())
        })
        .await
    }
}

/// Runs file system work on a blocking thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let lost = |error: tokio::task::JoinError| {
        local("the work on a file was interrupted", io::Error::other(error))
    };
    spawn_blocking(work).await.map_err(lost)?
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
/// Fails if a name would lead out of the folder, or is one that systems treat specially.
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

/// Returns two paths that a disk that ignores case cannot distinguish: they, or their parent folders,
/// differ only by case.
pub(super) fn same_but_for_case<'a>(paths: &[&'a str]) -> Option<(&'a str, &'a str)> {
    // The first spelling of each file and folder, by its path in lower case.
    let mut known: HashMap<String, &str> = HashMap::new();
    for path in paths {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        for prefix in ends.map(|end| &path[..end]) {
            let first = known.entry(prefix.to_lowercase()).or_insert(prefix);
            if *first != prefix {
                return Some((first, prefix));
            }
        }
    }
    None
}

/// Returns whether the disk of a folder ignores the case of names.
pub(super) async fn ignores_case(folder: &Path) -> Result<bool> {
    let folder = folder.to_owned();
    blocking(move || {
        let failed = |error| local(&format!("`{}` cannot be written", folder.display()), error);
        let (probe, _) = Partial::beside(&folder.join("probe")).map_err(failed)?;
        let name = probe.path.file_name().unwrap_or_default().to_ascii_uppercase();
        Ok(probe.path.with_file_name(name).symlink_metadata().is_ok())
    })
    .await
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
    /// The names from the folder, separated by `/`.
    pub(super) name: String,
    pub(super) size: u64,
}

/// Lists the regular files in a folder, at any depth. Symbolic links are not followed.
///
/// # Errors
///
/// Fails if a folder cannot be read, or a name is not valid Unicode.
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
    fn paths_that_differ_only_by_case_are_found() {
        for (paths, pair) in [
            (&["a", "b/a", "b/c"][..], None),
            (&["Readme", "readme"], Some(("Readme", "readme"))),
            (&["Über", "über"], Some(("Über", "über"))),
            (&["docs/one", "Docs/two"], Some(("docs", "Docs"))),
            (&["docs/one", "docs/two", "docs"], None),
        ] {
            assert_eq!(same_but_for_case(paths), pair);
        }
    }

    #[tokio::test]
    async fn probing_a_disk_leaves_nothing_behind() {
        let here = tempfile::tempdir().unwrap();
        let ignores = ignores_case(here.path()).await.unwrap();
        assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0);
        std::fs::write(here.path().join("a"), "").unwrap();
        assert_eq!(here.path().join("A").exists(), ignores);
    }

    /// The system creates the file even after the future was dropped.
    #[tokio::test]
    async fn a_temporary_file_is_removed_if_its_creation_is_no_longer_awaited() {
        let here = tempfile::tempdir().unwrap();
        for _ in 0..50 {
            let target = here.path().join("target");
            let mut creating = Box::pin(Partial::create(&target));
            let polled = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(creating.as_mut().poll(cx).is_pending())
            });
            polled.await;
            drop(creating);
        }
        // The threads for files run one task after another, at most this many at once.
        let behind = (0..512).map(|_| spawn_blocking(|| ()));
        futures_util::future::join_all(behind).await;
        while std::fs::read_dir(here.path()).unwrap().count() > 0 {
            tokio::task::yield_now().await;
        }
    }

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
