//! The result of the generator.

use crate::error::Problem;

/// The generated files, their Cargo features, and warnings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// The files, sorted by path.
    pub files: Vec<GeneratedFile>,
    /// The Cargo features that the files use, one for each service, sorted. Empty without
    /// [`Options::features`](crate::Options::features).
    pub features: Vec<String>,
    /// The modules of the packages, such as `volt::v1`, in the order of the packages' names.
    pub modules: Vec<String>,
    /// Warnings about features that work only in part, sorted by place.
    pub warnings: Vec<Problem>,
}

/// A generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedFile {
    /// The path from the root of the generated code, with `/`.
    pub path: String,
    /// The text, with `\n`.
    pub contents: String,
}
