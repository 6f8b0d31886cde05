//! Finding a Volt: the servers that are asked, the answers that are trusted, and the errors.

// Answers are built as JSON values at the call site.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod asking;
mod believing;
mod failing;
mod near;
mod proxied;
mod server;
mod tls;

use std::time::Duration;

use serde_json::{Value, json};
use volt_api::{ClientConfig, Error, key::SigningKey, resolve::Resolver};

use crate::server::{Reply, Scripted};

const DID: &str = "did:volt:wanted";

fn config(volt: Value) -> ClientConfig {
    ClientConfig::from_json(&json!({ "volt": volt }).to_string()).unwrap()
}

fn volt(config: &ClientConfig) -> Value {
    serde_json::to_value(&config.volt).unwrap()
}

fn key() -> String {
    SigningKey::generate().unwrap().verifying_key().to_pem()
}

/// An answer about the requested Volt.
fn answer(key: &str) -> Value {
    json!({ "id": DID, "http_address": "http://volt.example", "public_key": key })
}

fn document(services: &[(&str, Value)]) -> Reply {
    let services = services
        .iter()
        .map(|(kind, endpoint)| json!({ "id": "#s", "type": kind, "serviceEndpoint": endpoint }));
    Reply::Json(json!({ "id": DID, "service": services.collect::<Vec<_>>() }))
}

/// The error of a search with this resolver.
async fn failure(resolver: &Resolver, volt: Value) -> Error {
    let resolver = resolver.clone().timeout(Duration::from_secs(20));
    resolver.resolve(&config(volt)).await.unwrap_err()
}

/// A relay to which the requested Volt is connected.
async fn relay(id: &'static str, key: String) -> Scripted {
    Scripted::start_at(move |url, path| match path {
        "/discover" => Reply::Json(json!({ "id": id, "http_address": url, "public_key": key })),
        // Other entries do not interfere, even malformed ones.
        "/relay" => {
            Reply::Json(json!({ "clients": [7, { "id": 7 }, { "id": DID, "public_key": key }] }))
        }
        _ => Reply::NotFound,
    })
    .await
}
