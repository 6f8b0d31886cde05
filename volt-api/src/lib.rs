//! A typed client for every call of the TDX Volt API.
//!
//! A Volt is a personal data server: resources, files, SQLite databases, wires, sync documents and
//! services behind one encrypted connection. [`Client`] connects to one; its accessors return a
//! client for each service, with a typed async method for each call.
//!
//! ```no_run
//! use volt_api::{Client, ClientConfig, volt::GetResourceRequest};
//!
//! # async fn example() -> volt_api::Result<()> {
//! let config = ClientConfig::from_file("volt.config.json")?;
//! // The root resource of a Volt has the Volt's own id.
//! let request = GetResourceRequest::default().with_resource_id(config.volt_id()?);
//! let client = Client::connect(config).await?;
//! let answer = client.volt().get_resource(request).await?;
//! println!("{}", answer.resource.unwrap_or_default().name);
//! # Ok(())
//! # }
//! ```
//!
//! The [guide](guide/index.html) has a chapter for each task, with examples to copy: connecting, calls
//! and streams, errors and retries, files, wires, documents, SQL, hosting services, your own `.proto` files,
//! testing, logging, upgrading, performance and security. This documentation is built with all features.
//!
//! # First steps
//!
//! 1. The configuration names the Volt and the client's key. The Volt's owner creates it;
//!    [`ClientConfig::from_file`] reads it, and [`ClientConfig::new`] creates one in code.
//! 2. A client needs a session for most calls. [`Client::authenticate`] obtains one and saves it in the file;
//!    [`Client::connect`] uses the saved one.
//! 3. Each service has an accessor: `client.volt()`, `client.file()`, `client.sqlite_database()`,
//!    `client.wire()` and so on.
//!
//! Identifiers of resources may be ids or aliases that begin with `@`.
//!
//! # In your own crate
//!
//! ```toml
//! [dependencies]
//! volt-api = { git = "https://github.com/volt-sdk/volt-rust" }
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//!
//! [dev-dependencies]
//! volt-embedded = { git = "https://github.com/volt-sdk/volt-rust" }
//! ```
//!
//! With `volt-embedded`, each test starts a Volt in its own process:
//!
//! ```
//! use volt_api::Client;
//! use volt_embedded::EmbeddedVolt;
//!
//! // In a test: #[tokio::test].
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let volt = EmbeddedVolt::start().await?;
//!     let client = Client::connect(volt.config()).await?;
//!     client.volt().ensure_folder("@notes").await?;
//!     client.file().put_json("@notes/list.json", &["milk"]).await?;
//!     let list: Vec<String> = client.file().get_json("@notes/list.json").await?;
//!     assert_eq!(list, ["milk"]);
//!     Ok(())
//! }
//! ```
//!
//! # Calls
//!
//! - Unary: `client.volt().get_resource(request).await?` returns the response.
//! - Server streaming: `client.file().download_file(request).await?` returns a [`Streaming`]. Read it with
//!   `message().await?` until `None`.
//! - Bidirectional: `client.wire().subscribe_wire().await?` returns a [`Duplex`], with `send`, `message` and
//!   `into_split`.
//!
//! A method returns a builder: [`UnaryCall`], [`ServerStreamingCall`], [`ClientStreamingCall`] or [`BidiCall`].
//! Options such as `timeout` chain before the `await`. Opening a stream does not wait for the Volt;
//! a rejection is returned by the first `message()`. Dropping a call cancels it.
//!
//! # Everyday work
//!
//! Common jobs are one call each. Each is an [`Operation`] with the options of a call, and makes plain
//! calls only, so it works over every transport.
//!
//! - [SQL](sql): `client.database("@shop").query("… ?").bind(1).fetch_all().await?`.
//! - [Transactions and CSV](sql): `client.database("@shop").transaction().await?`, `import_csv`.
//! - [Files and folders](files): `client.file().upload("@home/a").from_path("a").await?`, `download`.
//! - [JSON files](files): `client.file().put_json("@home/a.json", &value).await?`, `get_json`.
//! - [Publishing](wires): `client.wire().publish("@news", "text").await?`, `publisher`.
//! - [History and live messages](wires): `client.wire().follow("@news").from_start().await?`.
//! - [Finding resources](resources): `client.volt().resource("@home/a/b").await?`, `children`, `exists`.
//! - [Creating what is missing](resources): `ensure_folder`, `ensure_wire`, `ensure_database`,
//!   `ensure_sync_database`.
//! - [Values in documents](synapses): `client.sync().write_path("@garden", "plan", "$.a", &1).await?`,
//!   `watch_path`.
//! - [Blobs and versions](synapses): `client.sync().put_blob("@garden").from_path("a").await?`,
//!   `create_version`.
//! - [Signatures](sign): `client.volt().sign("text").await?`, `verify`.
//!
//! # Beyond single calls
//!
//! | task | see |
//! |---|---|
//! | a stream that survives a lost connection | [`Subscription`] |
//! | rows of SQL as your own types | `rows` |
//! | documents that several clients edit concurrently | `documents` (feature `sync-documents`) |
//! | events, hosting services, showing services as online | `Presence` |
//! | calling a service that another client hosts | [`Target`] |
//! | finding a Volt by its DID or address | `resolve` (feature `resolve`) |
//! | code before and after each call | [`Client::intercept`], [`intercept`] |
//! | traces and metrics of calls | [`intercept`](intercept#spans), `metrics` (feature `metrics`) |
//! | calls by name, with JSON | `by_name` (feature `by-name`) |
//! | a session that is renewed when it has expired | [`Authenticate::renew`] |
//! | tests without a Volt: mocks, lost connections, record and replay | [`testing`] |
//!
//! A lost connection is re-established with backoff ([`Reconnect`]). Calls that cannot have been
//! executed are retried meanwhile; [`Channel::watch_state`] reports the state.
//!
//! # Messages
//!
//! Messages are plain structs. Build them with their `with_…` methods, or with a struct literal and
//! `..Default::default()`, which still compiles when the API grows. Enum fields are `i32`, with a
//! getter and a `with_…` method that use the enum. [`json`] reads and writes them as protobuf's JSON.
//!
//! # Errors
//!
//! Every call returns [`Error`]: its [`kind`](Error::kind) classifies the failure,
//! [`status`](Error::status) is the Volt's status, and [`executed`](Error::executed) reports whether
//! the call may have been executed.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `services` | yes | all services. Each has a feature, too: `volt`, `file`, `sqlite-database`, `wire`, `sync` … |
//! | `tls` | yes | `https://` addresses |
//! | `grpc` | no | gRPC as a second transport of the same clients: see [`TransportKind`] |
//! | `server` | no | a trait for each service, to implement it or to mock a Volt: see [`Client::from_channel`] |
//! | `sync-documents` | no | the module `documents`, which keeps Yjs documents equal to a Volt's |
//! | `resolve` | no | the module `resolve`, which finds a Volt by its DID, its address or its relay |
//! | `by-name` | no | `Client::call`, which calls methods by their names with JSON: see `by_name` |
//! | `derive` | no | `#[derive(FromRow)]`, which converts rows of SQL to structs: see [`rows`] |
//! | `proto` | no | `include_proto!`, which generates clients and servers from your own `.proto` files |
//! | `metrics` | no | the module `metrics`, which measures calls for the facade crate of that name |
//! | `v0_15` | no | the older API 0.15.1, as a separate module |
//!
//! To compile only the services that you call, disable the default features and name those services.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "volt")]
pub mod authenticate;
#[cfg(feature = "by-name")]
pub mod by_name;
mod client;
#[cfg(feature = "volt")]
mod compatibility;
#[cfg(feature = "sync-documents")]
pub mod documents;
#[cfg(feature = "file")]
pub mod files;
#[rustfmt::skip]
mod generated;
// Its examples and links need all features.
#[cfg(all(
    any(doc, doctest),
    feature = "by-name",
    feature = "derive",
    feature = "grpc",
    feature = "metrics",
    feature = "proto",
    feature = "resolve",
    feature = "server",
    feature = "services",
    feature = "sync-documents",
    feature = "tls",
    feature = "v0_15",
))]
#[cfg_attr(docsrs, doc(auto_cfg = false))]
pub mod guide;
#[cfg(any(
    feature = "file",
    feature = "sqlite-database",
    feature = "sync",
    feature = "volt",
    feature = "wire"
))]
mod operation;
#[rustfmt::skip]
mod packages;
#[cfg(any(feature = "file", feature = "volt"))]
mod path;
#[cfg(feature = "volt")]
pub mod presence;
#[cfg(any(feature = "file", feature = "sync"))]
mod progress;
#[cfg(feature = "resolve")]
pub mod resolve;
#[cfg(feature = "volt")]
pub mod resources;
#[cfg(feature = "sqlite-database")]
pub mod rows;
#[cfg(feature = "volt")]
pub mod sign;
#[cfg(feature = "sqlite-database")]
pub mod sql;
#[cfg(feature = "sync")]
pub mod synapses;
#[cfg(feature = "volt")]
mod target;
mod version;
#[cfg(feature = "wire")]
pub mod wires;

