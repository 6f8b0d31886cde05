//! Assembles the text of generated files.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Item;

use crate::{error::Error, names};

/// The placeholder for the runtime's module in generated files; printing replaces it with `rt`. It
/// has the same length, so that lines break equally, and its letters cannot occur in names of a
/// `.proto`.
pub(crate) const RT: &str = "ɍŧ";
/// The depth of the tables' module below the package's module.
pub(super) const TABLES_DEPTH: usize = 2;
/// The path of prost in generated code.
pub(crate) const PROST: &str = "ɍŧ::prost";
/// The path of prost's well-known types in generated code.
pub(crate) const PROST_TYPES: &str = "ɍŧ::prost_types";

/// The path of an item of the runtime.
pub(super) fn runtime(item: &str) -> TokenStream {
    let (rt, item) = (names::ident(RT), names::ident(item));
    quote!(#rt::#item)
}

/// The `#[cfg]` of an item that requires a feature.
pub(super) fn cfg(feature: Option<&str>) -> Option<TokenStream> {
    feature.map(|feature| quote!(#[cfg(feature = #feature)]))
}

/// The text of a file, in parts.
#[derive(Default)]
pub(super) struct Code(String);

impl Code {
    /// Adds the items of an emitter, which must be valid Rust.
    pub(super) fn items(&mut self, tokens: &TokenStream) -> Result<(), Error> {
        let file: syn::File = syn::parse2(tokens.clone()).map_err(|error| {
            Error::new(format!("the generator wrote invalid Rust ({error}): {tokens}"))
        })?;
        self.add(file.items);
        Ok(())
    }

    pub(super) fn add(&mut self, items: Vec<Item>) {
        for item in items {
            let file = syn::File { shebang: None, attrs: Vec::new(), items: vec![item] };
            self.text(&prettyplease::unparse(&file));
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.0.push('\n');
        self.0.push_str(text);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}
