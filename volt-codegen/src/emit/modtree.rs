//! The tree of modules, and which items go into which file.

use std::collections::BTreeMap;

use quote::quote;
use syn::Item;

use super::{accessors, cfg, items, messages, prost::Structs, service};
use crate::{
    Docs, Error, Options,
    model::{Gate, Model, Module, Package},
};

/// A module of the output.
#[derive(Default)]
pub(super) struct Node {
    pub(super) docs: Docs,
    pub(super) gate: Gate,
    /// Not for users.
    pub(super) private: bool,
    /// Whether the module's file is the `mod.rs` of a directory.
    pub(super) directory: bool,
    pub(super) children: BTreeMap<String, Self>,
    pub(super) items: Vec<Item>,
    /// Items by the feature that they need. In a layout of files, each part is one.
    pub(super) parts: BTreeMap<String, Part>,
}

/// Items of a module that have a file of their own.
#[derive(Default)]
pub(super) struct Part {
    pub(super) gate: Gate,
    pub(super) items: Vec<Item>,
}

/// The module for the accessors.
const ACCESSORS: &str = "accessors";

/// The part for what several services need, or none. No feature has this name.
const SHARED: &str = "";

pub(super) fn tree(model: &Model, mut structs: Structs, options: &Options) -> Result<Node, Error> {
    let mut root = Node { directory: true, ..Node::default() };
    for package in &model.packages {
        let node = root.descend(&package.module);
        node.docs = package.docs.or(&format!("The package `{}`.", package.name));
        add_messages(node, package, &mut structs, options)?;
        for service in &package.services {
            let child = Node {
                docs: Docs::trusted(&format!("The service `{}`.", service.name)),
                gate: Gate(service.feature.iter().cloned().collect()),
                items: items(service::items(service, &package.module, options))?,
                ..Node::default()
            };
            node.children.insert(service.module.clone(), child);
        }
    }
    if let Some(holder) = &options.accessors {
        let tokens = accessors::items(model, holder, &Module(vec![ACCESSORS.to_owned()]));
        let accessors = Node { private: true, items: items(tokens)?, ..Node::default() };
        root.children.insert(ACCESSORS.to_owned(), accessors);
    }
    Ok(root)
}

impl Node {
    fn descend(&mut self, module: &Module) -> &mut Self {
        module.0.iter().fold(self, |node, name| {
            let child = node.children.entry(name.clone()).or_default();
            child.directory = true;
            child
        })
    }
}

/// Puts messages where their gates say: those of one service together, so that one `#[cfg]` is
/// enough; those of several together too, each with its own.
fn add_messages(
    node: &mut Node,
    package: &Package,
    structs: &mut Structs,
    options: &Options,
) -> Result<(), Error> {
    for group in messages::groups(package, structs)? {
        if !options.features {
            node.items.extend(group.items);
            continue;
        }
        let only: Vec<&String> = group.gate.0.iter().collect();
        if let [feature] = only.as_slice() {
            let part = node.parts.entry((*feature).clone()).or_default();
            part.gate = group.gate.clone();
            part.items.extend(group.items);
        } else {
            let part = node.parts.entry(SHARED.to_owned()).or_default();
            part.items.extend(group.items.into_iter().map(|item| gated(item, &group.gate)));
        }
    }
    Ok(())
}

/// An item that is compiled only if one of the features is on.
pub(super) fn gated(item: Item, gate: &Gate) -> Item {
    match cfg(gate) {
        // What has been parsed before can be parsed with an attribute in front.
        Some(cfg) => syn::parse2(quote!(#cfg #item)).unwrap_or(item),
        None => item,
    }
}
