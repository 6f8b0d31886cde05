//! One method for each service on a type of the SDK's own.

use proc_macro2::TokenStream;
use quote::quote;

use super::{
    cfg, client,
    service::{deprecated, service_docs},
};
use crate::{
    model::{Gate, Model, Module},
    names,
};

/// The implementation of `holder`, for code in `scope`.
pub(super) fn items(model: &Model, holder: &str, scope: &Module) -> TokenStream {
    let holder = names::tokens(holder);
    let mut accessors: Vec<_> = model
        .packages
        .iter()
        .flat_map(|package| package.services.iter().map(move |service| (package, service)))
        .collect();
    accessors.sort_by_key(|(_, service)| &service.nickname);
    let accessors = accessors.into_iter().map(|(package, service)| {
        let cfg = cfg(&Gate(service.feature.iter().cloned().collect()));
        let docs = service_docs(service).attributes();
        let deprecated = deprecated(service.deprecated);
        let accessor = names::ident(&service.nickname);
        let client = package.module.child(&service.module).path_to(&client::name(service), scope);
        quote! {
            #docs
            #cfg
            #deprecated
            #[must_use]
            pub fn #accessor(&self) -> #client {
                #client::new(self.channel().clone())
            }
        }
    });
    quote!(impl #holder { #(#accessors)* })
}
