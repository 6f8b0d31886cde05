//! From the model to files. Nothing is decided here that could fail.

mod accessors;
mod client;
mod debug;
mod finish;
mod json;
mod messages;
mod modtree;
mod prost;
mod render;
mod server;
mod service;
mod setters;
mod status;

use proc_macro2::TokenStream;
use prost_types::FileDescriptorSet;
use quote::quote;

use crate::{
    Error, GeneratedFile, Options,
    model::{Gate, Model},
    names,
};

/// Where generated code finds everything, unless the options name another module.
pub(crate) const RUNTIME: &str = "::volt_runtime::__private";
/// Where generated code finds prost.
pub(crate) const PROST: &str = "::volt_runtime::__private::prost";
/// Where generated code finds prost's well-known types.
pub(crate) const PROST_TYPES: &str = "::volt_runtime::__private::prost_types";

/// All files, sorted by path.
pub(crate) fn files(
    model: &Model,
    set: &FileDescriptorSet,
    options: &Options,
) -> Result<Vec<GeneratedFile>, Error> {
    let structs = prost::Structs::new(set, model)?;
    let tree = modtree::tree(model, structs, options)?;
    Ok(render::files(tree, options))
}

/// What generated code names of the runtime.
fn runtime(item: &str) -> TokenStream {
    let item = names::ident(item);
    quote!(::volt_runtime::__private::#item)
}

/// The `#[cfg]` of something that needs one of several features; nothing where it needs none.
fn cfg(gate: &Gate) -> Option<TokenStream> {
    let features: Vec<_> = gate.0.iter().map(|feature| quote!(feature = #feature)).collect();
    match features.as_slice() {
        [] => None,
        [feature] => Some(quote!(#[cfg(#feature)])),
        _ => Some(quote!(#[cfg(any(#(#features),*))])),
    }
}

/// Parses what an emitter wrote. That it can be parsed is the emitters' duty.
fn items(tokens: TokenStream) -> Result<Vec<syn::Item>, Error> {
    let text = tokens.to_string();
    let file: syn::File = syn::parse2(tokens)
        .map_err(|error| Error::new(format!("the generator wrote bad Rust ({error}): {text}")))?;
    Ok(file.items)
}
