//! Changes files below a folder: all of them, or none. The programs that write generated code share
//! this module.

mod staging;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use self::staging::{Disk, Real, Staging, remove_empty};
use crate::Error;

/// A file that differs from the expected state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path, from the root of the tree.
    pub path: PathBuf,
    /// The current contents.
    pub was: Option<String>,
    /// The expected contents.
    pub is: Option<String>,
}

/// The changes needed so that these files exist, and these folders contain no others.
///
/// # Errors
///
/// Fails if a file or folder cannot be read, or if [`recover`], which it calls first, fails.
pub fn changes(
    root: &Path,
    wanted: BTreeMap<PathBuf, String>,
    folders: &[&Path],
) -> Result<Vec<Change>, Error> {
    recover(root)?;
    let mut changes = Vec::new();
    for folder in folders {
        let below = root.join(folder);
        let found = if below.is_dir() { files_below(&below)? } else { Vec::new() };
        for file in found {
            let path = file.strip_prefix(root).unwrap_or(&file).to_owned();
            if !wanted.contains_key(&path) {
                changes.push(Change { path, was: Some(read(&file)?), is: None });
            }
        }
    }
    for (path, is) in wanted {
        let found = root.join(&path);
        let was = if found.is_file() { Some(read(&found)?) } else { None };
        if was.as_ref() != Some(&is) {
            changes.push(Change { path, was, is: Some(is) });
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

/// Applies the changes, in their order. If one fails, the tree is restored; if the process is killed, the
/// next call of [`changes`] or [`recover`] for the same root restores it.
///
/// # Errors
///
/// Fails if a file cannot be written. Nothing has changed then, unless the error says so.
pub fn apply(root: &Path, changes: &[Change]) -> Result<(), Error> {
    apply_with(root, changes, &mut Real)
}

/// Restores a tree that a killed process was changing. Returns whether there was one.
///
/// # Errors
///
/// Fails if the tree cannot be restored, or if another process is changing it right now.
pub fn recover(root: &Path) -> Result<bool, Error> {
    staging::recover(root, &mut Real)
}

/// All texts are written to the staging folder first, so that only renames remain; replaced files are kept
/// until the end.
fn apply_with(root: &Path, changes: &[Change], disk: &mut dyn Disk) -> Result<(), Error> {
    let staging = Staging::new(root, disk)?;
    let outcome = exchange_all(root, changes, &staging, disk);
    match outcome {
        Ok(()) => staging.end(disk),
        Err(Failed::Restored(error)) => {
            // Nothing is left to undo.
            let _ = staging.end(disk);
            Err(error)
        }
        Err(Failed::Torn(error)) => Err(error),
    }
}

/// A change that failed.
enum Failed {
    /// The tree is unchanged.
    Restored(Error),
    /// Files are in the staging folder.
    Torn(Error),
}

fn exchange_all(
    root: &Path,
    changes: &[Change],
    staging: &Staging,
    disk: &mut dyn Disk,
) -> Result<(), Failed> {
    for (index, change) in changes.iter().enumerate() {
        if let Some(text) = &change.is {
            let written = disk.write(&staging.file("new", index), text);
            written.map_err(|error| Failed::Restored(unchanged(change, &error)))?;
        }
    }
    if let Some(first) = changes.first() {
        let files = changes.iter().map(|change| (change.path.as_path(), change.was.is_some()));
        let begun = staging.begin(files, disk);
        begun.map_err(|error| Failed::Restored(unchanged(first, &error)))?;
    }
    for (index, change) in changes.iter().enumerate() {
        let new = change.is.is_some().then(|| staging.file("new", index));
        let moved =
            exchange(&root.join(&change.path), new.as_deref(), &staging.file("old", index), disk);
        let Err(error) = moved else { continue };
        if staging.file("old", index).exists() {
            // The old file could not be restored. The journal can still undo everything.
            return Err(Failed::Torn(Error::new(format!(
                "{} can be neither written nor restored: {error}; its old content is in {}",
                change.path.display(),
                staging.folder.display()
            ))));
        }
        for (index, done) in changes.iter().enumerate().take(index).rev() {
            let (old, path) = (staging.file("old", index), root.join(&done.path));
            let old = old.exists().then_some(&*old);
            if let Err(error) = exchange(&path, old, &staging.file("new", index), disk) {
                return Err(Failed::Torn(Error::new(format!(
                    "{} cannot be written, and {} cannot be restored: {error}; the old content is in {}",
                    change.path.display(),
                    done.path.display(),
                    staging.folder.display()
                ))));
            }
        }
        return Err(Failed::Restored(unchanged(change, &error)));
    }
    Ok(())
}

fn unchanged(change: &Change, error: &io::Error) -> Error {
    Error::new(format!("{} cannot be written; nothing was changed: {error}", change.path.display()))
}

/// Moves an existing file at a path to `old`, and `new`, if given, in its place; or changes
/// nothing. Folders are created and removed with their files.
fn exchange(path: &Path, new: Option<&Path>, old: &Path, disk: &mut dyn Disk) -> io::Result<()> {
    let existed = path.is_file();
    if existed {
        disk.rename(path, old)?;
    }
    let put = match (new, path.parent()) {
        (Some(new), Some(folder)) => {
            disk.create_folders(folder).and_then(|()| disk.rename(new, path))
        }
        _ => Ok(()),
    };
    if put.is_err() && existed {
        disk.rename(old, path)?;
    }
    if put.is_err() || new.is_none() {
        remove_empty(path, disk)?;
    }
    put
}

/// All files below a folder, sorted.
///
/// # Errors
///
/// Fails if a folder cannot be read, or is a link to a folder that contains it.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    collect(folder, &mut Vec::new(), &mut files)?;
    files.sort();
    Ok(files)
}

/// `above` has the folders around this one.
fn collect(folder: &Path, above: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let real = folder.canonicalize().map_err(|error| unreadable(folder, &error))?;
    if above.contains(&real) {
        let message = "is a link to a folder that contains it";
        return Err(Error::new(format!("{} {message}", folder.display())));
    }
    above.push(real);
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        if path.is_dir() {
            collect(&path, above, files)?;
        } else {
            files.push(path);
        }
    }
    above.pop();
    Ok(())
}

/// A file that may obstruct a change, with any contents.
fn read(path: &Path) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::new(format!("{} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests;
