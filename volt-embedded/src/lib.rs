//! An in-process TDX Volt for examples and tests.
//!
//! [`EmbeddedVolt::start`] starts a Volt on a free port of the loopback address, with a temporary store,
//! and [`config`](EmbeddedVolt::config) returns a client configuration for it:
//!
//! ```
//! use volt_api::{Client, volt::GetResourceRequest};
//! use volt_embedded::EmbeddedVolt;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let volt = EmbeddedVolt::start().await?;
//! let client = Client::connect(volt.config()).await?;
//! let request = GetResourceRequest::default().with_resource_id(volt.id());
//! let root = client.volt().get_resource(request).await?.resource.unwrap_or_default();
//! assert_eq!(root.id, volt.id());
//! volt.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! It is a test double that behaves like a Volt, with a real store, real files and databases, real
//! errors and real access checks. Use [`guest`](EmbeddedVolt::guest) to test access by clients
//! other than the owner of the Volt, and a [`Builder`] to configure the address, the data folder,
//! and the decision for unknown clients.
//!
//! # Services
//!
//! | service | methods |
//! |---|---|
//! | `VoltAPI` | resources, identities, sessions, access rules, `Authenticate`, `Connect` with events and invocations, `DiscoverServices`, `SignVerify`, one-time tokens |
//! | `FileAPI` | all |
//! | `WireAPI` | all |
//! | `SqliteServerAPI` | `CreateDatabase` |
//! | `SqliteDatabaseAPI` | all |
//! | `SyncAPI` | all |
//!
//! All other methods fail with [`Code::Unimplemented`](volt_api::Code::Unimplemented).
//!
//! With [`Builder::tls`], the Volt serves TLS. The certificate is signed by the Volt's own
//! certificate authority. Configurations include the authority as `ca_pem`, with and without TLS,
//! because some published clients require it.
//!
//! The Volt also serves gRPC, at the [address](EmbeddedVolt::grpc_address) that configurations contain as
//! `address`. It always uses TLS, with the same authority. Callers send a token, or present the certificate that
//! `Authenticate` over gRPC and [`EmbeddedVolt::config`] contain. [`Builder::grpc`] sets the address, and
//! [`Builder::without_grpc`] turns it off.
//!
//! The websocket's address answers the HTTP requests that clients use for discovery:
//!
//! | GET | response |
//! |---|---|
//! | `/discover` | the `volt` part of a client configuration |
//! | `/did/<did>` | the DID document of the Volt, or of an identity in its store |
//! | `/relay` | the Volts that use this one as their relay |
//!
//! # Behaviour
//!
//! The API leaves some behaviour unspecified. This Volt behaves as follows:
//!
//! - **Saving** a resource changes only the given fields: proto3 cannot distinguish an empty field from
//!   an absent one. Attributes are merged by name, unless `purge_attributes` is set.
//! - **Deleting** a resource with `recursive` also deletes everything that is only in it, and
//!   requires the right to write to all of it. Only the owner of a deleted resource can reuse its
//!   id.
//! - **Home folders** are the resources of identities, located in the root resource.
//! - **Access** is granted to the owner of the Volt, the owner of the resource, and the subjects of
//!   rules: `volt:resource-read`, `volt:resource-write`, `volt:resource-create`,
//!   `volt:database-read`, `volt:database-write`, `volt:wire-publish`, `volt:wire-subscribe`, or
//!   `*` for all of these. The subject of a rule is an identity, the fingerprint of a key, or `*`
//!   for every identity. Rules with `extra` or `credential_lookup` grant nothing and cannot deny.
//! - **Ownership** is required to share a resource as public, to place it in a third party's
//!   folder, and to change its rules.
//! - **Identities** that were deleted or have rights on the Volt cannot be claimed by an unknown
//!   client; the owner of the Volt must first save them with their key. A key that an identity adds
//!   to itself can authenticate after it has signed an `Authenticate` call with the identity's
//!   `did`.
//! - **Sessions** that end also end their open calls and invalidate their one-time tokens. A key
//!   with a revoked or rejected session is not admitted again.
//! - **File paths** are resolved from a folder through the names of resources.
//! - **Wires** do not store messages unless they are persistent. A slow subscriber slows down
//!   publishing; a subscriber that reads nothing for five seconds fails with `RESOURCE_EXHAUSTED`.
//! - **SQL**: within a transaction, each statement ends with `affected_rows`; outside a transaction
//!   none does, because a published client cannot parse it. A transaction that is not committed is
//!   rolled back. Statements are limited in size, [time](Builder::query_timeout) and the memory of
//!   a row, most pragmas are rejected, and the time for which an open query waits for its caller is
//!   [limited](Builder::idle_query_timeout).
//! - **Documents** are kept in sync databases and synapses. `volt:database-read` permits reading them, and
//!   `volt:database-write` changing them. A document is created with its first change, and each change is
//!   kept before it is acknowledged or passed on. Updates are merged in batches unless
//!   `no_compaction` is set. A document that no call uses is not in memory.
//! - **Synapses** refuse changes of roots without a schema, and changes that do not fit it. Schemas may use most
//!   keywords of JSON Schema; those with regular expressions, `dependentSchemas`, `unevaluated…`, `minContains`,
//!   `maxContains` and references to other documents are rejected. `format` is not checked. The content of a root
//!   determines whether it is an object, an array or a text. `volt:resource-write` is required to set schemas.
//! - **Paths** are JSON paths such as `$.notes[0].title`; a watch may use `*` and one `..`. Written objects and
//!   arrays become shared types, and missing objects are created. A slow watcher receives the
//!   difference to the last value that it received.
//! - **States**: a document without a published hash is DRAFT. With one it is READY, as is a connection
//!   that represents a stored blob.
//! - **Versions**: reverting to a version undoes the later changes, for all callers that have the document open.
//! - **Blobs** have at most 256 MiB. The first response of `PutSynapseBlob` reports whether the blob exists,
//!   the second the number of stored blocks.
//! - **Synapse connections** are kept, but stay offline: this Volt does not exchange documents with other
//!   Volts.
//! - **Hosts**: a client whose `Connect` call accepts invocations receives the calls to services
//!   that are relayed to its identity. With `online_services`, its own relayed services are updated
//!   with its identity and key, which callers use to reach them. A caller that reads nothing for
//!   five seconds loses its call. Hosts authorize their callers with `CanAccessResource`.
//! - **Invoke**: callers over gRPC reach hosted services, other Volts and the Volt itself with one
//!   `Invoke` stream for each call, whose payloads are sealed protobuf or JSON. Each caller is answered in its own form.
//! - **Relays**: every Volt acts as a relay for all callers. [`Builder::relay`] puts a Volt behind
//!   another.
//! - **Legacy**: clients with RSA keys are served at the same address, with an API that has the
//!   current methods and the flat `Execute` of 0.15. [`EmbeddedVolt::legacy_config`] creates a
//!   configuration.
//! - **Unknown clients** are admitted, unless [`Builder::unknown_clients`] decides otherwise.
//!
//! # Data folder
//!
//! A data folder can be used by only one Volt at a time. A killed Volt loses no acknowledged
//! changes; after a power failure, the last changes may be missing unless the Volt is
//! [durable](Builder::durable). A folder that does not exist is created. A folder is rejected if it contains files that
//! do not belong to a Volt, or if its store is missing, damaged or belongs to another program.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod actor;
mod api;
mod archive;
mod builder;
mod disk;
mod embedded;
mod error;
mod fuzzing;
mod logic;
mod rights;
mod scope;
mod sql;
mod state;
mod store;
mod sync;
mod tls;
mod volt;

/// Parts of a Volt for fuzz targets. Not part of the public API: it may change without notice.
#[doc(hidden)]
pub mod __core {
    pub use crate::fuzzing::{Core, Documents, create_database, execute, open};
}

pub use crate::{
    builder::{Builder, UnknownClients},
    embedded::EmbeddedVolt,
    error::StartError,
};
