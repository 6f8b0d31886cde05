//! Generates one method for each service on a type of the SDK.

use proc_macro2::TokenStream;
use quote::quote;

use super::{
    code::cfg,
    service::{deprecated, service_docs},
};
use crate::{
    model::{Method, MethodKind, Model, Service},
    names,
};

/// The name of the generated client, which a macro of the runtime declares.
pub(super) const CLIENT: &str = "Client";

/// The implementation block of `holder`, for code in the module `scope`. `examples` is the module that the
/// examples use, if there are any.
pub(super) fn items(
    model: &Model,
    holder: &str,
    scope: &[&str],
    examples: Option<&str>,
) -> TokenStream {
    let holder = names::tokens(holder);
    let mut accessors: Vec<_> = model
        .packages
        .iter()
        .flat_map(|package| package.services.iter().map(move |service| (package, service)))
        .collect();
    accessors.sort_by_key(|(_, service)| &service.nickname);
    let accessors = accessors.into_iter().map(|(package, service)| {
        let cfg = cfg(service.feature.as_deref());
        let docs = service_docs(service);
        let example = examples.and_then(|module| example(service, module));
        let docs =
            example.iter().fold(docs, |docs, example| docs.and(example)).attributes(&|_| None);
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

/// A call of the first unary method, or of the first method if none is unary.
fn example(service: &Service, module: &str) -> Option<String> {
    let unary = |method: &&Method| method.kind == MethodKind::Unary;
    let method = service.methods.iter().find(unary).or(service.methods.first())?;
    // A message of `google.protobuf` may be written in several ways.
    let (package, request) = method.request.local()?;
    let path = [module, "api"].into_iter().chain(package.0.iter().map(String::as_str));
    let path = path.chain([request]).collect::<Vec<_>>().join("::");
    let call = format!("client.{}().{}", service.nickname, method.ident);
    let body = match method.kind {
        MethodKind::Unary => format!(
            "let response = {call}({request}::default()).await?;\nprintln!(\"{{response:?}}\");"
        ),
        MethodKind::ServerStreaming => format!(
            "let mut responses = {call}({request}::default()).await?;\n\
             while let Some(response) = responses.message().await? {{\n    \
             println!(\"{{response:?}}\");\n}}"
        ),
        MethodKind::ClientStreaming => format!(
            "let mut requests = {call}().await?;\nrequests.send({request}::default()).await?;\n\
             let response = requests.finish().await?;\nprintln!(\"{{response:?}}\");"
        ),
        MethodKind::Bidi => format!(
            "let mut call = {call}().await?;\ncall.send({request}::default()).await?;\n\
             while let Some(response) = call.message().await? {{\n    \
             println!(\"{{response:?}}\");\n}}"
        ),
    };
    Some(format!(
        "```no_run\nuse {path};\n\n\
         # async fn example(client: {module}::Client) -> {module}::Result<()> {{\n\
         {body}\n# Ok(())\n# }}\n```"
    ))
}
