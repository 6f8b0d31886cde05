//! Generates the structs and enums, with prost-build.
//!
//! prost-build writes one text for each package. This module parses it once: it rewrites paths for
//! the items' new places, groups the items by the message or enum they belong to, and adds the
//! documentation of the model.

use std::collections::HashMap;

use proc_macro2::{Literal, TokenStream, TokenTree};
use prost_build::{Config, Module};
use prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet, field_descriptor_proto::Type,
};
use syn::{Attribute, Item, ItemStruct, Meta, parse_quote};

use super::{
    code::{PROST, RT},
    paths::Paths,
    redacted::{has_secret, oneof_has_secret},
    tables::needs_accessors,
};
use crate::{
    Error,
    docs::Docs,
    model::{Enum, FieldKind, Label, Message, Model, Oneof, Package, Renamed},
    names,
};

/// The depth of the structs below the package's module.
const DEPTH: usize = 2;

/// prost-build's texts of all packages. Each is parsed only when its package is generated, because the
/// items need many times the memory.
pub(super) struct Texts(HashMap<Module, String>);

/// The structs and enums of one package, by the top-level type that they belong to.
pub(super) struct Structs(HashMap<String, Vec<Item>>);

/// The length from which several threads work on the texts, in bytes.
const LONG: usize = 1 << 20;

impl Texts {
    pub(super) fn new(set: &FileDescriptorSet, model: &Model) -> Result<Self, Error> {
        let renamed = Renamed::new(set, &model.renames, &model.types);
        let mut config = Config::new();
        config
            .btree_map(["."])
            .enum_attribute(".", "#[non_exhaustive]")
            .prost_path(PROST)
            // This disables prost-build's own list, which the next lines replace.
            .compile_well_known_types();
        for (name, path) in &model.externs {
            // One entry per type: prost-build rewrites the paths of packages (`__private`).
            config.extern_path(renamed.ty(format!(".{name}")), path.clone());
        }
        if set.file.iter().any(|file| has_group(&file.message_type)) {
            for message in model.packages.iter().flat_map(|package| &package.messages) {
                message.with_nested().into_iter().for_each(|message| {
                    boxed(&mut config, message, &renamed);
                });
            }
        }
        let mut files: Vec<&FileDescriptorProto> = set.file.iter().collect();
        files.sort_by_key(|file| file.name());
        let requests = files.into_iter().map(|file| {
            let file = renamed.file(file);
            (Module::from_protobuf_package_name(file.package()), file)
        });
        let modules = config
            .generate(requests.collect())
            .map_err(|error| Error::new(format!("prost-build: {error}")))?;
        Ok(Self(modules))
    }

    /// The text of a package.
    pub(super) fn of(&self, package: &Package) -> Option<&str> {
        self.0.get(&Module::from_protobuf_package_name(&package.prost)).map(String::as_str)
    }

    /// Returns whether the texts are long enough for several threads.
    pub(super) fn are_long(&self) -> bool {
        self.0.values().map(String::len).sum::<usize>() > LONG
    }
}

impl Structs {
    /// Parses the text of a package.
    pub(super) fn new(texts: &Texts, package: &Package, paths: &Paths<'_>) -> Result<Self, Error> {
        let mut items: HashMap<String, Vec<Item>> = HashMap::new();
        let Some(text) = texts.of(package) else { return Ok(Self(items)) };
        let tokens: TokenStream = text.parse().map_err(wrong)?;
        let file: syn::File = syn::parse2(paths.moved(tokens)).map_err(wrong)?;
        for item in file.items {
            if let Some(owner) = owner(&item) {
                items.entry(owner).or_default().push(item);
            }
        }
        Ok(Self(items))
    }

    /// Removes and returns a message: its struct and, if it has nested items, its module.
    pub(super) fn message(&mut self, message: &Message, paths: &Paths<'_>) -> Vec<Item> {
        let mut items = self.take(&message.ident);
        // The key of a module is its own name, in lower case.
        let inside = message.module();
        if inside != message.ident {
            items.extend(self.take(&inside));
        }
        Finish { paths, depth: DEPTH }.message(&mut items, message);
        items
    }

