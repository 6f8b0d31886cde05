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
use volt_client_grpc::VoltClient;
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

async fn refused(client: &VoltClient) -> Result<Value> {
    let answer = client.get_resource(request(UNKNOWN_ID)).await.map_err(text)?;
    let status = answer.status.ok_or("the call was not refused")?;
    Ok(json!({ "code": status.code, "message": status.message }))
}
