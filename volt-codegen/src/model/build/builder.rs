//! Shared code of the steps that build a model.

use std::collections::HashSet;

use crate::{
    error::Problems,
    model::{Module, needs::Needs, recursion::Recursion, resolve::Types, source_map::SourceMap},
    options::Options,
};

pub(super) struct Builder<'a> {
    pub(super) options: &'a Options,
    pub(super) types: &'a Types,
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

/// Names in descriptors begin with a dot.
pub(super) fn full_name(name: &str) -> String {
    name.trim_start_matches('.').to_owned()
}
