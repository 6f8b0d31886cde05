//! The scenario `shared-document`, with the client's sync provider.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use volt_client_grpc::{ProviderState, SyncProvider, VoltClient, out_to_json};
use volt_interop_rust_grpc_client::{Result, request, text};
use yrs::{Any, Array as _, Doc, GetString as _, Map as _, Text as _, Transact as _};

const DOCUMENT: &str = "shared";
/// The length of the host's large text, in characters.
const LARGE: u32 = 3_670_016;

/// Adds an entry to the map, and waits for the host's answers.
pub async fn run(client: &VoltClient) -> Result<Value> {
    let database = client.get_resource(request("@interop-shared")).await.map_err(text)?;
    let id = database.payload["resource"]["id"].as_str().ok_or("there is no database")?;
    let doc = Doc::new();
    let shared_text = doc.get_or_insert_text("text");
    let map = doc.get_or_insert_map("map");
    let array = doc.get_or_insert_array("array");
    let large = doc.get_or_insert_text("large");
    // Nothing is read of them, but the provider waits for room in their channel.
    let (mut provider, mut events) = SyncProvider::new(doc.clone(), id, DOCUMENT);
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    provider.start(client, false, false).await.map_err(text)?;
    // The provider does not send what is edited earlier.
    while provider.state().await != ProviderState::Synced {
        sleep(Duration::from_millis(10)).await;
    }

    let name = doc.client_id().to_string();
    let entry = json!({ "nested": [1, 2.5, true, null, "naïve ☃"] });
    let entry = Any::from_json(&entry.to_string()).map_err(text)?;
    map.insert(&mut doc.transact_mut(), name.as_str(), entry);
    let answer = loop {
        sleep(Duration::from_millis(10)).await;
        let transaction = doc.transact();
        let answer = map.get(&transaction, &format!("answer {name}"));
        let is_in_text = shared_text.get_string(&transaction).contains(&format!("<{name}>"));
        let is_in_array =
            array.iter(&transaction).any(|value| out_to_json(value) == Value::from(name.as_str()));
        let is_large = large.len(&transaction) == LARGE;
        if let (Some(answer), true, true, true) = (answer, is_in_text, is_in_array, is_large) {
            break out_to_json(answer);
        }
    };
    provider.stop().await;
    Ok(json!({ "answer": answer, "text": true, "array": true, "large": LARGE }))
}
