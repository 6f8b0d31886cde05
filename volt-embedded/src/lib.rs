//! A TDX Volt in one process, for examples and tests.
//!
//! [`EmbeddedVolt::start`] gives a Volt on a free port of this machine, with a store of its own that
//! goes away with it, and [`config`](EmbeddedVolt::config) what a client needs to use it:
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
//! It is a test double that behaves: a real store, real files and databases, real errors, real access
//! checks. Use [`guest`](EmbeddedVolt::guest) to see what others than the owner of the Volt may do,
//! and a [`Builder`] to choose the address, the data folder, and what becomes of unknown clients.
//!
//! # What it does
//!
//! | service | methods |
//! |---|---|
//! | `VoltAPI` | resources, identities, sessions, access rules, `Authenticate`, `Connect` with events and invocations, `DiscoverServices`, `SignVerify`, one-time tokens |
//! | `FileAPI` | all |
//! | `WireAPI` | all |
//! | `SqliteServerAPI` | `CreateDatabase` |
//! | `SqliteDatabaseAPI` | all |
//!
//! Everything else answers [`Code::Unimplemented`](volt_api::Code).
//!
//! With [`Builder::tls`] it speaks TLS, certified by an authority of its own, which its configurations
//! carry as `ca_pem`.
//!
//! At the same address it answers HTTP requests, by which Volts are found:
//!
//! | GET | gives |
//! |---|---|
//! | `/discover` | what a client has to know of the Volt: the `volt` part of a client configuration |
//! | `/did/<did>` | the DID document of the Volt, which says where that is, or of an identity that it knows |
//! | `/relay` | the Volts that are connected to this one as their relay |
//!
//! Where nothing public says what a Volt does, this one does as follows:
//!
//! - **Saving** a resource changes only the fields that are given: proto3 cannot tell an empty field
//!   from an absent one. Attributes are merged by name, unless `purge_attributes` is set.
//! - **Deleting** a resource with `recursive` deletes what is in it and nowhere else.
//! - **Home folders** are the identities' own resources, which are in the Volt's.
//! - **Access** is had by the owner of the Volt, by the owner of a resource, or by a rule:
//!   `volt:resource-read`, `volt:resource-write`, `volt:resource-create`, `volt:database-read`,
//!   `volt:database-write`, `volt:wire-publish`, `volt:wire-subscribe`, or `*` for all of these. Rules
//!   with `extra` or `credential_lookup` are kept and grant nothing.
//! - **File paths** go by the names of resources, from a folder down.
//! - **Wires** keep nothing unless they persist. A slow subscriber slows publishing down; one that
//!   takes nothing for five seconds is given up with `RESOURCE_EXHAUSTED`.
//! - **SQL**: within a transaction each statement ends with `affected_rows`; without one none does,
//!   since a published client cannot read it. A transaction that is not committed is rolled back.
//! - **Hosts**: a client whose `Connect` call takes invocations gets the calls of services that are
//!   relayed to its identity. Going online with `online_services`, its own relayed services get its
//!   identity and key, by which callers reach them. A caller that takes nothing for five seconds loses
//!   its call. Who may call is for the host to ask, by `CanAccessResource`.
//! - **Relays**: any Volt is one, for every caller. [`Builder::relay`] puts a Volt behind another.
//! - **Legacy**: clients with RSA keys are served at the same address, as if by an API that has
//!   today's methods, and the flat `Execute` of 0.15. [`EmbeddedVolt::legacy_config`] makes one.
//! - **Unknown clients** are let in, unless [`Builder::unknown_clients`] says otherwise.

mod actor;
mod api;
mod builder;
mod disk;
mod embedded;
mod error;
mod logic;
mod rights;
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