    /// Removes and returns an enum.
    pub(super) fn enumeration(&mut self, item: &Enum, paths: &Paths<'_>) -> Vec<Item> {
        let mut items = self.take(&item.ident);
        Finish { paths, depth: DEPTH }.enumeration(&mut items, item);
        items
    }

    fn take(&mut self, ident: &str) -> Vec<Item> {
        self.0.remove(ident).unwrap_or_default()
    }
}

/// Tells prost-build which fields to box: it overlooks messages that contain themselves through groups.
fn boxed(config: &mut Config, message: &Message, renamed: &Renamed<'_>) {
    let ty = renamed.ty(format!(".{}", message.name));
    for field in message.fields.iter().filter(|field| field.boxed) {
        let name = renamed.name(&message.name, &field.name);
        config.boxed(match &field.label {
            Label::Oneof { index, .. } => {
                let oneof = renamed.name(&message.name, &message.oneofs[*index].name);
                format!("{ty}.{oneof}.{name}")
            }
            _ => format!("{ty}.{name}"),
        });
    }
}

fn has_group(messages: &[DescriptorProto]) -> bool {
    messages.iter().any(|message| {
        message.field.iter().any(|field| field.r#type() == Type::Group)
            || has_group(&message.nested_type)
    })
}

pub(super) fn wrong(error: impl std::fmt::Display) -> Error {
    Error::new(format!("prost-build wrote invalid Rust: {error}"))
}

/// The key of an item. Implementations are dropped: a table has the names of an enum's values.
fn owner(item: &Item) -> Option<String> {
    match item {
        Item::Struct(item) => Some(item.ident.to_string()),
        Item::Enum(item) => Some(item.ident.to_string()),
        Item::Mod(item) => Some(item.ident.to_string()),
        _ => None,
    }
}

/// Finishes prost-build's items: documents them, marks deprecated ones, and derives `Debug` where
/// prost's own does not work.
#[derive(Clone, Copy)]
struct Finish<'a> {
    paths: &'a Paths<'a>,
    /// The depth of the items below the package's module.
    depth: usize,
}

