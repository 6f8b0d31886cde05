//! A TDX Volt in one process, for examples and tests.
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
//! It is a test double that behaves like a Volt: a real store, real files and databases, real errors,
//! real access checks. Use [`guest`](EmbeddedVolt::guest) to test what clients other than the owner of
//! the Volt may do, and a [`Builder`] to choose the address, the data folder, and the decision for
//! unknown clients.
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
//!
//! All other methods fail with [`Code::Unimplemented`](volt_api::Code).
//!
//! With [`Builder::tls`] the Volt speaks TLS. Its own certificate authority signs the certificate, and is
//! in its configurations as `ca_pem`.
//!
//! The same address answers the HTTP requests with which clients discover Volts:
//!
//! | GET | response |
//! |---|---|
//! | `/discover` | the `volt` part of a client configuration |
//! | `/did/<did>` | the DID document of the Volt, or of an identity in its store |
//! | `/relay` | the Volts that use this one as their relay |
//!
//! # Behaviour
//!
//! Where the API leaves the behaviour open, this Volt behaves as follows:
//!
//! - **Saving** a resource changes only the given fields: proto3 cannot distinguish an empty field from
//!   an absent one. Attributes are merged by name, unless `purge_attributes` is set.
//! - **Deleting** a resource with `recursive` deletes what is only in it, and needs the right to write
//!   to all of that. Only the owner of a deleted resource can reuse its id.
//! - **Home folders** are the identities' own resources, in the root resource.
//! - **Access** belongs to the owner of the Volt, the owner of the resource, and the subjects of rules:
//!   `volt:resource-read`, `volt:resource-write`, `volt:resource-create`, `volt:database-read`,
//!   `volt:database-write`, `volt:wire-publish`, `volt:wire-subscribe`, or `*` for all of these. The
//!   subject of a rule is an identity, the fingerprint of a key, or `*` for everyone. Rules with
//!   `extra` or `credential_lookup` grant nothing, and cannot deny.
//! - **Ownership** is needed to share a resource as public, to put it into a folder of a third party,
//!   and to change its rules.
//! - **Identities** cannot be claimed by an unknown client if they were deleted or have rights on the
//!   Volt: its owner first saves them with their key. A key that an identity adds to itself can
//!   authenticate after it has signed an `Authenticate` call with the identity's `did`.
//! - **Sessions** end their open calls and one-time tokens when they end. A key with a revoked or
//!   rejected session is not admitted again.
//! - **File paths** lead from a folder down through the names of resources.
//! - **Wires** store nothing unless they are persistent. A slow subscriber slows publishing down; one
//!   that reads nothing for five seconds fails with `RESOURCE_EXHAUSTED`.
//! - **SQL**: within a transaction each statement ends with `affected_rows`; without one none does,
//!   because a published client cannot read it. A transaction that is not committed is rolled back.
//!   Statements have limits in size and [time](Builder::query_timeout), and most pragmas are refused.
//! - **Hosts**: a client whose `Connect` call accepts invocations receives the calls of services that
//!   are relayed to its identity. With `online_services`, its own relayed services receive its identity
//!   and key, by which callers reach them. A caller that reads nothing for five seconds loses its call.
//!   Hosts authorize their callers with `CanAccessResource`.
//! - **Relays**: every Volt is a relay, for every caller. [`Builder::relay`] puts a Volt behind another.
//! - **Legacy**: clients with RSA keys are served at the same address, with an API that has today's
//!   methods and the flat `Execute` of 0.15. [`EmbeddedVolt::legacy_config`] creates a configuration.
//! - **Unknown clients** are admitted, unless [`Builder::unknown_clients`] decides otherwise.
//!
//! # Data folder
//!
//! One Volt uses a data folder at a time. A Volt that was killed loses nothing that it had
//! acknowledged; after a power failure the last changes may be missing, unless the Volt is
//! [durable](Builder::durable). A folder whose store is missing, damaged or another program's is refused.

mod actor;
mod api;
mod builder;
mod disk;
mod embedded;
mod error;
mod logic;
mod rights;
mod scope;
mod sql;
mod state;
mod store;
mod tls;
mod volt;

pub use crate::{
    builder::{Builder, UnknownClients},
    embedded::EmbeddedVolt,
    error::StartError,
};
