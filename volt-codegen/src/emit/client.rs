//! The client of a service: one line for each method.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::{
    runtime,
    service::{deprecated, docs, service_docs},
};
use crate::{
    model::{Method, MethodKind, Module, Service},
    names,
};

/// The name of a service's client.
pub(super) fn name(service: &Service) -> String {
    format!("{}Client", service.ident)
}

/// The client, for code in the service's module.
pub(super) fn items(service: &Service, scope: &Module) -> TokenStream {
    let (client, channel) = (names::ident(&name(service)), runtime("Channel"));
    let about = service_docs(service)
        .and(&format!("Calls the service `{}`. Cheap to clone.", service.name))
        .attributes();
    let deprecated = deprecated(service.deprecated);
    let methods = service.methods.iter().map(|method| call(method, scope));
    quote! {
        #about
        #deprecated
        #[derive(Clone, Debug)]
        pub struct #client {
            channel: #channel,
        }
        impl #client {
            /// A client whose calls go over `channel`.
            #[must_use]
            pub fn new(channel: #channel) -> Self {
                Self { channel }
            }
            #(#methods)*
        }
    }
}

fn call(method: &Method, scope: &Module) -> TokenStream {
    let docs = docs(method, scope).attributes();
    let deprecated = deprecated(method.deprecated);
    let (name, constant) = (names::ident(&method.ident), names::ident(&method.constant));
    let (request, response) = (method.request.path(scope), method.response.path(scope));
    let (call, takes_request) = match method.kind {
        MethodKind::Unary => ("Unary", true),
        MethodKind::ServerStreaming => ("ServerStreaming", true),
        MethodKind::ClientStreaming => ("ClientStreaming", false),
        MethodKind::Bidi => ("Bidi", false),
    };
    let call = runtime(&format_ident!("{call}Call").to_string());
    let (parameter, argument) = if takes_request {
        (quote!(, request: #request), quote!(, request))
    } else {
        (TokenStream::new(), TokenStream::new())
    };
    quote! {
        #docs
        #deprecated
        pub fn #name(&self #parameter) -> #call<#request, #response> {
            #call::new(&self.channel, &methods::#constant #argument)
        }
    }
}
