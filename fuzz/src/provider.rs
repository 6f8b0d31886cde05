//! A Volt, which the input controls, against the exchange of a document.
//!
//! The target checks that every message is one that the phase allows, in pieces of the right size, that every
//! edit is noticed regardless of the received messages, and that the acknowledged edits never exceed those
//! made.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use arbitrary::Arbitrary;
use volt_api::{
    documents::{
        awareness::{Peers, own_state},
        exchange::{Action, CHUNK, Exchange, Phase, Settings},
        replica::{self, Replica},
        yrs::{
            Array as _, ArrayRef, Doc, ReadTxn as _, StateVector, Transact as _, sync::Awareness,
        },
    },
    volt::{
        SyncDocumentRequest, SyncDocumentResponse, SyncDocumentUpdate, SyncState,
        sync_document_request::Payload,
    },
};

use crate::permit_caught_panics;

/// The largest update that is accepted.
const MAX_UPDATE: usize = 4096;

/// One event.
#[derive(Arbitrary, Debug)]
pub enum Event {
    Open,
    Message {
        state: u8,
        vector: Option<Vec<u8>>,
        update: Update,
        complete: bool,
        read_only: bool,
    },
    /// The pending actions are executed.
    Act,
    Send {
        at_most: u8,
    },
    Edit(u8),
    /// The Volt's own document is edited.
    EditVolt(u8),
    OwnState(String),
    Pass {
        milliseconds: u16,
    },
    Hurry,
    Close {
        clean: bool,
    },
    Stop,
}

/// The update in a message.
#[derive(Arbitrary, Debug)]
pub enum Update {
    None,
    Raw(Vec<u8>),
    /// The Volt's own document, with one byte changed.
    Damaged {
        at: u16,
        by: u8,
    },
    Whole,
}

/// The client and the Volt.
struct World {
    now: Instant,
    exchange: Arc<Mutex<Exchange>>,
    replica: Replica,
    list: ArrayRef,
    awareness: Awareness,
    peers: Peers,
    volt: Doc,
    /// The number of items that were added here.
    edits: u32,
    /// The states of the messages sent in this call.
    sent: Vec<SyncState>,
}

/// Runs one input.
pub fn run(events: Vec<Event>) {
    permit_caught_panics();
    let mut world = World::new();
    for event in events {
        world.handle(event);
    }
    world.check();
}

