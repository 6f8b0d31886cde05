//! Runs the interop scenarios with the published Rust client for gRPC, `volt-client-grpc`.
//!
//! ```sh
//! volt-interop-rust-grpc-client CONFIG SCENARIO
//! ```
//!
//! Runs one scenario of `tests/interop/scenarios.json` and prints the result as `result: {…}`. This client
//! has methods for resources and documents only, and its answers have the names of Rust's fields.

mod shared;

use std::{env, fs};

use serde_json::{Value, json};
use volt_client_grpc::{VoltClient, crypto::SigningKeyPair};
use volt_interop_rust_grpc_client::{Result, connect, request, text};

const UNKNOWN_ID: &str = "did:volt:00000000-0000-4000-8000-000000000000";

#[tokio::main]
async fn main() {
    volt_interop_trial::finish(run().await)
}

async fn run() -> Result<Value> {
    let mut arguments = env::args().skip(1);
    let (Some(path), Some(scenario)) = (arguments.next(), arguments.next()) else {
        return Err("usage: volt-interop-rust-grpc-client CONFIG SCENARIO".to_owned());
    };
    let config = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let config: Value =
        serde_json::from_str(&config).map_err(|error| format!("{path}: {error}"))?;
    let id = config["volt"]["id"].as_str().unwrap_or_default().to_owned();
    if scenario == "authenticate" {
        return authenticate(&config["volt"], &id).await;
    }
    let client = connect(config).await?;
    match scenario.as_str() {
        "unary" => unary(&client, &id).await,
        "refused" => refused(&client).await,
        "shared-document" => shared::run(&client).await,
        _ => Err(format!("no scenario is called {scenario:?}")),
    }
}

async fn unary(client: &VoltClient, id: &str) -> Result<Value> {
    let answer = client.get_resource(request(id)).await.map_err(text)?;
    let resource = &answer.payload["resource"];
    if resource["id"] != id {
        return Err(format!("the resource is {}", resource["id"]));
    }
    // The others compare the whole resource.
    Ok(json!({ "resource": null }))
}

async fn authenticate(volt: &Value, id: &str) -> Result<Value> {
    // Without TLS's form of a key, the client could not show its certificate: it writes its own keys as bare bytes.
    let key = SigningKeyPair::generate().private_key_pkcs8_pem();
    let credential = json!({ "key": key });
    // `connect` authenticates, because the configuration has no certificate.
    let config = json!({ "client_name": "stranger", "volt": volt, "credential": credential });
    let stranger = connect(config).await?;
    let credential = stranger.credential().ok_or("the client has no credential")?;
    let has_session = credential.session_id().is_some_and(|session| !session.is_empty());
    let certificate = credential.certificate().unwrap_or_default();
    let has_certificate = certificate.starts_with("-----BEGIN CERTIFICATE-----");
    // Its connection shows no certificate yet, and the client sends no token.
    let config = serde_json::to_value(credential.config()).map_err(text)?;
    let again = connect(config).await?;
    let answer = again.get_resource(request(id)).await.map_err(text)?;
    Ok(json!({
        "session": has_session,
        "certificate": has_certificate,
        "read": answer.payload["resource"]["id"] == id,
    }))
}

async fn refused(client: &VoltClient) -> Result<Value> {
    let answer = client.get_resource(request(UNKNOWN_ID)).await.map_err(text)?;
    let status = answer.status.ok_or("the call was not refused")?;
    Ok(json!({ "code": status.code, "message": status.message }))
}
