//! A folder for files that a change adds and removes, with a journal that can undo an interrupted change.
//!
//! The journal exists while files are being moved. After a process is killed it remains, and the next
//! process restores the old files. A lock, which ends with its process, distinguishes such a folder
//! from one in use.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::Error;

/// Accesses files. Tests replace it with one that fails at each step.
pub(super) trait Disk {
    /// Called before each access that changes something.
    fn step(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, path: &Path, text: &str) -> io::Result<()> {
        self.step()?;
        fs::write(path, text)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        fs::rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        fs::remove_file(path)
    }

    fn remove_folder(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        fs::remove_dir(path)
    }

    fn create_folder(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        fs::create_dir(path)
    }

    fn create_folders(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        fs::create_dir_all(path)
    }
}

/// The disk of this machine.
pub(super) struct Real;

impl Disk for Real {}

const PREFIX: &str = ".volt-codegen-";
const JOURNAL: &str = "journal";
const LOCK: &str = "lock";

/// The folder of a change.
pub(super) struct Staging {
    pub(super) folder: PathBuf,
    /// Held for the duration of the change.
    _lock: File,
}

impl Staging {
    /// Creates the folder.
    pub(super) fn new(root: &Path, disk: &mut dyn Disk) -> Result<Self, Error> {
        let unwritable =
            |error| Error::new(format!("{} cannot be written to: {error}", root.display()));
        // The suffix distinguishes trees that the same process changes at the same time.
        let free = (0..u16::MAX).find_map(|number| {
            let folder = root.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match disk.create_folder(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                made => Some(made.map(|()| folder)),
            }
        });
        let made = free.unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()));
        let folder = made.map_err(unwritable)?;
        let lock = disk.step().and_then(|()| File::create(folder.join(LOCK)));
        let lock = lock.and_then(|lock| lock.lock().map(|()| lock)).map_err(unwritable)?;
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn file(&self, kind: &str, index: usize) -> PathBuf {
        file(&self.folder, kind, index)
    }

    /// Writes the journal: an interrupted change can then be undone. `files` has the paths in their order,
    /// each with whether it existed.
    pub(super) fn begin<'a>(
        &self,
        files: impl Iterator<Item = (&'a Path, bool)>,
        disk: &mut dyn Disk,
    ) -> io::Result<()> {
        let lines = files.map(|(path, existed)| {
            let existed = if existed { '-' } else { '+' };
            format!("{existed}{}\n", path.display())
        });
        let journal: String = lines.collect();
        // The journal is either complete or absent.
        let written = self.folder.join("journal-new");
        disk.write(&written, &journal)?;
        disk.rename(&written, &self.folder.join(JOURNAL))
    }

    /// Removes the journal, with which the change is complete, and the folder.
    pub(super) fn end(self, disk: &mut dyn Disk) -> Result<(), Error> {
        match remove(&self.folder, disk) {
            Err(error) if self.folder.join(JOURNAL).exists() => Err(Error::new(format!(
                "the change cannot be completed, and will be undone: {} cannot be removed: {error}",
                self.folder.join(JOURNAL).display()
            ))),
            // Leftover files are harmless.
            _ => Ok(()),
        }
    }
}

fn file(folder: &Path, kind: &str, index: usize) -> PathBuf {
    folder.join(format!("{kind}-{index}"))
}

/// Removes the journal first: without it, the folder is ignored.
fn remove(folder: &Path, disk: &mut dyn Disk) -> io::Result<()> {
    let journal = folder.join(JOURNAL);
    if journal.exists() {
        disk.remove(&journal)?;
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.ends_with(LOCK) {
            disk.remove(&path)?;
        }
    }
    // Remove all other files before the lock.
    disk.remove(&folder.join(LOCK))?;
    disk.remove_folder(folder)
}

/// Undoes the incomplete change of a killed process below `root`.
pub(super) fn recover(root: &Path, disk: &mut dyn Disk) -> Result<bool, Error> {
    let mut found = false;
    let Ok(entries) = fs::read_dir(root) else { return Ok(false) };
    for entry in entries {
        let Ok(entry) = entry else { continue };
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) || !entry.path().is_dir() {
            continue;
        }
        let folder = entry.path();
        let Ok(lock) = File::open(folder.join(LOCK)) else {
            // The process was killed before its first step or after its last one. A folder with files
            // stays.
            let _ = disk.remove_folder(&folder);
            continue;
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = format!("another process is changing {}: try again", root.display());
                return Err(Error::new(text));
            }
            Err(TryLockError::Error(error)) => return Err(stuck(&folder, &error)),
        }
        undo(root, &folder, disk)
            .and_then(|()| remove(&folder, disk))
            .map_err(|error| stuck(&folder, &error))?;
        found = true;
    }
    Ok(found)
}

fn stuck(folder: &Path, error: &io::Error) -> Error {
    Error::new(format!(
        "an earlier change was interrupted, and cannot be undone: {error}; the old content is in {}",
        folder.display()
    ))
}

/// Restores all files. Each step can be repeated.
fn undo(root: &Path, folder: &Path, disk: &mut dyn Disk) -> io::Result<()> {
    let journal = match fs::read_to_string(folder.join(JOURNAL)) {
        Ok(journal) => journal,
        // No file of the tree was touched.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for (index, line) in journal.lines().enumerate() {
        let (existed, path) = match line.split_at_checked(1) {
            Some(("-", path)) => (true, root.join(path)),
            Some((_, path)) => (false, root.join(path)),
            None => continue,
        };
        let (old, new) = (file(folder, "old", index), file(folder, "new", index));
        if existed && old.exists() {
            if let Some(parent) = path.parent() {
                disk.create_folders(parent)?;
            }
            disk.rename(&old, &path)?;
        } else if !existed && !new.exists() && path.is_file() {
            disk.remove(&path)?;
        }
        if !existed {
            remove_empty(&path, disk)?;
        }
    }
    Ok(())
}

/// Removes the folders around a path that are empty.
pub(super) fn remove_empty(path: &Path, disk: &mut dyn Disk) -> io::Result<()> {
    for folder in path.ancestors().skip(1) {
        disk.step()?;
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}
