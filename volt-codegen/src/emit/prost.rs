//! The structs and enums, which prost-build writes.
//!
//! It writes one text for each package. This module cuts it into the items of each message and
//! enum, so that they can be documented and put where they belong.

use std::collections::HashMap;

use prost_build::{Config, Module};
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use syn::Item;

use super::PROST;
use crate::{
    Error,
    model::{self, Message, Model},
    names,
};

/// The items of every package, by the type at top level to which they belong.
pub(super) struct Structs(HashMap<Vec<String>, HashMap<String, Vec<Item>>>);

impl Structs {
    pub(super) fn new(set: &FileDescriptorSet, model: &Model) -> Result<Self, Error> {
        let mut config = Config::new();
        config
            .btree_map(["."])
            .enum_attribute(".", "#[non_exhaustive]")
            .prost_path(PROST)
            // This turns off prost-build's own list, of which the next lines take the place.
            .compile_well_known_types();
        for (name, path) in &model.externs {
            // Each type by itself: prost-build rewrites the paths of packages (`__private`).
            config.extern_path(format!(".{name}"), path.clone());
        }
        let mut files: Vec<&FileDescriptorProto> = set.file.iter().collect();
        files.sort_by_key(|file| file.name());
        let requests = files.into_iter().map(|file| {
            // Comments are put in afterwards, safe ones.
            let file = FileDescriptorProto { source_code_info: None, ..file.clone() };
            (Module::from_protobuf_package_name(file.package()), file)
        });
        let modules = config
            .generate(requests.collect())
            .map_err(|error| Error::new(format!("prost-build: {error}")))?;
        let modules = modules.into_iter().map(|(module, text)| {
            let file = syn::parse_file(&text)
                .map_err(|error| Error::new(format!("prost-build wrote bad Rust: {error}")))?;
            let mut owned: HashMap<String, Vec<Item>> = HashMap::new();
            for item in file.items {
                if let Some(owner) = owner(&item) {
                    owned.entry(owner).or_default().push(item);
                }
            }
            Ok((module.parts().map(str::to_owned).collect(), owned))
        });
        Ok(Self(modules.collect::<Result<_, Error>>()?))
    }

    /// Takes a message: its struct and, if it has something inside, its module.
    pub(super) fn take_message(&mut self, module: &model::Module, message: &Message) -> Vec<Item> {
        let mut items = self.take(module, &message.ident);
        // A module is kept under its own name, which begins in lower case.
        let inside = names::snake(message.name.rsplit('.').next().unwrap_or_default());
        if inside != message.ident {
            items.extend(self.take(module, &inside));
        }
        items
    }

    /// Takes the items of one name.
    pub(super) fn take(&mut self, module: &model::Module, ident: &str) -> Vec<Item> {
        let module = self.0.get_mut(&module.0);
        module.and_then(|items| items.remove(ident)).unwrap_or_default()
    }
}

fn owner(item: &Item) -> Option<String> {
    match item {
        Item::Struct(item) => Some(item.ident.to_string()),
        Item::Enum(item) => Some(item.ident.to_string()),
        Item::Mod(item) => Some(item.ident.to_string()),
        Item::Impl(item) => match &*item.self_ty {
            syn::Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
            _ => None,
        },
        _ => None,
    }
}
