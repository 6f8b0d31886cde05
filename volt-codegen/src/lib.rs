//! Generates typed Volt clients, server traits, messages and their JSON from `.proto` files.
//!
//! A crate with its own `.proto` files calls [`build::compile_protos`] in its `build.rs`, or uses
//! the macro `volt_api::include_proto!`. The program `volt-codegen` (feature `cli`) writes code to
//! check in.
//!
//! The generator itself is a function from texts and [`Options`] to named files. It accesses no
//! disk, clock or environment, so the same input produces the same bytes. [`disk`] reads the texts.
//!
//! ```
//! # fn main() -> Result<(), volt_codegen::Error> {
//! let mut sources = volt_codegen::Sources::default();
//! sources.files.insert(
//!     "clock.proto".to_owned(),
//!     r#"
//!         syntax = "proto3";
//!         package clock.v1;
//!         service ClockAPI { rpc Tick(TickRequest) returns (stream TickResponse); }
//!         message TickRequest { uint32 seconds = 1; }
//!         message TickResponse { uint64 now = 1; }
//!     "#
//!     .to_owned(),
//! );
//! let output = volt_codegen::generate(&sources.compile()?, &volt_codegen::Options::default())?;
//! let paths: Vec<_> = output.files.iter().map(|file| file.path.as_str()).collect();
//! assert_eq!(paths, [
//!     "clock/mod.rs",
//!     "clock/v1/clock/messages.rs",
//!     "clock/v1/clock/mod.rs",
//!     "clock/v1/clock/tables.rs",
//!     "clock/v1/mod.rs",
//!     "mod.rs",
//! ]);
//! # Ok(())
//! # }
//! ```
//!
//! A package becomes a module with its messages and, for each service, a client, a trait and a
//! server. The code depends on one crate: `volt-runtime`, or with [`Options::volt_api`] `volt-api`.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod build;
mod bundled;
pub mod diff;
pub mod disk;
mod docs;
mod editions;
mod emit;
mod error;
mod fork;
#[doc(hidden)]
pub mod inventory;
mod model;
mod names;
mod options;
mod output;
mod same;
mod scopes;
mod secrets;
mod source;
pub mod text;
#[doc(hidden)]
pub mod tree;

use prost_types::FileDescriptorSet;

#[doc(hidden)]
pub use crate::source::is_builtin;
pub use crate::{
    bundled::{VERSIONS, VOLT_API},
    editions::descriptor_set,
    error::{Error, Place, Problem},
    options::{BULK, Layout, Options, Server},
    output::{GeneratedFile, Output},
    same::same_types,
    secrets::looks_secret,
    source::Sources,
};

/// Generates the code for a set of files.
///
/// # Errors
///
/// Fails if something in the files cannot be expressed in Rust: each [`Problem`] has its place and
/// a remedy. With [`Options::volt_api`], also fails if there is nothing to generate, or if a file
/// has the name of a built-in file of the Volt API but other definitions.
pub fn generate(set: &FileDescriptorSet, options: &Options) -> Result<Output, Error> {
    fork::check(set, options)?;
    let shared;
    let options = if options.shares_volt_api {
        shared = same::sharing_volt_api(set, options.clone())?;
        &shared
    } else {
        options
    };
    let model = model::Model::new(set, options)?;
    let mut features: Vec<String> =
        model.services().filter_map(|service| service.feature.clone()).collect();
    features.sort();
    let mut warnings = model.warnings.clone();
    warnings.sort();
    let modules = model.packages.iter().map(|package| package.module.0.join("::")).collect();
    Ok(Output { files: emit::files(&model, set, options)?, features, modules, warnings })
}
