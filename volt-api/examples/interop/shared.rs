//! The scenario `shared-document`: a client and this SDK's host edit one document.
//!
//! A client adds an entry to the map, under a name of its own. The host answers in the map, the text and
//! the array.

use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::sync::Notify;
use volt_api::{
    Client,
    documents::{
        SyncedDocument,
        yrs::{
            Any, Array as _, ArrayRef, Doc, GetString as _, Map as _, MapRef, Out, ReadTxn,
            Text as _, TextRef, Transact as _, types::ToJson as _,
        },
    },
};

const DATABASE: &str = "@interop-shared";
const DOCUMENT: &str = "shared";
/// The length of the large text, in characters.
const LARGE: u32 = 3_670_016;
/// The prefix of the names of the host's answers.
const ANSWER: &str = "answer ";

/// A copy of the document.
struct Replica {
    doc: Doc,
    text: TextRef,
    map: MapRef,
    array: ArrayRef,
    large: TextRef,
    changed: Arc<Notify>,
}

impl Replica {
    fn new() -> Result<Self> {
        let doc = Doc::new();
        let changed = Arc::new(Notify::new());
        let notify = Arc::clone(&changed);
        doc.observe_update_v2("scenario", move |_, _| notify.notify_one())?;
        Ok(Self {
            text: doc.get_or_insert_text("text"),
            map: doc.get_or_insert_map("map"),
            array: doc.get_or_insert_array("array"),
            large: doc.get_or_insert_text("large"),
            doc,
            changed,
        })
    }

    /// Answers the entries that have no answer yet.
    fn answer(&self) {
        let mut transaction = self.doc.transact_mut();
        let entries: Vec<(String, Any)> = self
            .map
            .iter(&transaction)
            .filter(|(name, _)| !name.starts_with(ANSWER))
            .filter(|(name, _)| !self.map.contains_key(&transaction, &answer_to(name)))
            .map(|(name, value)| (name.to_owned(), value.to_json(&transaction)))
            .collect();
        for (name, value) in entries {
            self.map.insert(&mut transaction, answer_to(&name), value);
            self.text.push(&mut transaction, &format!("<{name}>"));
            self.array.push_back(&mut transaction, name);
        }
    }

    /// Returns the answer to an entry, if it is there whole.
    fn answered(&self, transaction: &impl ReadTxn, name: &str) -> Option<Any> {
        let is_in_text = self.text.get_string(transaction).contains(&format!("<{name}>"));
        let is_in_array =
            self.array.iter(transaction).any(|value| value == Out::Any(Any::from(name)));
        let value = self.map.get(transaction, &answer_to(name))?;
        (is_in_text && is_in_array).then(|| value.to_json(transaction))
    }
}

fn answer_to(name: &str) -> String {
    format!("{ANSWER}{name}")
}

/// The host's end.
pub(crate) struct Host {
    replica: Replica,
    _document: SyncedDocument,
}

impl Host {
    /// Creates the document.
    pub(crate) async fn start(client: &Client) -> Result<Self> {
        client.sync().ensure_sync_database(DATABASE).await?;
        let replica = Replica::new()?;
        let large = "0123456789abcde\n".repeat(LARGE as usize / 16);
        replica.large.push(&mut replica.doc.transact_mut(), &large);
        let document = client.sync().attach(&replica.doc, DATABASE, DOCUMENT).await?;
        document.flush().await?;
        Ok(Self { replica, _document: document })
    }

    /// Answers the clients until the process is killed.
    pub(crate) async fn answer(&self) -> ! {
        loop {
            self.replica.changed.notified().await;
            self.replica.answer();
        }
    }
}

/// Runs the scenario.
pub(crate) async fn run(client: &Client) -> Result<Value> {
    let replica = Replica::new()?;
    let document = client.sync().attach(&replica.doc, DATABASE, DOCUMENT).await?;
    document.synced().await?;
    let name = replica.doc.client_id().to_string();
    let entry = json!({ "nested": [1, 2.5, true, null, "naïve ☃"] });
    let value: Any = serde_json::from_value(entry)?;
    replica.map.insert(&mut replica.doc.transact_mut(), name.as_str(), value);
    let answer = loop {
        replica.changed.notified().await;
        let transaction = replica.doc.transact();
        let is_large = replica.large.len(&transaction) == LARGE;
        match replica.answered(&transaction, &name) {
            Some(answer) if is_large => break answer,
            _ => {}
        }
    };
    document.stop().await?;
    Ok(json!({ "answer": answer, "text": true, "array": true, "large": LARGE }))
}
