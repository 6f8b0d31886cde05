//! The awareness of attached documents.

use std::sync::{Arc, Mutex};

use volt_api::{
    documents::{
        SyncedDocument,
        yrs::{
            ClientID, Doc,
            sync::{Awareness, AwarenessUpdate},
            updates::decoder::Decode as _,
        },
    },
    volt::SyncState,
};
use volt_test_support::soon;

use crate::{
    model::Model,
    support::{attaching, until, write},
};

struct Person {
    awareness: Arc<Mutex<Awareness>>,
    document: SyncedDocument,
}

impl Person {
    async fn new(model: &Model, id: u64, state: &str) -> Self {
        let doc = Doc::with_client_id(id);
        let awareness = Arc::new(Mutex::new(Awareness::new(doc.clone())));
        awareness.lock().unwrap().set_local_state_raw(state);
        let attaching = attaching(model, &doc).awareness(Arc::clone(&awareness));
        let document = attaching.await.unwrap();
        soon(document.synced()).await.unwrap();
        Self { awareness, document }
    }

    /// The state of a client, as this one sees it.
    fn sees(&self, id: u64) -> Option<String> {
        let awareness = self.awareness.lock().unwrap();
        let mut states = awareness.iter();
        let (_, state) = states.find(|(client, _)| *client == ClientID::new(id))?;
        state.data.map(|data| data.to_string())
    }
}

#[tokio::test]
async fn states_reach_the_others_until_their_client_leaves() {
    let model = Model::default();
    let one = Person::new(&model, 1, "1").await;
    let two = Person::new(&model, 2, "2").await;
    until(|| one.sees(2).as_deref() == Some("2")).await;
    one.awareness.lock().unwrap().set_local_state_raw("changed");
    until(|| two.sees(1).as_deref() == Some("changed")).await;
    soon(one.document.stop()).await.unwrap();
    until(|| two.sees(1).is_none()).await;
    let own = one.awareness.lock().unwrap().local_state_raw();
    assert_eq!(own.as_deref(), Some("changed"), "the own state stays");
    assert_eq!(two.sees(2).as_deref(), Some("2"));
}

#[tokio::test]
async fn a_removed_state_is_removed_for_the_others() {
    let model = Model::default();
    let one = Person::new(&model, 1, "1").await;
    let two = Person::new(&model, 2, "2").await;
    until(|| one.sees(2).is_some()).await;
    two.awareness.lock().unwrap().clean_local_state();
    until(|| one.sees(2).is_none()).await;
}

#[tokio::test]
async fn states_of_others_are_not_sent_back() {
    let model = Model::default();
    let one = Person::new(&model, 1, "1").await;
    let two = Person::new(&model, 2, "2").await;
    let mut messages = model.messages("todo");
    one.awareness.lock().unwrap().set_local_state_raw("changed");
    until(|| two.sees(1).as_deref() == Some("changed")).await;
    // States leave before edits, so an echo would come before this.
    write(two.document.doc(), "edit");
    loop {
        let (call, state, update) = soon(messages.recv()).await.unwrap();
        if state == SyncState::Awareness {
            let update = AwarenessUpdate::decode_v1(&update).unwrap();
            let clients: Vec<_> = update.clients.into_keys().collect();
            // The clients have the numbers of their calls.
            assert_eq!(clients, [ClientID::new(u64::try_from(call).unwrap())]);
        } else if call == 2 {
            break;
        }
    }
}