/// Messages as JSON: protobuf's canonical mapping, for the messages of the Volt API and for those that
/// `include_proto!` generates.
///
/// Messages also implement serde's traits, which write the same JSON with the names of the `.proto`.
///
/// ```
/// use volt_api::{json::{self, Form, Names}, well_known::{Duration, WellKnown}};
///
/// let text = WellKnown("1.5s".to_owned());
/// let mut out = Vec::new();
/// json::write_with_names(&text, &mut out, Form::Plain, Names::LowerCamel)?;
/// assert_eq!(out, br#""1.5s""#);
/// assert_eq!(json::read::<WellKnown<Duration>>(&out)?.nanos, 500_000_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`register`](json::register) makes a message known to the fields of the type `google.protobuf.Any` that were
/// generated without it. The guide has an example of each.
pub mod json {
    pub use volt_runtime::json::{Form, Names, read, register, write, write_with_names};
}

/// The types of `google.protobuf`, as fields of messages ([`Timestamp`](well_known::Timestamp)) and as
/// whole requests and responses ([`Empty`](well_known::Empty), [`WellKnown`](well_known::WellKnown)).
pub mod well_known {
    pub use volt_runtime::{
        __private::prost_types::*,
        json::{Empty, WellKnown},
    };
}

pub use volt_runtime::{
    BidiCall, CallOptions, Channel, ClientConfig, ClientStreamingCall, Code, ConnectOptions,
    ConnectionState, Connector, Duplex, Error, ErrorKind, Executed, Keepalive, Message, MethodKind,
    Overflow, Proxy, Reconnect, Renewal, RequestSink, Result, ServerStreamingCall, StateWatch,
    Status, Streaming, Subscription, Target, TransportKind, UnaryCall, Update, Upload, config, key,
};