impl World {
    fn new() -> Self {
        let doc = Doc::with_client_id(1);
        let settings = Settings {
            database: "@notes".to_owned(),
            document: "todo".to_owned(),
            read_only: false,
            read_only_fallback: true,
            batch: Duration::from_millis(50),
            max_update: MAX_UPDATE,
            chunk: 64,
        };
        let now = Instant::now();
        let exchange = Arc::new(Mutex::new(Exchange::new(settings)));
        let own = Arc::clone(&exchange);
        let list = doc.get_or_insert_array("own");
        let replica = Replica::observe(&doc, &mut doc.transact_mut(), move |update| {
            own.lock().expect("no panic holds it").changed(now, update);
        });
        let peers = Peers::new(replica.origin());
        let awareness = Awareness::new(doc);
        let volt = Doc::with_client_id(2);
        Self { now, exchange, replica, list, awareness, peers, volt, edits: 0, sent: Vec::new() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Exchange) -> T) -> T {
        work(&mut self.exchange.lock().expect("no panic holds it"))
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Open => {
                let vector = replica::vector(&self.replica.doc().transact());
                self.with(|exchange| exchange.opened(self.now, vector));
                self.sent.clear();
            }
            Event::Message { state, vector, update, complete, read_only } => {
                let message = SyncDocumentResponse {
                    state_vector: vector.unwrap_or_default(),
                    update: self.update(update).map(|update| {
                        SyncDocumentUpdate::default().with_chunk(update).with_complete(complete)
                    }),
                    sync_state: i32::from(state % 6),
                    is_read_only: read_only,
                    ..SyncDocumentResponse::default()
                };
                if self.with(|exchange| exchange.receive(self.now, message)).is_err() {
                    self.close(false);
                }
            }
            Event::Act => self.act(),
            Event::Send { at_most } => {
                for _ in 0..at_most {
                    self.send();
                }
            }
            Event::Edit(value) => {
                self.list.push_back(&mut self.replica.doc().transact_mut(), i64::from(value));
                self.edits += 1;
            }
            Event::EditVolt(value) => {
                let list = self.volt.get_or_insert_array("volt");
                list.push_back(&mut self.volt.transact_mut(), i64::from(value));
            }
            Event::OwnState(state) => {
                self.awareness.set_local_state_raw(state);
                let state = own_state(&self.awareness).expect("there is one");
                self.with(|exchange| exchange.own_state(state));
            }
            Event::Pass { milliseconds } => {
                self.now += Duration::from_millis(milliseconds.into());
                if self.with(|exchange| exchange.expired(self.now)).is_err() {
                    self.close(false);
                }
                self.peers.forget_silent(self.now, &mut self.awareness);
            }
            Event::Hurry => self.with(Exchange::hurry),
            Event::Close { clean } => self.close(clean),
            Event::Stop => self.with(|exchange| exchange.stop(None)),
        }
    }

    fn update(&self, update: Update) -> Option<Vec<u8>> {
        let whole = || self.volt.transact().encode_state_as_update_v2(&StateVector::default());
        match update {
            Update::None => None,
            Update::Raw(bytes) => Some(bytes),
            Update::Damaged { at, by } => {
                let mut update = whole();
                let at = usize::from(at) % update.len();
                update[at] ^= by;
                Some(update)
            }
            Update::Whole => Some(whole()),
        }
    }

    fn close(&mut self, clean: bool) {
        self.with(|exchange| exchange.closed(clean));
        self.peers.forget_all(&mut self.awareness);
        self.sent.clear();
    }

    fn act(&mut self) {
        while let Some(action) = self.with(Exchange::next_action) {
            let done = match action {
                Action::Apply(update) => replica::decode(&update).and_then(|update| {
                    let doc = self.replica.doc();
                    let transaction = doc.transact_mut_with(self.replica.origin());
                    self.replica.apply(transaction, update)
                }),
                Action::Answer(vector) => {
                    let transaction = self.replica.doc().transact();
                    replica::beyond(&transaction, &vector)
                        .map(|update| self.with(|exchange| exchange.answer(self.now, update)))
                }
                Action::Awareness(update) => {
                    self.peers.receive(self.now, &update, &mut self.awareness);
                    Ok(())
                }
            };
            if done.is_err() {
                self.close(false);
            }
        }
    }

    fn send(&mut self) {
        let (phase, message) =
            self.with(|exchange| (exchange.phase(), exchange.next_message(self.now)));
        match message {
            Ok(Some(message)) => self.check_message(phase, &message),
            Ok(None) => {}
            Err(_) => self.close(false),
        }
    }

    fn check_message(&mut self, phase: Phase, message: &SyncDocumentRequest) {
        let state = message.sync_state();
        let fits = match (&message.payload, state) {
            (Some(Payload::SyncStart(_)), SyncState::Syncing) => self.sent.is_empty(),
            (Some(Payload::Update(piece)), SyncState::Done) => {
                piece.chunk.len() <= CHUNK && phase == Phase::Sending
            }
            (Some(Payload::Update(_)), SyncState::Update | SyncState::Awareness) => {
                phase == Phase::Live
            }
            _ => false,
        };
        assert!(fits, "{phase:?} {message:?}");
        self.sent.push(state);
    }

    fn check(&self) {
        let (acknowledged, edits) =
            self.with(|exchange| (exchange.acknowledged(), exchange.edits()));
        assert!(acknowledged.unwrap_or(0) <= edits);
        assert!(edits >= u64::from(self.edits), "an edit was not noticed");
    }
}
