//! Changes files below a folder: all of them, or none. Shared by the programs that write generated code.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

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
/// Fails if a file or folder cannot be read.
pub fn changes(
    root: &Path,
    wanted: BTreeMap<PathBuf, String>,
    folders: &[&Path],
) -> Result<Vec<Change>, Error> {
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

/// Applies the changes. If one fails, the tree is restored.
///
/// # Errors
///
/// Fails if a file cannot be written. Nothing has changed then, unless the error says so.
pub fn apply(root: &Path, changes: &[Change]) -> Result<(), Error> {
    apply_with(root, changes, &mut |path, text| fs::write(path, text))
}

/// All texts are written beside the tree first, so that only renames remain; replaced files are
/// kept until the end.
fn apply_with(
    root: &Path,
    changes: &[Change],
    write: &mut dyn FnMut(&Path, &str) -> io::Result<()>,
) -> Result<(), Error> {
    let mut staging = Staging::new(root)?;
    for (index, change) in changes.iter().enumerate() {
        if let Some(text) = &change.is {
            write(&staging.file("new", index), text).map_err(|error| unchanged(change, &error))?;
        }
    }
    for (index, change) in changes.iter().enumerate() {
        let moved = exchange(
            &root.join(&change.path),
            change.is.is_some().then(|| staging.file("new", index)).as_deref(),
            &staging.file("old", index),
        );
        let Err(error) = moved else { continue };
        for (index, done) in changes.iter().enumerate().take(index).rev() {
            let (old, path) = (staging.file("old", index), root.join(&done.path));
            let old = old.exists().then_some(&*old);
            if let Err(error) = exchange(&path, old, &staging.file("new", index)) {
                staging.kept = true;
                return Err(Error::new(format!(
                    "{} cannot be written, and {} cannot be put back: {error}; what was there is in {}",
                    change.path.display(),
                    done.path.display(),
                    staging.folder.display()
                )));
            }
        }
        return Err(unchanged(change, &error));
    }
    Ok(())
}

fn unchanged(change: &Change, error: &io::Error) -> Error {
    Error::new(format!("{} cannot be written; nothing was changed: {error}", change.path.display()))
}

/// A folder for files on their way in and out. Dropping it removes it.
struct Staging {
    folder: PathBuf,
    kept: bool,
}

impl Staging {
    fn new(root: &Path) -> Result<Self, Error> {
        // The suffix tells apart trees that the same process changes at the same time.
        let free = (0..u16::MAX).find_map(|number| {
            let folder = root.join(format!(".volt-codegen-{}-{number}", std::process::id()));
            match fs::create_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                made => Some(made.map(|()| folder)),
            }
        });
        let made = free.unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()));
        match made {
            Ok(folder) => Ok(Self { folder, kept: false }),
            Err(error) => {
                Err(Error::new(format!("{} cannot be written to: {error}", root.display())))
            }
        }
    }

    fn file(&self, kind: &str, index: usize) -> PathBuf {
        self.folder.join(format!("{kind}-{index}"))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.kept {
            // A folder that cannot be removed does not make the result wrong.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Moves an existing file at a path to `old`, and `new`, if given, in its place; or changes
/// nothing. Folders are created and removed with their files.
fn exchange(path: &Path, new: Option<&Path>, old: &Path) -> io::Result<()> {
    let existed = path.is_file();
    if existed {
        fs::rename(path, old)?;
    }
    let put = match (new, path.parent()) {
        (Some(new), Some(folder)) => {
            fs::create_dir_all(folder).and_then(|()| fs::rename(new, path))
        }
        _ => Ok(()),
    };
    if put.is_err() && existed {
        fs::rename(old, path)?;
    }
    if put.is_err() || new.is_none() {
        for folder in path.ancestors().skip(1) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
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

/// A file that may be in the way, with any contents.
fn read(path: &Path) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::new(format!("{} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests;
