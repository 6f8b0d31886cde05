//! What the load server and the programs of this package share.

pub mod alone;
#[cfg(feature = "tonic")]
pub mod grpc;

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Where the load server's other listeners are: the file `peers.json`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Peers {
    /// The database for `Execute`, on the embedded Volt.
    pub database: String,
    /// The wire, on the embedded Volt.
    pub wire: String,
    /// Port of the websocket that gives back what it gets.
    pub echo_port: u16,
    /// The gRPC server, if this was built with it.
    pub grpc: Option<Grpc>,
}

/// Where the gRPC server is.
#[derive(Debug, Deserialize, Serialize)]
pub struct Grpc {
    /// Its port.
    pub port: u16,
    /// Its certificate, PEM.
    pub certificate: String,
}

/// Reads a file of JSON.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}
