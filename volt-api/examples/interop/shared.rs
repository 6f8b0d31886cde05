//! The scenario `shared-document`: a client and this SDK's host edit one document.
//!
//! A client adds an entry to the map, under its own name, and the host answers in the map, the text and the
//! array. Then both edit the same text and the same key of the map, before either has received the other's
//! edit. The client adds a large text and asks for the content that the host has. Both have an awareness,
//! and the host's state lists the clients that are present.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::sync::Notify;
use volt_api::{
    Client,
    documents::{
        SyncedDocument,
        yrs::{
            Any, Array as _, ArrayRef, Doc, GetString as _, Map as _, MapRef, Out, ReadTxn,
            StateVector, Text as _, TextRef, Transact as _, Update, sync::Awareness,
            types::ToJson as _, updates::decoder::Decode as _,
        },
    },
};

const DATABASE: &str = "@interop-shared";
const DOCUMENT: &str = "shared";
/// The length of the large texts, in characters.
const LARGE: u32 = 3_670_016;

// The kinds of keys in the map, before the name of a client.
/// The host's answer to the client's entry.
const ANSWER: &str = "answer";
/// The value that both set.
const BOTH: &str = "both";
/// The client's request for the host's content.
const ASK: &str = "ask";
/// The host's content.
const CONTENT: &str = "content";

fn key(kind: &str, name: &str) -> String {
    format!("{kind} {name}")
}

/// A copy of the document.
struct Replica {
    doc: Doc,
    text: TextRef,
    map: MapRef,
    array: ArrayRef,
    /// The host's large text.
    large: TextRef,
    /// The client's large text.
    returned: TextRef,
    awareness: Arc<Mutex<Awareness>>,
    /// Notified of changes of the document and of the awareness.
    changed: Arc<Notify>,
}

impl Replica {
    fn new() -> Result<Self> {
        let doc = Doc::new();
        let changed = Arc::new(Notify::new());
        let notify = Arc::clone(&changed);
        doc.observe_update_v2("scenario", move |_, _| notify.notify_one())?;
        let mut awareness = Awareness::new(doc.clone());
        let notify = Arc::clone(&changed);
        awareness.on_update("scenario", move |_, _, _| notify.notify_one());
        Ok(Self {
            text: doc.get_or_insert_text("text"),
            map: doc.get_or_insert_map("map"),
            array: doc.get_or_insert_array("array"),
            large: doc.get_or_insert_text("large"),
            returned: doc.get_or_insert_text("returned"),
            awareness: Arc::new(Mutex::new(awareness)),
            doc,
            changed,
        })
    }

    async fn attach(&self, client: &Client) -> Result<SyncedDocument> {
        let attaching = client.sync().attach(&self.doc, DATABASE, DOCUMENT);
        Ok(attaching.awareness(Arc::clone(&self.awareness)).await?)
    }

    fn awareness(&self) -> MutexGuard<'_, Awareness> {
        self.awareness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The awareness states, without those that are not JSON.
    fn states(&self) -> Vec<Value> {
        let awareness = self.awareness();
        let states = awareness.iter().filter_map(|(_, state)| state.data);
        states.filter_map(|state| serde_json::from_str(&state).ok()).collect()
    }

    /// Returns the answer to an entry, once it is complete.
    fn answered(&self, transaction: &impl ReadTxn, name: &str) -> Option<Any> {
        let is_in_text = self.text.get_string(transaction).contains(&format!("<{name}>"));
        let is_in_array =
            self.array.iter(transaction).any(|value| value == Out::Any(Any::from(name)));
        let value = self.map.get(transaction, &key(ANSWER, name))?;
        (is_in_text && is_in_array).then(|| value.to_json(transaction))
    }

    /// Everything in the document, except the contents in the map.
    fn content(&self, transaction: &impl ReadTxn) -> Any {
        let entries = self.map.iter(transaction).filter(|(name, _)| !name.starts_with(CONTENT));
        let map: HashMap<_, _> =
            entries.map(|(name, value)| (name.to_owned(), value.to_json(transaction))).collect();
        let parts = [
            ("text", Any::from(self.text.get_string(transaction))),
            ("map", Any::from(map)),
            ("array", self.array.to_json(transaction)),
            ("large", Any::from(digest(&self.large.get_string(transaction)))),
            ("returned", Any::from(digest(&self.returned.get_string(transaction)))),
        ];
        Any::from(HashMap::from(parts.map(|(name, value)| (name.to_owned(), value))))
    }

    /// Waits until `find` returns a value.
    async fn until<T>(&self, find: impl Fn(&Self) -> Option<T>) -> T {
        loop {
            if let Some(found) = find(self) {
                return found;
            }
            self.changed.notified().await;
        }
    }
}

/// The length of a text and its FNV-1a hash.
fn digest(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{} {hash:08x}", text.len())
}

/// The edit that the client and the host make at the same time.
fn edit(doc: &Doc, name: &str, editor: &str) {
    let (text, map) = (doc.get_or_insert_text("text"), doc.get_or_insert_map("map"));
    let mut transaction = doc.transact_mut();
    text.push(&mut transaction, &edited(name, editor));
    map.insert(&mut transaction, key(BOTH, name), editor);
}

/// The text that an edit adds.
fn edited(name: &str, editor: &str) -> String {
    format!("({editor} {name}, naïve ☃)")
}

/// The host's end.
pub(crate) struct Host {
    replica: Replica,
    /// The host's edits that wait for the clients', by the names of the clients.
    edits: HashMap<String, Update>,
    _document: SyncedDocument,
}

