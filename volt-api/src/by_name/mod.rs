//! Calls by name, with JSON in place of Rust types.
//!
//! For programs that learn their methods only at run time, such as command-line tools, gateways, scripts and tests.
//! The names and types come from descriptors: those of the Volt API are part of this crate, and [`NamedService`] has
//! those that a service on the Volt publishes. Needs the feature `by-name`.
//!
//! ```
//! # #[cfg(all(feature = "server", feature = "volt"))]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> volt_api::Result<()> {
//! use serde_json::json;
//! # use volt_api::{Client, testing::Mock, volt::{GetResourceRequest, GetResourceResponse, Resource, VoltApiClient}};
//! # let mock = Mock::new().on(VoltApiClient::GET_RESOURCE, |request: GetResourceRequest| async move {
//! #     let resource = Resource::default().with_id(request.resource_id).with_name("documents");
//! #     Ok(GetResourceResponse::default().with_resource(resource))
//! # });
//! # let client = Client::from_channel(mock.channel());
//!
//! let answer = client.call("VoltAPI/GetResource", json!({ "resource_id": "@documents" })).await?;
//! assert_eq!(answer["resource"]["name"], "documents");
//!
//! let error = client.call("VoltAPI/GetResource", json!({ "resource": "@documents" })).await.unwrap_err();
//! assert!(error.to_string().contains("did you mean `resource_id`?"), "{error}");
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "server", feature = "volt")))]
//! # fn main() {}
//! ```
//!
//! # Requests
//!
//! A request is protobuf's JSON: fields by their names in the `.proto` or in camelCase, enums by name or number,
//! 64-bit integers as text or numbers, bytes as base64. It is checked before anything is sent. An unknown field,
//! an unknown name of an enum or a value of the wrong type is an error of
//! [`ErrorKind::Configuration`](crate::ErrorKind) that names the place, and the nearest name if there is one.
//!
//! # Responses
//!
//! A response has the names of the `.proto`. Fields with default values are left out. A Volt that answers with
//! a status other than OK is an error, as in typed calls.

mod call;
mod check;
mod message;
mod schema;
mod service;
mod suggest;

pub use self::{
    call::{NamedCall, NamedStream},
    service::NamedService,
};
