//! Parses the text of `.proto` files into descriptors, with protox.

use std::{collections::BTreeMap, fmt::Write as _};

use miette::Diagnostic as _;
use prost_types::FileDescriptorSet;
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver},
};

use crate::{
    bundled::VOLT_API,
    error::{Error, Place, Problem},
};

/// The texts of `.proto` files, by the names under which they import each other
/// (`tdx/volt_api/volt/v1/volt.proto`). Those of `google/protobuf/` are built in.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files to generate code for.
    pub files: BTreeMap<String, String>,
    /// Further files that these may import. If imported, their types are generated too, unless
    /// [`Options::extern_path`](crate::Options::extern_path) maps them to existing code.
    pub imports: BTreeMap<String, String>,
    /// The folders searched for imports, for errors.
    pub(crate) searched: Vec<String>,
}

impl Sources {
    /// Adds the files of the Volt API, which are part of this crate, to the possible imports.
    /// [`Options::volt_api`](crate::Options::volt_api) maps their types to those of `volt-api`.
    pub fn with_volt_api(mut self) -> Self {
        let files = VOLT_API.iter();
        self.imports.extend(files.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        self
    }

    /// Parses and links the files.
    ///
    /// # Errors
    ///
    /// Fails if a file does not parse, or an import or a name cannot be resolved. The first such
    /// problem is reported, with file, line and column.
    pub fn compile(&self) -> Result<FileDescriptorSet, Error> {
        let mut resolver = ChainFileResolver::new();
        let all = self.imports.iter().chain(&self.files);
        resolver.add(Texts(all.map(|(name, text)| (name.clone(), text.clone())).collect()));
        resolver.add(GoogleFileResolver::new());

        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).include_source_info(true);
        compiler.open_files(self.files.keys()).map_err(|error| self.explain(&error))?;
        Ok(compiler.file_descriptor_set())
    }
}

struct Texts(BTreeMap<String, String>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.get(name) {
            Some(text) => File::from_source(name, text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

impl Sources {
    /// protox has the place only in its `Debug` form, and the other details only in its labels.
    fn explain(&self, error: &protox::Error) -> Error {
        let shown = format!("{error:?}");
        let text = error.to_string();
        let place = shown.strip_suffix(&text).and_then(|place| place_of(place.trim_end()));
        let mut message = if place.is_some() { text } else { shown };
        let at = place.as_ref().and_then(|place| place.position);
        if let Some(line) = place.as_ref().and_then(|place| self.line(place)) {
            let _ = write!(message, "\n  | {line}");
        }
        for label in error.labels().into_iter().flatten() {
            let code = error.source_code();
            let span = code.and_then(|code| code.read_span(label.inner(), 0, 0).ok());
            let (Some(text), Some(span)) = (label.label(), span) else { continue };
            let (line, column) = (span.line() + 1, span.column() + 1);
            if at.is_some_and(|(first, _)| usize::try_from(first) != Ok(line)) {
                let file = error.file().unwrap_or_default();
                let _ = write!(message, "\n  {text}: {file}:{line}:{column}");
            }
        }
        let help = if error.is_file_not_found() {
            Some(match self.searched.as_slice() {
                [] => "names of imports begin at the root that all files share".to_owned(),
                folders => format!(
                    "names of imports begin at an include folder, here {}; or name a file of the Volt API",
                    folders.join(", ")
                ),
            })
        } else if message.contains("is not defined") {
            Some("declare it, or import the file that does".to_owned())
        } else {
            error.help().map(|help| help.to_string())
        };
        Problem { place, message, help }.into()
    }

    /// The line of the text that contains a place.
    fn line(&self, place: &Place) -> Option<&str> {
        let text = self.files.get(&place.file).or_else(|| self.imports.get(&place.file))?;
        let (line, _) = place.position?;
        text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?).map(str::trim)
    }
}

/// Parses `file:line:column:`.
fn place_of(shown: &str) -> Option<Place> {
    let mut parts = shown.strip_suffix(':')?.rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    Some(Place { file: parts.next()?.to_owned(), position: Some((line, column)) })
}