impl Host {
    /// Creates the document.
    pub(crate) async fn start(client: &Client) -> Result<Self> {
        client.sync().ensure_sync_database(DATABASE).await?;
        let replica = Replica::new()?;
        let large = "0123456789abcde\n".repeat(LARGE as usize / 16);
        replica.large.push(&mut replica.doc.transact_mut(), &large);
        let document = replica.attach(client).await?;
        document.flush().await?;
        Ok(Self { replica, edits: HashMap::new(), _document: document })
    }

    /// Answers the clients until the process is killed, or an answer fails.
    pub(crate) async fn answer(mut self) -> Result<Value> {
        loop {
            self.replica.changed.notified().await;
            self.greet();
            for name in self.respond()? {
                let edit = self.edit_apart(&name)?;
                self.edits.insert(name, edit);
            }
        }
    }

    /// Lists the clients that are present in the host's state.
    fn greet(&self) {
        let states = self.replica.states();
        let mut seen: Vec<_> = states.iter().filter_map(|state| state["name"].as_str()).collect();
        seen.sort_unstable();
        let state = json!({ "seen": seen }).to_string();
        let mut awareness = self.replica.awareness();
        if awareness.local_state_raw().as_deref() != Some(&state) {
            awareness.set_local_state_raw(state);
        }
    }

    /// Continues with each client. Returns the names of new ones.
    fn respond(&mut self) -> Result<Vec<String>> {
        let Replica { doc, text, map, array, returned, .. } = &self.replica;
        let mut transaction = doc.transact_mut();
        // The other keys have a space.
        let entries: Vec<(String, Any)> = map
            .iter(&transaction)
            .filter(|(name, _)| !name.contains(' '))
            .map(|(name, value)| (name.to_owned(), value.to_json(&transaction)))
            .collect();
        let mut new = Vec::new();
        for (name, value) in entries {
            let [is_answered, is_edited, asks, has_content] = [ANSWER, BOTH, ASK, CONTENT]
                .map(|kind| map.contains_key(&transaction, &key(kind, &name)));
            if !is_answered {
                map.insert(&mut transaction, key(ANSWER, &name), value);
                text.push(&mut transaction, &format!("<{name}>"));
                array.push_back(&mut transaction, &*name);
                // The name of the previous client.
                let length = returned.len(&transaction);
                returned.remove_range(&mut transaction, 0, length);
                new.push(name);
            } else if is_edited && let Some(edit) = self.edits.remove(&name) {
                transaction.apply_update(edit)?;
            } else if asks && !has_content {
                let content = self.replica.content(&transaction);
                map.insert(&mut transaction, key(CONTENT, &name), content);
            }
        }
        Ok(new)
    }

    /// Makes the host's edit in a copy of the document, which never receives the client's.
    fn edit_apart(&self, name: &str) -> Result<Update> {
        let (copy, transaction) = (Doc::new(), self.replica.doc.transact());
        let content = transaction.encode_state_as_update_v2(&StateVector::default());
        copy.transact_mut().apply_update(Update::decode_v2(&content)?)?;
        edit(&copy, name, "host");
        let edits = copy.transact().encode_state_as_update_v2(&transaction.state_vector());
        Ok(Update::decode_v2(&edits)?)
    }
}

/// Runs the scenario.
pub(crate) async fn run(client: &Client) -> Result<Value> {
    let replica = Replica::new()?;
    let document = replica.attach(client).await?;
    document.synced().await?;
    let Replica { doc, text, map, large, returned, .. } = &replica;
    let name = doc.client_id().to_string();
    replica.awareness().set_local_state_raw(json!({ "name": name }).to_string());

    let entry = json!({ "nested": [1, 2.5, true, null, "naïve ☃"] });
    let value: Any = serde_json::from_value(entry)?;
    map.insert(&mut doc.transact_mut(), name.as_str(), value);
    let answered = |replica: &Replica| {
        let transaction = replica.doc.transact();
        let is_large = replica.large.len(&transaction) == LARGE;
        replica.answered(&transaction, &name).filter(|_| is_large)
    };
    let answer = replica.until(answered).await;

    let hosts = edited(&name, "host");
    let is_merged = |_: &Replica| text.get_string(&doc.transact()).contains(&hosts).then_some(());
    ensure!(is_merged(&replica).is_none(), "the host's edit came before the client's");
    edit(doc, &name, "client");
    replica.until(is_merged).await;
    let is_kept = text.get_string(&doc.transact()).contains(&edited(&name, "client"));

    {
        let mut transaction = doc.transact_mut();
        returned.push(&mut transaction, &"edcba9876543210\n".repeat(LARGE as usize / 16));
        map.insert(&mut transaction, key(ASK, &name), true);
    }
    let content = |_: &Replica| {
        let transaction = doc.transact();
        Some(map.get(&transaction, &key(CONTENT, &name))?.to_json(&transaction))
    };
    let content = replica.until(content).await;
    let is_seen = |replica: &Replica| {
        let states = replica.states();
        let mut seen = states.iter().filter_map(|state| state["seen"].as_array()).flatten();
        seen.any(|seen| *seen == *name).then_some(())
    };
    replica.until(is_seen).await;
    let result = {
        let transaction = doc.transact();
        json!({
            "answer": answer,
            "text": true,
            "array": true,
            "merged": is_kept,
            "large": large.len(&transaction),
            "returned": returned.len(&transaction),
            "equal": content == replica.content(&transaction),
            "present": true,
        })
    };
    document.stop().await?;
    Ok(result)
}
