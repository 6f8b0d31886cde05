//! What the load server and the programs of this package share.

pub mod alone;
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
    /// Port of the gRPC server.
    pub grpc_port: u16,
    /// The gRPC server's certificate, PEM.
    pub grpc_certificate: String,
}

/// Reads a file of JSON.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}
