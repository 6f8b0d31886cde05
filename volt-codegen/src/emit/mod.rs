//! Generates files from the model. Errors in the input were reported when the model was built.

mod accessors;
mod any;
pub(crate) mod code;
mod derives;
pub(crate) mod former;
mod parallel;
mod paths;
mod redacted;
mod reexports;
mod render;
mod service;
mod structs;
mod tables;
mod tree;

use std::collections::BTreeMap;

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

/// The code of each top-level message and enum without its documentation, by full name.
pub(crate) fn types(
    model: &Model,
    set: &FileDescriptorSet,
) -> Result<BTreeMap<String, String>, Error> {
    let texts = structs::Texts::new(set, model)?;
    let mut types = BTreeMap::new();
    for package in &model.packages {
        let paths = paths::Paths::new(package, model);
        let mut structs = structs::Structs::new(&texts, package, &paths)?;
        for message in &package.messages {
            let mut table = String::new();
            tables::message(&mut table, message, &paths);
            let code = bare(structs.message(message, &paths), &table);
            types.insert(message.name.clone(), code);
        }
        for item in &package.enums {
            let mut table = String::new();
            tables::enumeration(&mut table, item, &paths);
            types.insert(item.name.clone(), bare(structs.enumeration(item, &paths), &table));
        }
    }
    Ok(types)
}

fn bare(items: Vec<syn::Item>, table: &str) -> String {
    let mut code = code::Code::default();
    code.add(items);
    code.text(table);
    let code = code.into_text();
    // Each line of a documentation is a comment on its own line.
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("///"));
    lines.flat_map(|line| [line, "\n"]).collect()
}
