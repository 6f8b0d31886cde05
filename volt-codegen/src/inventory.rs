//! The methods of an API with their Rust names, for the SDK's own benchmarks. May change without
//! notice.

use prost_types::FileDescriptorSet;

use crate::{
    Error, Options,
    model::{Method, MethodKind, Model, Service},
};

/// A method of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The accessor of the service's client.
    pub accessor: String,
    /// The Cargo feature of the service; empty without features.
    pub feature: String,
    /// The Rust method.
    pub method: String,
    /// Set if the client streams messages.
    pub client_streaming: bool,
    /// Set if the server streams messages.
    pub server_streaming: bool,
}

/// All methods, in the order of their packages, services and declarations.
///
/// # Errors
///
/// Same as [`generate`](crate::generate).
pub fn methods(set: &FileDescriptorSet, options: &Options) -> Result<Vec<Entry>, Error> {
    let model = Model::new(set, options)?;
    let methods = model
        .services()
        .flat_map(|service| service.methods.iter().map(move |method| Entry::new(service, method)));
    Ok(methods.collect())
}

impl Entry {
    fn new(service: &Service, method: &Method) -> Self {
        let (client_streaming, server_streaming) = match method.kind {
            MethodKind::Unary => (false, false),
            MethodKind::ServerStreaming => (false, true),
            MethodKind::ClientStreaming => (true, false),
            MethodKind::Bidi => (true, true),
        };
        Self {
            accessor: service.nickname.clone(),
            feature: service.feature.clone().unwrap_or_default(),
            method: method.ident.clone(),
            client_streaming,
            server_streaming,
        }
    }
}
