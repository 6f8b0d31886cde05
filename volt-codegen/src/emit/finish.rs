//! Finishes what prost-build wrote: documentation, deprecations, and `Debug` where prost's own is
//! not to be had.

use syn::{Attribute, Item, parse_quote};

use super::debug;
use crate::{
    docs::Docs,
    model::{Enum, FieldKind, Label, Message, Oneof},
};

/// Documents the items of a message.
pub(super) fn message(items: &mut [Item], message: &Message) {
    for item in items {
        match item {
            Item::Struct(item) if item.ident == message.ident => {
                let docs = message.docs.or(&format!("The message `{}`.", message.name));
                put(&mut item.attrs, &docs, message.deprecated);
                if debug::has_secret(message) {
                    item.attrs.push(parse_quote!(#[prost(skip_debug)]));
                } else if message
                    .fields
                    .iter()
                    .any(|field| matches!(field.kind, FieldKind::Map(..)))
                {
                    // For a `BTreeMap`, prost's `Debug` names the crate `prost` wherever that is.
                    item.attrs.push(parse_quote!(#[derive(Debug)]));
                    item.attrs.push(parse_quote!(#[prost(skip_debug)]));
                }
                for field in &mut item.fields {
                    let Some(ident) = &field.ident else { continue };
                    let plain = message.fields.iter().find(|field| {
                        *ident == field.ident && !matches!(field.label, Label::Oneof { .. })
                    });
                    let oneof = message.oneofs.iter().find(|oneof| *ident == oneof.ident);
                    match (plain, oneof) {
                        (Some(plain), _) => put(&mut field.attrs, &plain.docs, plain.deprecated),
                        (None, Some(oneof)) => put(&mut field.attrs, &oneof.docs, false),
                        (None, None) => {}
                    }
                }
            }
            Item::Mod(item) => {
                let docs = Docs::trusted(&format!("What belongs to [`{}`].", message.ident));
                put(&mut item.attrs, &docs, false);
                if let Some((_, items)) = &mut item.content {
                    inside(items, message);
                }
            }
            _ => {}
        }
    }
}

/// Documents what a message contains. Each call takes only what is its own from the items.
fn inside(items: &mut [Item], outer: &Message) {
    for nested in &outer.messages {
        let module = crate::names::snake(nested.name.rsplit('.').next().unwrap_or_default());
        for item in items.iter_mut() {
            let own = match &*item {
                Item::Struct(item) => item.ident == nested.ident,
                Item::Mod(item) => item.ident == module,
                _ => false,
            };
            if own {
                message(std::slice::from_mut(item), nested);
            }
        }
    }
    for nested in &outer.enums {
        enumeration(items, nested);
    }
    for (index, nested) in outer.oneofs.iter().enumerate() {
        oneof(items, outer, index, nested);
    }
}

/// Documents the items of an enum.
pub(super) fn enumeration(items: &mut [Item], proto: &Enum) {
    for item in items {
        let Item::Enum(item) = item else { continue };
        if item.ident != proto.ident {
            continue;
        }
        let docs = proto.docs.or(&format!("The enum `{}`.", proto.name));
        put(&mut item.attrs, &docs, proto.deprecated);
        for variant in &mut item.variants {
            let mut values = proto.values.iter().filter(|value| !value.alias);
            if let Some(value) = values.find(|value| variant.ident == value.ident) {
                put(&mut variant.attrs, &value.docs, value.deprecated);
            }
        }
    }
}

fn oneof(items: &mut [Item], message: &Message, index: usize, proto: &Oneof) {
    for item in items {
        let Item::Enum(item) = item else { continue };
        if item.ident != proto.ty.ident() {
            continue;
        }
        put(&mut item.attrs, &proto.docs.or(&format!("The oneof `{}`.", proto.name)), false);
        if debug::oneof_has_secret(message, index) {
            item.attrs.push(parse_quote!(#[prost(skip_debug)]));
        }
        for variant in &mut item.variants {
            let field = message.fields.iter().find(|field| match &field.label {
                Label::Oneof { index: of, variant: name } => *of == index && variant.ident == *name,
                _ => false,
            });
            if let Some(field) = field {
                put(&mut variant.attrs, &field.docs, field.deprecated);
            }
        }
    }
}

/// Replaces documentation and marks what is deprecated, unless prost-build has done so.
fn put(attributes: &mut Vec<Attribute>, docs: &Docs, deprecated: bool) {
    attributes.retain(|attribute| !attribute.path().is_ident("doc"));
    if deprecated && !attributes.iter().any(|attribute| attribute.path().is_ident("deprecated")) {
        attributes.insert(0, parse_quote!(#[deprecated]));
    }
    let docs = docs.attributes();
    let holder: syn::ItemStruct = parse_quote!(#docs struct Holder;);
    attributes.splice(0..0, holder.attrs);
}
