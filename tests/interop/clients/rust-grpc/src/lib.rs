//! Adapter for the published Rust client for gRPC, `volt-client-grpc`, for the interop tests and
//! the benchmarks.

use serde_json::{Value, json};
use volt_client_grpc::{ConfigSource, InitialiseOptions, VoltClient};

/// A result whose error is a text.
pub type Result<T, E = String> = std::result::Result<T, E>;

/// Returns a client. It authenticates if the configuration has no certificate, and connects with its first
/// call.
///
/// # Errors
///
/// Fails if the configuration cannot be used, or the Volt does not admit the client.
pub async fn connect(config: Value) -> Result<VoltClient> {
    let mut client = VoltClient::new().map_err(text)?;
    let options = InitialiseOptions::default();
    client.initialise(ConfigSource::Json(config), options).await.map_err(text)?;
    Ok(client)
}

/// A request to get a resource. Over a direct connection the client needs all fields.
#[must_use]
pub fn request(id: &str) -> Value {
    json!({ "resource_id": id, "include_attributes": false, "include_protobuf": false })
}

/// The message of an error.
pub fn text(error: impl ToString) -> String {
    error.to_string()
}
