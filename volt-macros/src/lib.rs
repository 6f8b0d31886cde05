//! The procedural macros of the Volt SDK.
//!
//! Programs use them through the crate `volt-api`, whose paths they generate: `volt_api::FromRow`
//! with its feature `derive`, `volt_api::include_proto!` with its feature `proto`.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "proto")]
mod proto;
mod row;

use proc_macro::TokenStream;

/// Generates typed messages, clients and server traits from your own `.proto` files.
///
/// ```ignore
/// // In this place, the package `shop.v1` becomes the module `shop::v1`.
/// volt_api::include_proto!("proto/shop/v1/shop.proto", includes = ["proto"]);
///
/// use shop::v1::{GetArticleRequest, ShopApiClient};
/// ```
///
/// The arguments are the paths of one or more files, followed by named options. Paths are relative
/// to the folder of the crate's `Cargo.toml`.
///
/// | option | meaning | default |
/// |---|---|---|
/// | `any_types = false` | do not generate the list of all messages, which fields of the type `google.protobuf.Any`
/// need in JSON | `true`, if there is such a field |
/// | `includes = ["proto"]` | the folders in which imports are looked up; each file must be in one | the folders of the files |
/// | `own_volt_api = true` | the files are the program's version of the Volt API, such as a private fork: see below | `false` |
/// | `rename = ["shop.v1.Item.kind_" = "sort"]` | the name from which an element's Rust name is derived | its own name,
/// numbered if that is taken |
/// | `server = false` | do not generate server traits and servers | `true` |
/// | `share_volt_api = true` | with `own_volt_api`, use the messages and enums of `volt-api` that are the same | `false` |
///
/// A service `ShopAPI` becomes the client `ShopApiClient`, the trait `ShopApi` and the server
/// `ShopApiServer`, in the module of its package. Messages are structs, like those of `volt-api`. `Debug`
/// hides the values of string and bytes fields whose names look secret, such as `access_token`.
///
/// # The Volt API
///
/// A file can import those of the Volt API, such as `tdx/volt_api/volt/v1/volt.proto`, which are
/// built in. Their types are those of `volt-api`, not copies; the feature of the service that
/// contains them must be enabled. A response with a field of the type `tdx.volt_api.volt.v1.Status`
/// reports errors in it, like those of the Volt API.
///
/// Files that have the names of those files and other definitions are an error, unless `own_volt_api = true`
/// declares them as the program's version of the Volt API. No file of the Volt API is built in then. The package
/// `tdx.volt_api.volt.v1` becomes the module `volt::v1`, and a `Client` has an accessor for each service.
///
/// ```ignore
/// mod fork {
///     volt_api::include_proto!(
///         "fork/tdx/volt_api/volt/v1/volt.proto",
///         includes = ["fork"],
///         own_volt_api = true,
///     );
/// }
///
/// let client = fork::Client::connect(config).await?;
/// let answer = client.volt().get_resource(request).await?;
/// ```
///
/// With `share_volt_api = true`, the messages and enums that are the same in `volt-api` are those of `volt-api`, so that
/// one value suits the clients of both. The features of the services that use them must be enabled.
///
/// # Changes, errors and warnings
///
/// The crate is rebuilt when one of the files changes. An error in a file is a compile error at its
/// path, with file, line and column.
///
/// A warning, such as for a `google.protobuf.Any` without the list of messages, is the use of a
/// deprecated item at the path of the file. `#[allow(deprecated)]` on the module around the macro turns
/// it off.
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
/// | attribute | on | meaning |
/// |---|---|---|
/// | `rename_all = "…"` | struct | the case of all columns: `camelCase`, `PascalCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case` |
/// | `rename = "…"` | field | the name of the column |
/// | `from_str` | field | the column is text that the type parses with `FromStr` |
/// | `default` | field | if the column is missing, the value is `Default::default()` |
/// | `skip` | field | the value is always `Default::default()` |
#[proc_macro_derive(FromRow, attributes(row))]
pub fn from_row(input: TokenStream) -> TokenStream {
    let expanded = syn::parse(input).and_then(|input| row::expand(&input));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
