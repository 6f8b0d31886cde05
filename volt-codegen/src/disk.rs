//! Reads `.proto` files, with all their imports, from folders. Only this module and
//! [`build`](crate::build) access files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use protox::file::File;

use crate::{
    Error, Options, Output, Place, Problem, Sources, error::rename_files, generate,
    source::is_builtin,
};

/// Files that were read, ready for the generator.
#[derive(Clone, Debug)]
pub struct Protos {
    sources: Sources,
    paths: BTreeMap<String, PathBuf>,
    base: PathBuf,
}

impl Protos {
    /// Reads `files` and their imports from the folders `includes`. Without such folders, each file
    /// is looked up in, and named relative to, its own folder. All paths are relative to `base`.
    ///
    /// The Volt API's own files are built in: files that these import are not read. For another
    /// version of these files, see [`read_own_volt_api`](Self::read_own_volt_api).
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read, or is not in any of the folders. Errors within a file, such
    /// as an import that does not exist, are reported by [`generate`](Self::generate).
    pub fn read<F, I>(
        base: impl Into<PathBuf>,
        files: impl IntoIterator<Item = F>,
        includes: impl IntoIterator<Item = I>,
    ) -> Result<Self, Error>
    where
        F: AsRef<Path>,
        I: AsRef<Path>,
    {
        Self::read_with(Sources::default().with_volt_api(), base.into(), files, includes)
    }

    /// Like [`read`](Self::read), for files that are a program's own version of the Volt API: no file of the Volt
    /// API is built in. Use them with [`Options::own_volt_api`].
    ///
    /// # Errors
    ///
    /// Same as [`read`](Self::read).
    pub fn read_own_volt_api<F, I>(
        base: impl Into<PathBuf>,
        files: impl IntoIterator<Item = F>,
        includes: impl IntoIterator<Item = I>,
    ) -> Result<Self, Error>
    where
        F: AsRef<Path>,
        I: AsRef<Path>,
    {
        Self::read_with(Sources::default(), base.into(), files, includes)
    }

    fn read_with<F, I>(
        sources: Sources,
        base: PathBuf,
        files: impl IntoIterator<Item = F>,
        includes: impl IntoIterator<Item = I>,
    ) -> Result<Self, Error>
    where
        F: AsRef<Path>,
        I: AsRef<Path>,
    {
        let files: Vec<PathBuf> = files.into_iter().map(|file| base.join(file)).collect();
        let mut folders: Vec<PathBuf> = includes.into_iter().map(|path| base.join(path)).collect();
        if folders.is_empty() {
            folders.extend(files.iter().filter_map(|file| file.parent()).map(Path::to_owned));
            folders.dedup();
        }
        let mut protos = Self { sources, paths: BTreeMap::new(), base };
        protos.sources.searched = folders.iter().map(|folder| protos.shown(folder)).collect();
        for file in &files {
            let name = protos.name(file, &folders)?;
            let text = match protos.sources.imports.remove(&name) {
                // Another file imports it.
                Some(text) if protos.paths.contains_key(&name) => text,
                _ => protos.text(file)?,
            };
            protos.paths.insert(name.clone(), file.clone());
            protos.follow_imports(&name, &text, &folders)?;
            protos.sources.files.insert(name, text);
        }
        Ok(protos)
    }

    /// The files that were read, sorted: the output depends on them.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.values().map(PathBuf::as_path)
    }

    /// Generates code.
    ///
    /// # Errors
    ///
    /// Same as [`Sources::compile`] and [`generate`], with the paths of the files instead of their
    /// names.
    pub fn generate(&self, options: &Options) -> Result<Output, Error> {
        let set = self.sources.compile();
        let output = set.and_then(|set| generate(&set, options));
        let path = |name: &str| self.paths.get(name).map(|path| self.shown(path));
        let mut output = output.map_err(|error| error.with_files(path))?;
        rename_files(&mut output.warnings, path);
        Ok(output)
    }

    /// The name under which others import a file.
    fn name(&self, file: &Path, folders: &[PathBuf]) -> Result<String, Error> {
        let name = folders.iter().find_map(|folder| file.strip_prefix(folder).ok());
        let Some(name) = name else {
            let message = "the file is not in any of the include folders";
            let help = format!("those are {}", self.sources.searched.join(", "));
            return Err(self.problem(file, message, Some(help)));
        };
        Ok(name.to_string_lossy().replace('\\', "/"))
    }

    fn follow_imports(&mut self, name: &str, text: &str, folders: &[PathBuf]) -> Result<(), Error> {
        if self.sources.parsed.contains_key(name) {
            return Ok(());
        }
        if is_builtin(name) {
            return Ok(());
        }
        // A syntax error is reported when the file is compiled.
        let Ok(file) = File::from_source(name, text) else { return Ok(()) };
        let imports = file.file_descriptor_proto().dependency.clone();
        Arc::make_mut(&mut self.sources.parsed).insert(name.to_owned(), file);
        for import in &imports {
            let known = self.paths.contains_key(import)
                || self.sources.imports.contains_key(import)
                || is_builtin(import);
            let found =
                folders.iter().map(|folder| folder.join(import)).find(|path| path.is_file());
            if let Some(path) = found.filter(|_| !known) {
                let text = self.text(&path)?;
                self.paths.insert(import.clone(), path);
                self.sources.imports.insert(import.clone(), text.clone());
                self.follow_imports(import, &text, folders)?;
            }
        }
        Ok(())
    }

    fn text(&self, path: &Path) -> Result<String, Error> {
        let bytes = fs::read(path).map_err(|error| {
            self.problem(path, &format!("the file cannot be read: {error}"), None)
        })?;
        // Some editors put a byte order mark before the text.
        let start = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        String::from_utf8(bytes[start..].to_vec()).map_err(|error| {
            let bytes = error.as_bytes();
            let (before, rest) = bytes.split_at(error.utf8_error().valid_up_to());
            let line = before.split(|byte| *byte == b'\n').count();
            let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let column = 1 + String::from_utf8_lossy(&before[start..]).chars().count();
            let byte = rest.first().copied().unwrap_or_default();
            let position = u32::try_from(line).ok().zip(u32::try_from(column).ok());
            Problem {
                place: Some(Place { file: self.shown(path), position }),
                message: format!("the byte 0x{byte:02X} is not UTF-8"),
                help: Some("save the file as UTF-8".to_owned()),
            }
            .into()
        })
    }

    fn problem(&self, path: &Path, message: &str, help: Option<String>) -> Error {
        let place = Some(Place { file: self.shown(path), position: None });
        Problem { place, message: message.to_owned(), help }.into()
    }

    /// The path for error messages.
    fn shown(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.base).unwrap_or(path);
        if path.as_os_str().is_empty() { ".".to_owned() } else { path.display().to_string() }
    }
}
