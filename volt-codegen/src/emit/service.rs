//! Generates a service: its client, its trait and its server.

use std::fmt::Write as _;

use proc_macro2::TokenStream;
use quote::quote;

use super::{
    code::{Code, RT, cfg, runtime},
    former,
    paths::Paths,
};
use crate::{
    Error, Options, Server,
    docs::Docs,
    model::{Method, MethodKind, Service, TypeRef},
    names,
};

/// The depth of a service below the package's module.
const DEPTH: usize = 1;

/// All code of a service, for the module of its group.
pub(super) fn code(service: &Service, paths: &Paths<'_>, options: &Options) -> Result<Code, Error> {
    let server = match &options.server {
        Server::Always => Some(None),
        Server::Feature(feature) => Some(Some(feature.as_str())),
        Server::Never => None,
    };
    let mut code = Code::default();
    code.items(&client(service, paths))?;
    if let Some(feature) = server {
        code.items(&trait_and_server(service, paths, feature))?;
    }
    code.text(&table(service, paths));
    if let Some(feature) = server {
        code.text(&server_table(service, feature));
    }
    Ok(code)
}

fn client(service: &Service, paths: &Paths<'_>) -> TokenStream {
    let client = names::ident(&service.client());
    let about = service_docs(service)
        .and(&format!("Calls the service `{}`. Cheap to clone.", service.name))
        .attributes(&|name| paths.element(name, DEPTH));
    let deprecated = deprecated(service.deprecated);
    let channel = runtime("Channel");
    let formers = former::methods(service);
    let methods = service.methods.iter().map(|method| call(method, paths, &formers));
    quote! {
        #about
        #deprecated
        #[derive(Clone, Debug)]
        pub struct #client {
            channel: #channel,
        }
        impl #client {
            #(#methods)*
        }
    }
}

