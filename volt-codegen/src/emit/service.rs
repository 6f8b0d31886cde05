//! What the client and the server of a service share: its methods, and how docs speak of them.

use proc_macro2::TokenStream;
use quote::quote;

use super::{client, runtime, server};
use crate::{
    Docs, Options, Server,
    model::{Gate, Method, MethodKind, Module, Service, TypeRef},
    names,
};

/// Everything of a service, for its module.
pub(super) fn items(service: &Service, package: &Module, options: &Options) -> TokenStream {
    let scope = package.child(&service.module);
    let methods = methods(service);
    let client = client::items(service, &scope);
    let server = match &options.server {
        Server::Always => server::items(service, &scope, &Gate::default()),
        Server::Feature(feature) => server::items(service, &scope, &Gate([feature.clone()].into())),
        Server::Never => TokenStream::new(),
    };
    quote!(#client #server #methods)
}

/// The constants that describe the service.
fn methods(service: &Service) -> TokenStream {
    let (method, kind) = (runtime("Method"), runtime("MethodKind"));
    let name = &service.name;
    let constants: Vec<_> =
        service.methods.iter().map(|method| names::ident(&method.constant)).collect();
    let descriptions = service.methods.iter().zip(&constants).map(|(described, constant)| {
        let path = &described.path;
        let docs = format!(" `{}`.", described.name);
        let variant = names::ident(match described.kind {
            MethodKind::Unary => "Unary",
            MethodKind::ServerStreaming => "ServerStreaming",
            MethodKind::ClientStreaming => "ClientStreaming",
            MethodKind::Bidi => "Bidi",
        });
        quote! {
            #[doc = #docs]
            pub const #constant: #method = #method { path: #path, kind: #kind::#variant };
        }
    });
    let all = constants.iter().map(|constant| quote!(methods::#constant));
    quote! {
        /// The name of the service on the wire.
        pub const NAME: &str = #name;
        /// Every method, in the order of the `.proto`.
        pub const METHODS: &[#method] = &[#(#all),*];
        /// The methods one by one.
        pub mod methods {
            #(#descriptions)*
        }
    }
}

/// What is said about a method, and what goes in and out.
pub(super) fn docs(method: &Method, scope: &Module) -> Docs {
    let link = |ty: &TypeRef| {
        let path = ty.path(scope).to_string().replace(' ', "");
        format!("[`{}`]({path})", ty.ident())
    };
    let (request, response) = (link(&method.request), link(&method.response));
    let flow = match method.kind {
        MethodKind::Unary => format!("Unary: {request} → {response}."),
        MethodKind::ServerStreaming => {
            format!("Server streaming: {request} → any number of {response}.")
        }
        MethodKind::ClientStreaming => {
            format!("Client streaming: any number of {request} → {response}.")
        }
        MethodKind::Bidi => {
            format!("Bidirectional: any number of {request} ⇄ any number of {response}.")
        }
    };
    method.docs.or(&format!("The method `{}`.", method.name)).and(&flow)
}

/// What is said about a service.
pub(super) fn service_docs(service: &Service) -> Docs {
    service.docs.or(&format!("The service `{}`.", service.name))
}

/// `#[deprecated]`, where it is due.
pub(super) fn deprecated(deprecated: bool) -> Option<TokenStream> {
    deprecated.then(|| quote!(#[deprecated]))
}
