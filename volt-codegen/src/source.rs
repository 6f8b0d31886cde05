//! From the text of `.proto` files to descriptors, by protox.

use std::{collections::BTreeMap, fmt::Write as _};

use miette::Diagnostic as _;
use prost_types::FileDescriptorSet;
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver},
};

use crate::error::{Error, Problem};

/// The text of `.proto` files by the names under which they import each other
/// (`tdx/volt_api/volt/v1/volt.proto`). Those of `google/protobuf/` are built in.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files to generate code for.
    pub files: BTreeMap<String, String>,
    /// Further files that those may import. What they define is generated too if it is imported,
    /// unless [`Options::extern_paths`](crate::Options::extern_paths) says where it is.
    pub imports: BTreeMap<String, String>,
}

impl Sources {
    /// Parses and links the files.
    ///
    /// # Errors
    ///
    /// When a file does not parse, imports what is not there or names what does not exist. The
    /// first such problem is reported, with file, line and column.
    pub fn compile(&self) -> Result<FileDescriptorSet, Error> {
        let mut resolver = ChainFileResolver::new();
        let all = self.imports.iter().chain(&self.files);
        resolver.add(Texts(all.map(|(name, text)| (name.clone(), text.clone())).collect()));
        resolver.add(GoogleFileResolver::new());

        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).include_source_info(true);
        compiler.open_files(self.files.keys()).map_err(|error| explain(&error))?;
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

/// protox shows the place only in the `Debug` form, and what else it knows in none.
fn explain(error: &protox::Error) -> Error {
    let mut message = format!("{error:?}");
    for label in error.labels().into_iter().flatten() {
        let Some(text) = label.label() else { continue };
        let place = error.source_code().and_then(|code| code.read_span(label.inner(), 0, 0).ok());
        match place {
            Some(place) => {
                let _ = write!(message, "\n  {}:{}: {text}", place.line() + 1, place.column() + 1);
            }
            None => {
                let _ = write!(message, "\n  {text}");
            }
        }
    }
    let mut help = error.help().map(|help| help.to_string());
    if error.is_file_not_found() {
        help.get_or_insert("imports are resolved by name from the root of the files".to_owned());
    }
    Problem { place: None, message, help }.into()
}
