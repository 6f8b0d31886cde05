//! Generates files from the model. Errors in the input were reported when the model was built.

mod accessors;
mod any;
pub(crate) mod code;
mod derives;
pub(crate) mod former;
mod parallel;
mod paths;
mod redacted;
mod render;
mod service;
mod structs;
mod tables;
mod tree;

use prost_types::FileDescriptorSet;

pub(crate) use self::derives::derives;
use crate::{error::Error, model::Model, options::Options, output::GeneratedFile};

/// All files, sorted by path.
pub(crate) fn files(
    model: &Model,
    set: &FileDescriptorSet,
    options: &Options,
) -> Result<Vec<GeneratedFile>, Error> {
    let texts = structs::Texts::new(set, model)?;
    let tree = tree::tree(model, &texts, options)?;
    // A module of the API may have that name.
    let alias = if model.has_module("rt") { "__rt" } else { "rt" };
    render::files(&tree, alias, options)
}
