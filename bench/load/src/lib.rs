//! Code shared by the load server and the programs of this package.

pub mod alone;
#[cfg(feature = "tonic")]
pub mod grpc;

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The addresses of the load server's other listeners: the file `peers.json`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Peers {
    /// The database for `Execute`, on the embedded Volt.
    pub database: String,
    /// The wire, on the embedded Volt.
    pub wire: String,
    /// The port of the websocket echo.
    pub echo_port: u16,
    /// The gRPC server, with the feature `tonic`.
    pub grpc: Option<Grpc>,
}

/// The address of the gRPC server.
#[derive(Debug, Deserialize, Serialize)]
pub struct Grpc {
    /// Its port.
    pub port: u16,
    /// Its certificate as PEM.
    pub certificate: String,
}

/// Reads a JSON file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}
