//! Shared code of the steps that build a model.

use std::collections::HashSet;

use crate::{
    docs::Docs,
    error::Problems,
    model::{
        Module, Renames, needs::Needs, recursion::Recursion, resolve::Types, source_map::SourceMap,
    },
    options::Options,
};

pub(super) struct Builder<'a> {
    pub(super) options: &'a Options,
    pub(super) types: &'a Types,
    pub(super) renames: &'a Renames,
    /// Set if the current file has the syntax proto2.
    pub(super) proto2: bool,
    pub(super) needs: Needs,
    pub(super) recursion: Recursion,
    pub(super) responses: HashSet<String>,
    pub(super) problems: Problems,
}

/// The location of an element in a file and in Rust.
pub(super) struct Scope<'a> {
    pub(super) source: &'a SourceMap<'a>,
    pub(super) path: Vec<i32>,
    pub(super) prefix: String,
    pub(super) module: Module,
}

impl Scope<'_> {
    /// The path of the element at `index` of a repeated field.
    pub(super) fn at(&self, tag: i32, index: usize) -> Vec<i32> {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        self.path.iter().copied().chain([tag, index]).collect()
    }
}

impl Builder<'_> {
    /// The documentation of an element, with a note if its name differs from the `.proto`, or if it was added
    /// later.
    pub(super) fn docs(&self, source: &SourceMap<'_>, path: &[i32], full: &str) -> Docs {
        let docs = source.docs(path);
        let docs = match self.options.since.get(full) {
            Some(version) => docs.and(&format!("Since API {version}.")),
            None => docs,
        };
        if !self.renames.is_numbered(full) {
            return docs;
        }
        let own = full.rsplit('.').next().unwrap_or(full);
        docs.and(&format!(
            "Its name in the `.proto` is `{own}`; the number avoids a collision in Rust."
        ))
    }
}

/// Names in descriptors begin with a dot.
pub(super) fn full_name(name: &str) -> String {
    name.trim_start_matches('.').to_owned()
}
