//! Generates the former names of elements, as deprecated items.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Item, parse_quote};

use crate::{
    model::{Package, Service},
    names,
};

/// The alias of a type under its former name, unless another type of the package has that name.
pub(super) fn alias(package: &Package, ident: &str, former: Option<&str>) -> Option<Item> {
    let alias = names::upper_camel(former?);
    let messages = package.messages.iter().map(|message| &message.ident);
    let enums = package.enums.iter().map(|item| &item.ident);
    let services = package.services.iter().map(|service| &service.ident);
    if messages.chain(enums).chain(services).any(|taken| *taken == alias) {
        return None;
    }
    let note = format!("renamed to `{ident}`");
    let (alias, ident) = (names::ident(&alias), names::ident(ident));
    Some(parse_quote! {
        #[deprecated(note = #note)]
        pub type #alias = #ident;
    })
}

/// The former names of a service's methods, each with the current name. Names that another method
/// has are omitted.
pub(crate) fn methods(service: &Service) -> Vec<(String, &str)> {
    let mut taken: BTreeSet<&str> =
        service.methods.iter().map(|method| names::bare(&method.ident)).collect();
    taken.insert("new");
    let formers = service.methods.iter().filter_map(|method| {
        let former = names::snake(method.former.as_deref()?);
        (!taken.contains(names::bare(&former))).then_some((former, method.ident.as_str()))
    });
    formers.collect()
}

/// A method of the client under its former name.
pub(super) fn method(
    (former, ident): &(String, &str),
    parameter: &TokenStream,
    output: &TokenStream,
    argument: &TokenStream,
) -> TokenStream {
    let note = format!("renamed to `{}`", names::bare(ident));
    let (former, ident) = (names::ident(former), names::ident(ident));
    quote! {
        #[doc = #note]
        #[deprecated(note = #note)]
        pub fn #former(&self #parameter) -> #output {
            self.#ident(#argument)
        }
    }
}
