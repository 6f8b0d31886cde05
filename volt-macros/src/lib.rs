//! The procedural macros of the Volt SDK.
//!
//! Programs have them from the crate `volt-api`, whose names they write: `volt_api::FromRow` with its
//! feature `derive`, `volt_api::include_proto!` with its feature `proto`.

#[cfg(feature = "proto")]
mod proto;
mod row;

use proc_macro::TokenStream;

/// Makes typed messages, clients and server traits from `.proto` files of your own.
///
/// ```ignore
/// // Where this stands, the package `shop.v1` becomes the module `shop::v1`.
/// volt_api::include_proto!("proto/shop/v1/shop.proto", includes = ["proto"]);
///
/// use shop::v1::{GetArticleRequest, ShopApiClient};
/// ```
///
/// First come the paths of one or more files, then options by name. Paths are relative to the folder of
/// the crate's `Cargo.toml`.
///
/// | option | what it says | default |
/// |---|---|---|
/// | `includes = ["proto"]` | the folders in which imports are looked up; each file must be in one | the folders of the files |
/// | `server = false` | no traits to implement and no servers | `true` |
///
/// A service `ShopAPI` becomes the client `ShopApiClient`, the trait `ShopApi` and the server
/// `ShopApiServer`, in the module of its package. Messages are structs, as those of `volt-api` are.
///
/// # The Volt API
///
/// A file can import those of the Volt API, such as `tdx/volt_api/volt/v1/volt.proto`, without having
/// them. Their types are those of `volt-api`, not copies; the feature of the service that has them must be
/// on. A response with a field of the type `tdx.volt_api.volt.v1.Status` refuses by it, as the Volt's own
/// do.
///
/// # Changes and errors
///
/// The crate is built anew when one of the files that were read changes. What is wrong with one of them is
/// a compile error at its path, which names file, line and column.
#[cfg(feature = "proto")]
#[proc_macro]
pub fn include_proto(input: TokenStream) -> TokenStream {
    let expanded = syn::parse(input).and_then(|input| proto::expand(&input));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `volt_api::rows::FromRow`: each field of a struct is read from the column of its name.
///
/// ```ignore
/// #[derive(volt_api::FromRow)]
/// #[row(rename_all = "camelCase")]
/// struct Article {
///     id: u32,                 // checked for range
///     name: String,
///     unit_price: Option<f64>, // the column `unitPrice`; NULL is `None`
///     #[row(rename = "www")]
///     homepage: String,
///     #[row(from_str)]
///     address: std::net::IpAddr,
///     #[row(skip)]
///     seen: bool,
/// }
/// ```
///
/// Fields can have any type that implements `volt_api::rows::FromValue`.
///
/// | attribute | where | what it says |
/// |---|---|---|
/// | `rename_all = "…"` | struct | the case of all columns: `camelCase`, `PascalCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case` |
/// | `rename = "…"` | field | the name of the column |
/// | `from_str` | field | the column is text that the type reads by `FromStr` |
/// | `default` | field | without such a column, the value is `Default::default()` |
/// | `skip` | field | the value is always `Default::default()` |
#[proc_macro_derive(FromRow, attributes(row))]
pub fn from_row(input: TokenStream) -> TokenStream {
    let expanded = syn::parse(input).and_then(|input| row::expand(&input));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