#[cfg(feature = "metrics")]
pub use volt_runtime::metrics;
pub use volt_runtime::{Method, TypedMethod, intercept, server, testing};

#[doc(hidden)]
pub use volt_runtime::__private;

/// Shared with the embedded Volt.
#[cfg(feature = "volt")]
#[doc(hidden)]
pub mod __core {
    pub use crate::presence::frames::{received, sent};
}

#[cfg(feature = "derive")]
pub use volt_macros::FromRow;
#[cfg(feature = "proto")]
pub use volt_macros::include_proto;

#[cfg(feature = "sqlite-database")]
pub use crate::rows::FromRow;

#[cfg(any(
    feature = "file",
    feature = "sqlite-database",
    feature = "sync",
    feature = "volt",
    feature = "wire"
))]
pub use crate::operation::Operation;
// `volt` and `data` are the packages that most programs use. The older versions of the API are beside them.
pub use crate::packages::*;
#[cfg(any(feature = "file", feature = "volt"))]
pub use crate::path::ResourcePath;
#[cfg(feature = "volt")]
pub use crate::{
    authenticate::Authenticate,
    compatibility::{ApiVersion, Compatibility, VoltAge},
    presence::{Event, Presence, PresenceBuilder},
};
pub use crate::{client::Client, version::API_VERSION};
