//! From the model to files. Nothing is decided here that could fail.

mod accessors;
mod paths;
mod redacted;
mod render;
mod service;
mod structs;
mod tables;
mod tree;

use proc_macro2::TokenStream;
use prost_types::FileDescriptorSet;
use quote::quote;
use syn::Item;

use crate::{Error, GeneratedFile, Options, model::Model, names};

/// Where generated code finds everything, unless the options name another module.
pub(crate) const RUNTIME: &str = "::volt_runtime::__private";
/// The name of that module within generated files until they are printed; then it is `rt`. As long as
/// that one, for line breaks, and with letters that no name in a `.proto` has.
pub(crate) const RT: &str = "ɍŧ";
/// Where generated code finds prost.
pub(crate) const PROST: &str = "ɍŧ::prost";
/// Where generated code finds prost's well-known types.
pub(crate) const PROST_TYPES: &str = "ɍŧ::prost_types";

/// All files, sorted by path.
pub(crate) fn files(
    model: &Model,
    set: &FileDescriptorSet,
    options: &Options,
) -> Result<Vec<GeneratedFile>, Error> {
    let structs = structs::Structs::new(set, model)?;
    let tree = tree::tree(model, structs, options)?;
    // A module of the API may have that name.
    let alias = if model.has_module("rt") { "__rt" } else { "rt" };
    Ok(render::files(&tree, alias, options))
}

/// What generated code names of the runtime.
fn runtime(item: &str) -> TokenStream {
    let (rt, item) = (names::ident(RT), names::ident(item));
    quote!(#rt::#item)
}

/// The `#[cfg]` of something that needs a feature.
fn cfg(feature: Option<&str>) -> Option<TokenStream> {
    feature.map(|feature| quote!(#[cfg(feature = #feature)]))
}

/// The text of a file, in parts.
#[derive(Default)]
struct Code(String);

impl Code {
    /// Adds items as an emitter wrote them. That they can be parsed is the emitter's duty.
    fn items(&mut self, tokens: TokenStream) -> Result<(), Error> {
        let text = tokens.to_string();
        let file: syn::File = syn::parse2(tokens).map_err(|error| {
            Error::new(format!("the generator wrote bad Rust ({error}): {text}"))
        })?;
        self.add(file.items);
        Ok(())
    }

    fn add(&mut self, items: Vec<Item>) {
        for item in items {
            let file = syn::File { shebang: None, attrs: Vec::new(), items: vec![item] };
            self.text(&prettyplease::unparse(&file));
        }
    }

    fn text(&mut self, text: &str) {
        self.0.push('\n');
        self.0.push_str(text);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn into_text(self) -> String {
        self.0
    }
}
