//! What makes a message one of the runtime's: its name, and how it says that it is a refusal.

use proc_macro2::TokenStream;
use quote::quote;

use super::runtime;
use crate::{
    model::{Field, Label, Message, Module},
    names,
};

/// The implementation of `Message`, and of `StatusMessage` for the one that is the status.
pub(super) fn message(message: &Message, scope: &Module) -> TokenStream {
    let (trait_, ty, name) = (runtime("Message"), message.ty.path(scope), &message.name);
    let field = message.status_field.and_then(|index| message.fields.get(index));
    let refusal = field.map(|field| refusal(message, field, scope));
    let status = message.is_status.then(|| status(message, scope));
    quote! {
        impl #trait_ for #ty {
            const NAME: &'static str = #name;
            #refusal
        }
        #status
    }
}

fn refusal(message: &Message, field: &Field, scope: &Module) -> TokenStream {
    let (status, carrier) = (runtime("Status"), runtime("StatusMessage"));
    let some = quote!(::core::option::Option::Some);
    let made = quote!(#carrier::from_status(status));
    let (target, read, value) = if let Label::Oneof { index, variant } = &field.label {
        let Some(oneof) = message.oneofs.get(*index) else { return TokenStream::new() };
        let (target, variant) = (names::ident(&oneof.ident), names::ident(variant));
        let ty = oneof.ty.path(scope);
        let read = quote! {
            match &self.#target {
                #some(#ty::#variant(status)) => #carrier::to_status(status),
                _ => ::core::option::Option::None,
            }
        };
        (target, read, quote!(#some(#ty::#variant(#made))))
    } else {
        let target = names::ident(&field.ident);
        let read = quote!(self.#target.as_ref().and_then(#carrier::to_status));
        (target, read, quote!(#some(#made)))
    };
    let rest = rest(message, 1);
    quote! {
        fn refusal(&self) -> ::core::option::Option<#status> {
            #read
        }
        fn refused(status: &#status) -> ::core::option::Option<Self> {
            #some(Self { #target: #value, #rest })
        }
    }
}

fn status(message: &Message, scope: &Module) -> TokenStream {
    let (ty, status, carrier) =
        (message.ty.path(scope), runtime("Status"), runtime("StatusMessage"));
    let rest = rest(message, 3);
    quote! {
        impl #carrier for #ty {
            fn to_status(&self) -> ::core::option::Option<#status> {
                #status::from_parts(self.code, &self.message, &self.description)
            }
            fn from_status(status: &#status) -> Self {
                Self {
                    code: <i32 as ::core::convert::From<_>>::from(status.code()),
                    message: ::core::convert::Into::into(status.message()),
                    description: ::core::convert::Into::into(status.description()),
                    #rest
                }
            }
        }
    }
}

/// The rest of a struct expression in which `given` fields are named.
fn rest(message: &Message, given: usize) -> TokenStream {
    let plain =
        message.fields.iter().filter(|field| !matches!(field.label, Label::Oneof { .. })).count();
    if plain + message.oneofs.len() > given {
        quote!(..::core::default::Default::default())
    } else {
        TokenStream::new()
    }
}
