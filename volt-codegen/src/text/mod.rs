//! Prints descriptors as the text of `.proto` files, in one form, with comments of the caller's
//! choice.

mod comments;
mod plain;
mod print;

use prost_types::{FileDescriptorProto, FileDescriptorSet};

pub use self::{
    comments::Comments,
    plain::{Plain, plain},
};
use crate::{Error, Place, Problem, Sources};

/// Prints the files of a set, with only these comments. Files of `google/protobuf/` are omitted.
///
/// # Errors
///
/// Fails if a file has something that the text would lose, such as a custom option or an extension:
/// the text compiles to the same descriptors, or nothing is returned.
pub fn write(set: &FileDescriptorSet, comments: &Comments) -> Result<Sources, Error> {
    let own = || set.file.iter().filter(|file| !file.name().starts_with("google/protobuf/"));
    let mut sources = Sources::default();
    for file in own() {
        sources.files.insert(file.name().to_owned(), print::file(file, comments));
    }
    let written = sources.compile()?;
    for file in own() {
        let again = written.file.iter().find(|other| other.name() == file.name());
        if again.map(bare) != Some(bare(file)) {
            let place = Place { file: file.name().to_owned(), position: None };
            let message = "the text form cannot express a part of the file".to_owned();
            let help = Some(
                "only what proto3 has without custom options and extensions can be kept".to_owned(),
            );
            return Err(Problem { place: Some(place), message, help }.into());
        }
    }
    Ok(sources)
}

/// The first declarations of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The package; empty if there is none.
    pub package: String,
    /// The names of the imported files.
    pub imports: Vec<String>,
}

impl Header {
    /// Parses a file. Returns `None` if it has a mistake.
    pub fn of(text: &str) -> Option<Self> {
        let file = Sources::default().parse_one("file.proto", text).ok()?;
        Some(Self { package: file.package().to_owned(), imports: file.dependency })
    }
}

/// A descriptor without the parts that depend on its source text.
fn bare(file: &FileDescriptorProto) -> FileDescriptorProto {
    FileDescriptorProto { source_code_info: None, ..file.clone() }
}
