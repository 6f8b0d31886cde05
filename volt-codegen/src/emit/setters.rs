//! One `with_…` method for each field and each variant of a oneof.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::{
    model::{Field, FieldKind, Label, Message, Module, Scalar},
    names,
};

/// The setters of one message.
pub(super) fn message(message: &Message, scope: &Module) -> TokenStream {
    if message.fields.is_empty() {
        return TokenStream::new();
    }
    let ty = message.ty.path(scope);
    let setters = message.fields.iter().map(|field| setter(message, field, scope));
    quote!(impl #ty { #(#setters)* })
}

fn setter(message: &Message, field: &Field, scope: &Module) -> TokenStream {
    let name = format_ident!("with_{}", names::snake_rest(&field.name));
    let (parameter, value) = parameter(field, scope);
    let (docs, target, value) = match &field.label {
        Label::Oneof { index, variant } => {
            let Some(oneof) = message.oneofs.get(*index) else { return TokenStream::new() };
            let (ty, variant) = (oneof.ty.path(scope), names::ident(variant));
            let docs = format!("Sets `{}` to `{}`.", oneof.name, field.name);
            (docs, &oneof.ident, quote!(::core::option::Option::Some(#ty::#variant(#value))))
        }
        label => {
            let is_message = matches!(field.kind, FieldKind::Message(_) | FieldKind::WellKnown(_));
            let optional = match label {
                Label::Optional => true,
                Label::Singular => is_message,
                _ => false,
            };
            let value = if optional { quote!(::core::option::Option::Some(#value)) } else { value };
            (format!("Sets `{}`.", field.name), &field.ident, value)
        }
    };
    let docs = format!(" {docs}");
    let target = names::ident(target);
    let deprecated = field.deprecated.then(|| quote!(#[deprecated]));
    quote! {
        #[doc = #docs]
        #deprecated
        #[must_use]
        pub fn #name(mut self, value: #parameter) -> Self {
            self.#target = #value;
            self
        }
    }
}

/// The type of a setter's parameter, and the value of the field that comes of it.
fn parameter(field: &Field, scope: &Module) -> (TokenStream, TokenStream) {
    let into_iter = quote!(::core::iter::IntoIterator);
    let (iterator, collect) = (
        quote!(::core::iter::IntoIterator::into_iter(value)),
        quote!(::core::iter::Iterator::collect),
    );
    match (&field.kind, &field.label) {
        (FieldKind::Map(key, value), _) => {
            let (key, value) = (Value::scalar(*key), Value::of(value, scope));
            let (key_type, value_type) = (key.parameter(), value.parameter());
            let (key, value) = (key.convert(&quote!(key)), value.convert(&quote!(value)));
            (
                quote!(impl #into_iter<Item = (#key_type, #value_type)>),
                quote!(#collect(
                    ::core::iter::Iterator::map(#iterator, |(key, value)| (#key, #value))
                )),
            )
        }
        (kind, Label::Repeated) => {
            let value = Value::of(kind, scope);
            let ty = value.parameter();
            let each = if let Value::Plain(_) = value {
                iterator
            } else {
                let convert = value.convert(&quote!(value));
                quote!(::core::iter::Iterator::map(#iterator, |value| #convert))
            };
            (quote!(impl #into_iter<Item = #ty>), quote!(#collect(#each)))
        }
        (kind, _) => {
            let value = Value::of(kind, scope);
            let converted = value.convert(&quote!(value));
            let converted =
                if field.boxed { quote!(::std::boxed::Box::new(#converted)) } else { converted };
            (value.parameter(), converted)
        }
    }
}

/// How a setter takes one value.
enum Value {
    /// As it is. Numbers, so that literals need no suffix.
    Plain(TokenStream),
    /// Whatever can become it.
    Into(TokenStream),
    /// The Rust enum, of which the field keeps the number.
    Enum(TokenStream),
}

impl Value {
    fn of(kind: &FieldKind, scope: &Module) -> Self {
        match kind {
            FieldKind::Scalar(scalar) => Self::scalar(*scalar),
            FieldKind::Message(ty) | FieldKind::WellKnown(ty) => Self::Into(ty.path(scope)),
            FieldKind::Enum(ty) => Self::Enum(ty.path(scope)),
            // Maps hold no maps.
            FieldKind::Map(..) => Self::Plain(quote!(())),
        }
    }

    fn scalar(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Double => Self::Plain(quote!(f64)),
            Scalar::Float => Self::Plain(quote!(f32)),
            Scalar::Int32 => Self::Plain(quote!(i32)),
            Scalar::Int64 => Self::Plain(quote!(i64)),
            Scalar::Uint32 => Self::Plain(quote!(u32)),
            Scalar::Uint64 => Self::Plain(quote!(u64)),
            Scalar::Bool => Self::Plain(quote!(bool)),
            Scalar::String => Self::Into(quote!(::std::string::String)),
            Scalar::Bytes => Self::Into(quote!(::std::vec::Vec<u8>)),
        }
    }

    fn parameter(&self) -> TokenStream {
        match self {
            Self::Plain(ty) | Self::Enum(ty) => ty.clone(),
            Self::Into(ty) => quote!(impl ::core::convert::Into<#ty>),
        }
    }

    fn convert(&self, value: &TokenStream) -> TokenStream {
        match self {
            Self::Plain(_) => value.clone(),
            Self::Into(_) => quote!(::core::convert::Into::into(#value)),
            Self::Enum(_) => quote!(<i32 as ::core::convert::From<_>>::from(#value)),
        }
    }
}
