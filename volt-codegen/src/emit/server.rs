//! The trait to implement for a service, and what makes an implementation a service of a Volt.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::{
    cfg, runtime,
    service::{deprecated, docs, service_docs},
};
use crate::{
    model::{Gate, Method, MethodKind, Module, Service},
    names,
};

/// The trait and the server, for code in the service's module.
pub(super) fn items(service: &Service, scope: &Module, gate: &Gate) -> TokenStream {
    let cfg = cfg(gate);
    let (name, server) = (names::ident(&service.ident), format_ident!("{}Server", service.ident));
    let trait_docs = service_docs(service)
        .and("Implement what you serve; every other method answers that it is not implemented.")
        .attributes();
    let server_docs = format!(" Serves a [`{}`].", service.ident);
    let deprecated = deprecated(service.deprecated);
    let methods = service.methods.iter().map(|method| handler(method, scope));
    let dispatch = dispatch(service);
    let (trait_, method, call, future) =
        (runtime("Service"), runtime("Method"), runtime("IncomingCall"), runtime("BoxFuture"));
    quote! {
        #cfg
        #trait_docs
        #deprecated
        pub trait #name: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#methods)*
        }
        #cfg
        #[doc = #server_docs]
        #deprecated
        #[derive(Debug)]
        pub struct #server<T> {
            service: ::std::sync::Arc<T>,
        }
        #cfg
        impl<T> #server<T> {
            /// Serves `service`.
            pub fn new(service: T) -> Self {
                Self::from_arc(::std::sync::Arc::new(service))
            }
            /// Serves what others hold as well.
            pub fn from_arc(service: ::std::sync::Arc<T>) -> Self {
                Self { service }
            }
        }
        #cfg
        impl<T> ::core::clone::Clone for #server<T> {
            fn clone(&self) -> Self {
                Self::from_arc(::std::sync::Arc::clone(&self.service))
            }
        }
        #cfg
        impl<T: #name> #trait_ for #server<T> {
            fn name(&self) -> &'static str {
                NAME
            }
            fn methods(&self) -> &'static [#method] {
                METHODS
            }
            fn call(&self, method: usize, call: #call) -> #future<()> {
                #dispatch
            }
        }
    }
}

/// A parameter or an argument of a handler.
struct Part {
    name: &'static str,
    ty: TokenStream,
}

/// What a handler takes, and what it gives.
fn signature(method: &Method, scope: &Module) -> (Vec<Part>, TokenStream) {
    let (request, response) = (method.request.path(scope), method.response.path(scope));
    let (requests, responses) = (runtime("Requests"), runtime("Responses"));
    let (request, output) = match method.kind {
        MethodKind::Unary => (Part { name: "request", ty: request }, response),
        MethodKind::ServerStreaming => (Part { name: "request", ty: request }, quote!(())),
        MethodKind::ClientStreaming => {
            (Part { name: "requests", ty: quote!(#requests<#request>) }, response)
        }
        MethodKind::Bidi => {
            (Part { name: "requests", ty: quote!(#requests<#request>) }, quote!(()))
        }
    };
    let mut parts = vec![Part { name: "context", ty: runtime("Context") }, request];
    if matches!(method.kind, MethodKind::ServerStreaming | MethodKind::Bidi) {
        let response = method.response.path(scope);
        parts.push(Part { name: "responses", ty: quote!(#responses<#response>) });
    }
    (parts, output)
}

fn handler(method: &Method, scope: &Module) -> TokenStream {
    let docs = docs(method, scope).attributes();
    let deprecated = deprecated(method.deprecated);
    let (name, constant) = (names::ident(&method.ident), names::ident(&method.constant));
    let (parts, output) = signature(method, scope);
    let names: Vec<_> = parts.iter().map(|part| names::ident(part.name)).collect();
    let types = parts.iter().map(|part| &part.ty);
    let (status, unimplemented) = (runtime("Status"), runtime("unimplemented"));
    quote! {
        #docs
        #deprecated
        fn #name(
            &self,
            #(#names: #types),*
        ) -> impl ::core::future::Future<Output = ::core::result::Result<#output, #status>>
        + ::core::marker::Send {
            let _ = (#(#names),*);
            async move { ::core::result::Result::Err(#unimplemented(&methods::#constant)) }
        }
    }
}

/// The body of `Service::call`.
fn dispatch(service: &Service) -> TokenStream {
    let unknown = runtime("unknown_method");
    if service.methods.is_empty() {
        return quote! {
            let _ = method;
            #unknown(call)
        };
    }
    let trait_ = names::ident(&service.ident);
    let arms = service.methods.iter().enumerate().map(|(index, method)| {
        let index = Literal::usize_unsuffixed(index);
        let name = names::ident(&method.ident);
        let (run, arguments): (_, &[&str]) = match method.kind {
            MethodKind::Unary => ("unary", &["context", "request"]),
            MethodKind::ServerStreaming => {
                ("server_streaming", &["context", "request", "responses"])
            }
            MethodKind::ClientStreaming => ("client_streaming", &["context", "requests"]),
            MethodKind::Bidi => ("bidi", &["context", "requests", "responses"]),
        };
        let run = runtime(run);
        let arguments: Vec<_> = arguments.iter().copied().map(names::ident).collect();
        // Called by the trait's name: `Arc` has methods of its own.
        quote! {
            #index => #run(call, move |#(#arguments),*| async move {
                <T as #trait_>::#name(&service, #(#arguments),*).await
            })
        }
    });
    quote! {
        let service = ::std::sync::Arc::clone(&self.service);
        match method {
            #(#arms,)*
            _ => #unknown(call),
        }
    }
}