impl Finish<'_> {
    fn message(self, items: &mut [Item], message: &Message) {
        for item in items {
            match item {
                Item::Struct(item) if item.ident == message.ident => {
                    self.structure(item, message);
                }
                Item::Mod(item) => {
                    let docs = Docs::trusted(&format!("Types of [`{}`].", message.ident));
                    self.put(&mut item.attrs, &docs, false);
                    if let Some((_, items)) = &mut item.content {
                        Self { depth: self.depth + 1, ..self }.inside(items, message);
                        let rt = names::ident(RT);
                        items.retain(|item| !matches!(item, Item::Impl(_)));
                        items.insert(0, parse_quote!(use super::#rt;));
                    }
                }
                _ => {}
            }
        }
    }

    fn structure(self, item: &mut ItemStruct, message: &Message) {
        let mut docs = message.docs.or(&format!("The message `{}`.", message.name));
        // Nested messages do not see the clients.
        if let Some(uses) = self.paths.uses(&message.name).filter(|_| self.depth == DEPTH) {
            docs = docs.and(&uses);
        }
        self.put(&mut item.attrs, &docs, message.deprecated);
        let has_map = message.fields.iter().any(|field| matches!(field.kind, FieldKind::Map(..)));
        if has_secret(message) {
            item.attrs.push(parse_quote!(#[prost(skip_debug)]));
        } else if has_map {
            // For a `BTreeMap`, prost's `Debug` uses the crate path `prost` regardless of the
            // options.
            item.attrs.push(parse_quote!(#[derive(Debug)]));
            item.attrs.push(parse_quote!(#[prost(skip_debug)]));
        }
        for field in &mut item.fields {
            let Some(ident) = &field.ident else { continue };
            let plain = message
                .fields
                .iter()
                .find(|field| *ident == field.ident && !matches!(field.label, Label::Oneof { .. }));
            let oneof = message.oneofs.iter().find(|oneof| *ident == oneof.ident);
            match (plain, oneof) {
                (Some(plain), _) => {
                    if needs_accessors(plain) {
                        map_of_numbers(&mut field.attrs);
                    }
                    self.put(&mut field.attrs, &plain.docs, plain.deprecated);
                }
                (None, Some(oneof)) => self.put(&mut field.attrs, &oneof.docs, false),
                (None, None) => {}
            }
        }
    }

    /// A message's nested items. Each call changes only its own items.
    fn inside(self, items: &mut [Item], outer: &Message) {
        for nested in &outer.messages {
            let module = nested.module();
            for item in items.iter_mut() {
                let own = match &*item {
                    Item::Struct(item) => item.ident == nested.ident,
                    Item::Mod(item) => item.ident == module,
                    _ => false,
                };
                if own {
                    self.message(std::slice::from_mut(item), nested);
                }
            }
        }
        for nested in &outer.enums {
            self.enumeration(items, nested);
        }
        for (index, nested) in outer.oneofs.iter().enumerate() {
            self.oneof(items, outer, index, nested);
        }
    }

    fn enumeration(self, items: &mut [Item], proto: &Enum) {
        for item in items {
            let Item::Enum(item) = item else { continue };
            if item.ident != proto.ident {
                continue;
            }
            let docs = proto.docs.or(&format!("The enum `{}`.", proto.name));
            self.put(&mut item.attrs, &docs, proto.deprecated);
            for variant in &mut item.variants {
                let mut values = proto.values.iter().filter(|value| !value.alias);
                if let Some(value) = values.find(|value| variant.ident == value.ident) {
                    self.put(&mut variant.attrs, &value.docs, value.deprecated);
                }
            }
        }
    }

    fn oneof(self, items: &mut [Item], message: &Message, index: usize, proto: &Oneof) {
        for item in items {
            let Item::Enum(item) = item else { continue };
            if item.ident != proto.ty.ident() {
                continue;
            }
            let docs = proto.docs.or(&format!("The oneof `{}`.", proto.name));
            self.put(&mut item.attrs, &docs, false);
            if oneof_has_secret(message, index) {
                item.attrs.push(parse_quote!(#[prost(skip_debug)]));
            }
            for variant in &mut item.variants {
                let field = message.fields.iter().find(|field| match &field.label {
                    Label::Oneof { index: of, variant: name } => {
                        *of == index && variant.ident == *name
                    }
                    _ => false,
                });
                if let Some(field) = field {
                    self.put(&mut variant.attrs, &field.docs, field.deprecated);
                }
            }
        }
    }

    /// Replaces documentation and marks deprecated items, unless prost-build has done so.
    fn put(self, attributes: &mut Vec<Attribute>, docs: &Docs, deprecated: bool) {
        attributes.retain(|attribute| !attribute.path().is_ident("doc"));
        if deprecated && !attributes.iter().any(|attribute| attribute.path().is_ident("deprecated"))
        {
            attributes.insert(0, parse_quote!(#[deprecated]));
        }
        let path = |name: &str| self.paths.element(name, self.depth);
        let lines = docs.printed(&path).map(|line| -> Attribute { parse_quote!(#[doc = #line]) });
        attributes.splice(0..0, lines);
    }
}

/// Declares the numbers of a map's enum: they are the same on the wire.
fn map_of_numbers(attributes: &mut [Attribute]) {
    for attribute in attributes.iter_mut().filter(|attribute| attribute.path().is_ident("prost")) {
        let Meta::List(list) = &mut attribute.meta else { continue };
        let tokens = list.tokens.clone().into_iter().map(|token| match &token {
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                match text.split_once(", enumeration(") {
                    Some((key, _)) => {
                        let map = format!("{}, int32", key.trim_start_matches('"'));
                        TokenTree::Literal(Literal::string(&map))
                    }
                    None => token,
                }
            }
            _ => token,
        });
        list.tokens = tokens.collect();
    }
}
