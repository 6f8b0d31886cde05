//! The scenario `shared-document`, with the client's sync provider.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;
use volt_client_grpc::{ProviderState, SyncProvider, VoltClient, out_to_json};
use volt_interop_rust_grpc_client::{Result, request, text};
use yrs::{
    Any, Array as _, ArrayRef, Doc, GetString as _, Map as _, MapRef, ReadTxn, Text as _, TextRef,
    Transact as _, types::ToJson as _,
};

const DOCUMENT: &str = "shared";
/// The length of the large texts, in characters.
const LARGE: u32 = 3_670_016;

/// The client's copy of the document.
struct Replica {
    doc: Doc,
    text: TextRef,
    map: MapRef,
    array: ArrayRef,
    /// The host's large text.
    large: TextRef,
    /// The client's large text.
    returned: TextRef,
}

impl Replica {
    fn new() -> Self {
        let doc = Doc::new();
        Self {
            text: doc.get_or_insert_text("text"),
            map: doc.get_or_insert_map("map"),
            array: doc.get_or_insert_array("array"),
            large: doc.get_or_insert_text("large"),
            returned: doc.get_or_insert_text("returned"),
            doc,
        }
    }

    fn is_in_text(&self, part: &str) -> bool {
        self.text.get_string(&self.doc.transact()).contains(part)
    }

    /// Returns the host's answer to the entry, once it is complete.
    fn answer(&self, name: &str) -> Option<Value> {
        let transaction = self.doc.transact();
        let is_in_text = self.text.get_string(&transaction).contains(&format!("<{name}>"));
        let mut values = self.array.iter(&transaction);
        let is_in_array = values.any(|value| out_to_json(value) == Value::from(name));
        let is_large = self.large.len(&transaction) == LARGE;
        let answer = self.map.get(&transaction, &format!("answer {name}"))?;
        (is_in_text && is_in_array && is_large).then(|| out_to_json(answer))
    }

    /// The content that the host has.
    fn hosts_content(&self, name: &str) -> Option<Value> {
        let transaction = self.doc.transact();
        let content = self.map.get(&transaction, &format!("content {name}"))?;
        json(&content.to_json(&transaction))
    }

    /// Everything in the document, except the contents in the map.
    fn content(&self, transaction: &impl ReadTxn) -> Option<Value> {
        let entries = self.map.iter(transaction).filter(|(name, _)| !name.starts_with("content"));
        let map: HashMap<_, _> =
            entries.map(|(name, value)| (name.to_owned(), value.to_json(transaction))).collect();
        let parts = [
            ("text", Any::from(self.text.get_string(transaction))),
            ("map", Any::from(map)),
            ("array", self.array.to_json(transaction)),
            ("large", Any::from(digest(&self.large.get_string(transaction)))),
            ("returned", Any::from(digest(&self.returned.get_string(transaction)))),
        ];
        json(&Any::from(HashMap::from(parts.map(|(name, value)| (name.to_owned(), value)))))
    }
}

/// A value as JSON, in which a `BigInt` equals the same number.
fn json(value: &Any) -> Option<Value> {
    serde_json::to_value(value).ok()
}

/// The length of a text and its FNV-1a hash.
fn digest(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{} {hash:08x}", text.len())
}

/// Waits until `find` returns a value. The runner limits the time.
async fn until<T>(find: impl Fn() -> Option<T>) -> T {
    loop {
        if let Some(found) = find() {
            return found;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Edits a document that the host of this SDK edits too.
pub async fn run(client: &VoltClient) -> Result<Value> {
    let database = client.get_resource(request("@interop-shared")).await.map_err(text)?;
    let id = database.payload["resource"]["id"].as_str().ok_or("there is no database")?;
    let replica = Replica::new();
    let Replica { doc, map, returned, .. } = &replica;
    // The messages are not read, but the provider waits for room in their channel.
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
    let answer = until(|| replica.answer(&name)).await;

    // The host has made the same edit in a copy of the document, and sends it when it has this one.
    let edited = |editor: &str| format!("({editor} {name}, naïve ☃)");
    if replica.is_in_text(&edited("host")) {
        return Err("the host's edit came before the client's".to_owned());
    }
    {
        let mut transaction = doc.transact_mut();
        replica.text.push(&mut transaction, &edited("client"));
        map.insert(&mut transaction, format!("both {name}"), "client");
    }
    until(|| replica.is_in_text(&edited("host")).then_some(())).await;

    {
        let mut transaction = doc.transact_mut();
        returned.push(&mut transaction, &"edcba9876543210\n".repeat(LARGE as usize / 16));
        map.insert(&mut transaction, format!("ask {name}"), true);
    }
    let content = until(|| replica.hosts_content(&name)).await;
    let is_kept = replica.is_in_text(&edited("client"));
    provider.stop().await;
    let transaction = doc.transact();
    Ok(json!({
        "answer": answer,
        "text": true,
        "array": true,
        "merged": is_kept,
        "large": replica.large.len(&transaction),
        "returned": returned.len(&transaction),
        "equal": Some(content) == replica.content(&transaction),
        // The provider ignores the states of others.
        "present": null,
    }))
}
