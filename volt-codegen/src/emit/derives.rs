//! Reads the traits that prost-build derives, which depend on the types of all fields.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::FileDescriptorSet;
use syn::{Attribute, Item, Path, Token, punctuated::Punctuated};

use super::structs::{Texts, wrong};
use crate::{
    Error,
    model::{Message, Model},
};

/// The traits that only some messages have.
const TRAITS: [&str; 3] = ["Copy", "Eq", "Hash"];

/// The traits among these that each message and oneof has, by full name.
pub(crate) type Derives = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn derives(model: &Model, set: &FileDescriptorSet) -> Result<Derives, Error> {
    let texts = Texts::new(set, model)?;
    let mut derives = Derives::new();
    for package in &model.packages {
        let Some(text) = texts.of(package) else { continue };
        let file = syn::parse_file(text).map_err(wrong)?;
        for message in &package.messages {
            collect(&file.items, message, &mut derives);
        }
    }
    Ok(derives)
}

fn collect(items: &[Item], message: &Message, derives: &mut Derives) {
    let module = message.module();
    for item in items {
        match item {
            Item::Struct(item) if item.ident == message.ident => {
                derives.insert(message.name.clone(), traits(&item.attrs));
            }
            Item::Mod(item) if item.ident == module => {
                let Some((_, items)) = &item.content else { continue };
                for nested in &message.messages {
                    collect(items, nested, derives);
                }
                for oneof in &message.oneofs {
                    let is_oneof = |item: &&Item| matches!(item, Item::Enum(item) if item.ident == oneof.ty.ident());
                    if let Some(Item::Enum(item)) = items.iter().find(is_oneof) {
                        derives.insert(oneof.ty.name.clone(), traits(&item.attrs));
                    }
                }
            }
            _ => {}
        }
    }
}

fn traits(attributes: &[Attribute]) -> BTreeSet<String> {
    let mut traits = BTreeSet::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        let parts = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
        let names = parts
            .into_iter()
            .flatten()
            .filter_map(|path| path.segments.last().map(|segment| segment.ident.to_string()));
        traits.extend(names.filter(|name| TRAITS.contains(&name.as_str())));
    }
    traits
}
