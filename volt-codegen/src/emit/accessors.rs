//! Generates one method for each service on a type of the SDK.

use proc_macro2::TokenStream;
use quote::quote;

use super::{
    code::cfg,
    service::{deprecated, service_docs},
};
use crate::{model::Model, names};

/// The name of the generated client, which a macro of the runtime declares.
pub(super) const CLIENT: &str = "Client";

/// The implementation block of `holder`, for code in the module `scope`.
pub(super) fn items(model: &Model, holder: &str, scope: &[&str]) -> TokenStream {
    let holder = names::tokens(holder);
    let mut accessors: Vec<_> = model
        .packages
        .iter()
        .flat_map(|package| package.services.iter().map(move |service| (package, service)))
        .collect();
    accessors.sort_by_key(|(_, service)| &service.nickname);
    let accessors = accessors.into_iter().map(|(package, service)| {
        let cfg = cfg(service.feature.as_deref());
        let docs = service_docs(service).attributes(&|_| None);
        let deprecated = deprecated(service.deprecated);
        let accessor = names::ident(&service.nickname);
        let up = scope.iter().map(|_| "super");
        let path = up.chain(package.module.0.iter().map(String::as_str));
        let client = service.client();
        let client = names::tokens(&path.chain([client.as_str()]).collect::<Vec<_>>().join("::"));
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
