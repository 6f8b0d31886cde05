//! The canonical JSON form of messages and enums.
//!
//! A message gets three functions: which field a name is, how a field is read, how all fields are
//! written. Each has about a line for each field; the runtime does everything else.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::runtime;
use crate::{
    model::{Enum, Field, FieldKind, Label, Message, Module, Oneof},
    names,
};

/// The serde implementations of one message (not of those nested in it), for code in `scope`.
pub(crate) fn message(message: &Message, scope: &Module) -> TokenStream {
    let json = runtime("json");
    let serde = runtime("serde");
    let ty = message.ty.path(scope);
    let index = index(message);
    let merge = merge(message, scope);
    let write = write(message, scope);
    // Messages without fields do not look at what they are given.
    let [name, field, output] = ["name", "field", "output"].map(|parameter| {
        let mark = if message.fields.is_empty() { "_" } else { "" };
        format_ident!("{mark}{parameter}")
    });
    quote! {
        impl #json::Fields for #ty {
            fn index(#name: &str) -> ::core::option::Option<usize> {
                #index
            }
            fn merge<'de, A: #serde::de::MapAccess<'de>>(
                &mut self,
                #field: usize,
                input: #json::Reader<'_, A>,
            ) -> ::core::result::Result<(), A::Error> {
                #merge
            }
            fn write<S: #serde::ser::SerializeMap>(
                &self,
                #output: &mut #json::Writer<'_, S>,
            ) -> ::core::result::Result<(), S::Error> {
                #write
                Ok(())
            }
        }
        #json::message!(#ty);
    }
}

/// What the JSON form of messages needs of one enum, for code in `scope`.
pub(crate) fn enumeration(item: &Enum, scope: &Module) -> TokenStream {
    let json = runtime("json");
    let ty = item.ty.path(scope);
    // prost knows the first name of each value.
    let aliases = item.values.iter().filter(|value| value.alias).map(|value| {
        let (name, variant) = (&value.name, names::ident(&value.ident));
        quote!(#name => Some(Self::#variant),)
    });
    let mut from_name = quote!(Self::from_str_name(name));
    if item.values.iter().any(|value| value.alias) {
        from_name = quote!(match name { #(#aliases)* _ => #from_name });
    }
    quote! {
        impl #json::Enumeration for #ty {
            fn from_name(name: &str) -> ::core::option::Option<Self> {
                #from_name
            }
            fn name(&self) -> &'static str {
                self.as_str_name()
            }
        }
    }
}

fn index(message: &Message) -> TokenStream {
    if message.fields.is_empty() {
        return quote!(None);
    }
    let arms = message.fields.iter().enumerate().map(|(index, field)| {
        let index = Literal::usize_unsuffixed(index);
        let (name, json_name) = (&field.name, &field.json_name);
        let camel = (name != json_name).then(|| quote!(| #json_name));
        quote!(#name #camel => #index,)
    });
    quote!(Some(match name { #(#arms)* _ => return None }))
}

fn merge(message: &Message, scope: &Module) -> TokenStream {
    if message.fields.is_empty() {
        return quote!(input.skip());
    }
    let arms = message.fields.iter().enumerate().map(|(index, field)| {
        let index = Literal::usize_unsuffixed(index);
        let value = value(field);
        let codec = codec(value, scope);
        let get = match (shape(field), &field.label) {
            (_, Label::Oneof { index, variant }) => {
                let oneof = &message.oneofs[*index];
                let ident = names::ident(&oneof.ident);
                let variant = variant_path(oneof, variant, scope);
                quote!(get_oneof(&mut self.#ident, #variant))
            }
            (shape, _) => {
                let get = format_ident!("get{}", shape.suffix());
                let ident = names::ident(&field.ident);
                quote!(#get(&mut self.#ident))
            }
        };
        quote!(#index => input #codec.#get,)
    });
    quote!(match field { #(#arms)* _ => input.skip() })
}

fn write(message: &Message, scope: &Module) -> TokenStream {
    let mut written = vec![false; message.oneofs.len()];
    let fields = message.fields.iter().map(|field| match &field.label {
        // Where the first of its members stands, the whole oneof is written.
        Label::Oneof { index, .. } if std::mem::replace(&mut written[*index], true) => {
            TokenStream::new()
        }
        Label::Oneof { index, .. } => write_oneof(message, *index, scope),
        _ => {
            let codec = codec(value(field), scope);
            let put = format_ident!("put{}", shape(field).suffix());
            let name = &field.name;
            let ident = names::ident(&field.ident);
            quote!(output #codec.#put(#name, &self.#ident)?;)
        }
    });
    quote!(#(#fields)*)
}

fn write_oneof(message: &Message, index: usize, scope: &Module) -> TokenStream {
    let oneof = &message.oneofs[index];
    let ident = names::ident(&oneof.ident);
    let arms = message.fields.iter().filter_map(|field| match &field.label {
        Label::Oneof { index: of, variant } if *of == index => {
            let variant = variant_path(oneof, variant, scope);
            let codec = codec(value(field), scope);
            let name = &field.name;
            Some(quote!(Some(#variant(value)) => output #codec.put_member(#name, value)?,))
        }
        _ => None,
    });
    quote!(match &self.#ident { #(#arms)* None => {} })
}

fn variant_path(oneof: &Oneof, variant: &str, scope: &Module) -> TokenStream {
    let ty = oneof.ty.path(scope);
    let variant = names::ident(variant);
    quote!(#ty::#variant)
}

/// Which of the runtime's forms of fields a field has.
#[derive(Clone, Copy)]
enum Shape {
    Plain,
    Optional,
    Repeated,
    Map,
}

impl Shape {
    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Optional => "_optional",
            Self::Repeated => "_repeated",
            Self::Map => "_map",
        }
    }
}

fn shape(field: &Field) -> Shape {
    match (&field.label, &field.kind) {
        (_, FieldKind::Map(..)) => Shape::Map,
        (Label::Repeated, _) => Shape::Repeated,
        (Label::Optional, _) | (_, FieldKind::Message(_) | FieldKind::WellKnown(_)) => {
            Shape::Optional
        }
        _ => Shape::Plain,
    }
}

/// The kind of a field's values, which for maps are those of the entries.
fn value(field: &Field) -> &FieldKind {
    match &field.kind {
        FieldKind::Map(_, value) => value,
        kind => kind,
    }
}

/// The call that says what values are, where their Rust type does not: enums are numbers.
fn codec(kind: &FieldKind, scope: &Module) -> Option<TokenStream> {
    let FieldKind::Enum(ty) = kind else { return None };
    if ty.name == "google.protobuf.NullValue" {
        return Some(quote!(.null()));
    }
    let ty = ty.path(scope);
    Some(quote!(.named::<#ty>()))
}
