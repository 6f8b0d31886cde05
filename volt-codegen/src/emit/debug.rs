//! `Debug` for messages with secrets, which shows whether there is one and not what it is.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::runtime;
use crate::{
    model::{Field, Label, Message, Module, Oneof},
    names,
};

/// Whether a field of the message itself is a secret, so that prost's own `Debug` will not do.
pub(super) fn has_secret(message: &Message) -> bool {
    message.fields.iter().any(|field| field.secret && !is_in_oneof(field))
}

/// Whether a variant of a oneof is a secret.
pub(super) fn oneof_has_secret(message: &Message, index: usize) -> bool {
    message.fields.iter().any(|field| field.secret && is_variant_of(field, index))
}

/// The implementations of `Debug` for a message and its oneofs, where prost is told to make none.
pub(super) fn message(message: &Message, scope: &Module) -> TokenStream {
    let structure = has_secret(message).then(|| structure(message, scope));
    let oneofs = message.oneofs.iter().enumerate();
    let oneofs = oneofs
        .filter(|(index, _)| oneof_has_secret(message, *index))
        .map(|(index, oneof)| variants(message, index, oneof, scope));
    quote!(#structure #(#oneofs)*)
}

fn structure(message: &Message, scope: &Module) -> TokenStream {
    let (ty, name) = (message.ty.path(scope), &message.ident);
    let fields = message.fields.iter().filter(|field| !is_in_oneof(field)).map(|field| {
        let (label, field_name) = (&field.ident, names::ident(&field.ident));
        let value = shown(field, &quote!(&self.#field_name));
        quote!(.field(#label, #value))
    });
    let oneofs = message.oneofs.iter().map(|oneof| {
        let (label, field_name) = (&oneof.ident, names::ident(&oneof.ident));
        quote!(.field(#label, &self.#field_name))
    });
    let body = quote!(f.debug_struct(#name)#(#fields)*#(#oneofs)*.finish());
    debug(&ty, &body)
}

fn variants(message: &Message, index: usize, oneof: &Oneof, scope: &Module) -> TokenStream {
    let ty = oneof.ty.path(scope);
    let arms = message.fields.iter().filter_map(|field| {
        let Label::Oneof { index: of, variant } = &field.label else { return None };
        let ident = format_ident!("{variant}");
        let value = shown(field, &quote!(value));
        (*of == index)
            .then(|| quote!(Self::#ident(value) => f.debug_tuple(#variant).field(#value).finish(),))
    });
    debug(&ty, &quote!(match self { #(#arms)* }))
}

/// A reference to what is shown of a value.
fn shown(field: &Field, value: &TokenStream) -> TokenStream {
    let redacted = runtime("Redacted");
    if field.secret { quote!(&#redacted::new(#value)) } else { quote!(#value) }
}

fn debug(ty: &TokenStream, body: &TokenStream) -> TokenStream {
    quote! {
        impl ::core::fmt::Debug for #ty {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #body
            }
        }
    }
}

fn is_in_oneof(field: &Field) -> bool {
    matches!(field.label, Label::Oneof { .. })
}

fn is_variant_of(field: &Field, index: usize) -> bool {
    matches!(field.label, Label::Oneof { index: of, .. } if of == index)
}