fn call(method: &Method, paths: &Paths<'_>, formers: &[(String, &str)]) -> TokenStream {
    let docs = docs(method, paths).attributes(&|name| paths.element(name, DEPTH));
    let deprecated = deprecated(method.deprecated);
    let (name, constant) = (names::ident(&method.ident), names::ident(&method.constant));
    let (request, response) = types(method, paths);
    let (call, takes_request) = match method.kind {
        MethodKind::Unary => ("UnaryCall", true),
        MethodKind::ServerStreaming => ("ServerStreamingCall", true),
        MethodKind::ClientStreaming => ("ClientStreamingCall", false),
        MethodKind::Bidi => ("BidiCall", false),
    };
    let call = runtime(call);
    let (parameter, argument) = if takes_request {
        (quote!(, request: #request), quote!(, request))
    } else {
        (TokenStream::new(), TokenStream::new())
    };
    let bulk = if method.bulk { quote!(.bulk()) } else { TokenStream::new() };
    let former = formers.iter().filter(|(_, ident)| *ident == method.ident).map(|former| {
        let given = if takes_request { quote!(request) } else { TokenStream::new() };
        former::method(former, &parameter, &quote!(#call<#request, #response>), &given)
    });
    let former: TokenStream = former.collect();
    quote! {
        #docs
        #deprecated
        pub fn #name(&self #parameter) -> #call<#request, #response> {
            #call::new(&self.channel, &#constant #argument) #bulk
        }
        #former
    }
}

fn trait_and_server(service: &Service, paths: &Paths<'_>, feature: Option<&str>) -> TokenStream {
    let cfg = cfg(feature);
    let (name, server) = (names::ident(&service.ident), names::ident(&service.server()));
    let trait_docs = service_docs(service)
        .and("Implement the methods that you serve; the others answer that they are not implemented.")
        .attributes(&|name| paths.element(name, DEPTH));
    let server_docs = format!(" Serves a [`{}`].", service.ident);
    let deprecated = deprecated(service.deprecated);
    let (send, sync) = (paths.prelude("Send"), paths.prelude("Sync"));
    let methods = service.methods.iter().map(|method| handler(method, paths));
    quote! {
        #trait_docs
        #cfg
        #deprecated
        pub trait #name: #send + #sync + 'static {
            #(#methods)*
        }
        #[doc = #server_docs]
        #cfg
        #deprecated
        #[derive(Debug)]
        pub struct #server<T> {
            service: ::std::sync::Arc<T>,
        }
    }
}

fn handler(method: &Method, paths: &Paths<'_>) -> TokenStream {
    let docs = docs(method, paths).attributes(&|name| paths.element(name, DEPTH));
    let deprecated = deprecated(method.deprecated);
    let (name, constant) = (names::ident(&method.ident), names::ident(&method.constant));
    let (request, response) = types(method, paths);
    let (requests, responses) = (runtime("Requests"), runtime("Responses"));
    let (parameter, output) = match method.kind {
        MethodKind::Unary => (quote!(request: #request), response),
        MethodKind::ServerStreaming => {
            (quote!(request: #request, responses: #responses<#response>), quote!(()))
        }
        MethodKind::ClientStreaming => (quote!(requests: #requests<#request>), response),
        MethodKind::Bidi => {
            (quote!(requests: #requests<#request>, responses: #responses<#response>), quote!(()))
        }
    };
    let arguments = match method.kind {
        MethodKind::Unary => quote!(context, request),
        MethodKind::ServerStreaming => quote!(context, request, responses),
        MethodKind::ClientStreaming => quote!(context, requests),
        MethodKind::Bidi => quote!(context, requests, responses),
    };
    let (context, status, future) = (runtime("Context"), runtime("Status"), runtime("Future"));
    let (ready, unimplemented) = (runtime("ready"), runtime("unimplemented"));
    let (result, send) = (paths.prelude("Result"), paths.prelude("Send"));
    quote! {
        #docs
        #deprecated
        fn #name(
            &self,
            context: #context,
            #parameter,
        ) -> impl #future<Output = #result<#output, #status>> + #send {
            let _ = (#arguments);
            #ready(Err(#unimplemented(&#constant)))
        }
    }
}

/// The methods, for the runtime's macro.
fn table(service: &Service, paths: &Paths<'_>) -> String {
    // Writing to a `String` cannot fail.
    let mut table = format!("{RT}::service! {{ {} = {:?} {{\n", service.client(), service.name);
    for method in &service.methods {
        let kind = match method.kind {
            MethodKind::Unary => "Unary",
            MethodKind::ServerStreaming => "ServerStreaming",
            MethodKind::ClientStreaming => "ClientStreaming",
            MethodKind::Bidi => "Bidi",
        };
        let (request, response) = (path(&method.request, paths), path(&method.response, paths));
        let _ = writeln!(
            table,
            "    {} {:?} {kind}({request} => {response});",
            method.constant, method.name
        );
    }
    table + "} }\n"
}

/// The handlers, for the runtime's macro.
fn server_table(service: &Service, feature: Option<&str>) -> String {
    let cfg = feature.map(|feature| format!("#[cfg(feature = {feature:?})]\n")).unwrap_or_default();
    let (name, client, server) = (&service.ident, service.client(), service.server());
    let mut table = format!("{cfg}{RT}::server! {{ {name}, {client}, {server} {{\n");
    for (index, method) in service.methods.iter().enumerate() {
        let kind = match method.kind {
            MethodKind::Unary => "unary",
            MethodKind::ServerStreaming => "server_streaming",
            MethodKind::ClientStreaming => "client_streaming",
            MethodKind::Bidi => "bidi",
        };
        let _ = writeln!(table, "    {index} {kind} {};", method.ident);
    }
    table + "} }\n"
}

/// The types of the request and the response.
fn types(method: &Method, paths: &Paths<'_>) -> (TokenStream, TokenStream) {
    (names::tokens(&path(&method.request, paths)), names::tokens(&path(&method.response, paths)))
}

/// The path of a request or a response. prost has types for the messages of `google.protobuf`; as
/// whole messages they need a wrapper.
fn path(ty: &TypeRef, paths: &Paths<'_>) -> String {
    match paths.of(ty, DEPTH) {
        empty if empty == "()" => format!("{RT}::Empty"),
        path if ty.is_well_known() => format!("{RT}::WellKnown<{path}>"),
        path => path,
    }
}

/// The documentation of a method, with its request and response.
fn docs(method: &Method, paths: &Paths<'_>) -> Docs {
    let link = |ty: &TypeRef| {
        let name = ty.name.rsplit('.').next().unwrap_or_default();
        match paths.of(ty, DEPTH) {
            // Wrappers are plain Rust types.
            _ if ty.is_well_known() => format!("`{name}`"),
            path if path == ty.ident() => format!("[`{path}`]"),
            path => format!("[`{}`]({path})", ty.ident()),
        }
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

/// The documentation of a service.
pub(super) fn service_docs(service: &Service) -> Docs {
    service.docs.or(&format!("The service `{}`.", service.name))
}

/// `#[deprecated]`, if required.
pub(super) fn deprecated(deprecated: bool) -> Option<TokenStream> {
    deprecated.then(|| quote!(#[deprecated]))
}
