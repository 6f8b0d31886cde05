//! Honest and hostile callers of `SyncDocument` on one document.
//!
//! The document survives everything that hostile callers send, and others can read it. Unless a hostile edit was accepted, the
//! honest callers' copies are equal at the end. A hostile edit can use the name of an honest caller;
//! the copies may then differ.

use arbitrary::Arbitrary;
use volt_api::volt::{
    SyncDocumentRequest, SyncDocumentResponse, SyncDocumentStart, SyncDocumentUpdate, SyncState,
};
use volt_embedded::__core::Documents;
use yrs::{
    Array as _, Doc, GetString as _, Map as _, MapPrelim, ReadTxn as _, StateVector, Text as _,
    Transact as _, Update,
    updates::{decoder::Decode as _, encoder::Encode as _},
};

use crate::permit_caught_panics;

/// The number of honest callers.
const EDITORS: usize = 3;
const CHUNK: usize = 1 << 20;

/// One event.
#[derive(Arbitrary, Debug)]
pub enum Event {
    /// An honest caller edits its copy, and sends the edit.
    Edit { editor: u8, kind: u8, at: u8 },
    /// An honest caller receives some messages.
    Read { editor: u8, count: u8 },
    /// An honest caller restarts its call.
    Reconnect { editor: u8 },
    /// A hostile caller sends anything, after it has started.
    Hostile { state: u8, chunk: Vec<u8>, complete: bool },
    /// A hostile caller sends a copy of the document with some bytes changed.
    Damaged { damage: Vec<(u16, u8)> },
    /// A hostile caller starts with any state.
    Start { state_vector: Vec<u8> },
}

struct Editor {
    doc: Doc,
    call: u64,
    /// The state that was sent.
    sent: StateVector,
    open: bool,
    chunks: Vec<u8>,
}

/// Runs the events.
pub fn run(events: Vec<Event>) {
    permit_caught_panics();
    let mut documents = Documents::default();
    let mut editors: Vec<_> = (0..EDITORS).map(|_| Editor::new(&mut documents)).collect();
    let mut before = documents.whole().expect("the document can be encoded");
    let mut is_foreign = false;
    for event in events {
        if is_foreign
            && matches!(event, Event::Edit { .. } | Event::Read { .. } | Event::Reconnect { .. })
        {
            continue;
        }
        let is_hostile = matches!(event, Event::Hostile { .. } | Event::Damaged { .. });
        match event {
            Event::Edit { editor, kind, at } => {
                editors[usize::from(editor) % EDITORS].edit(&mut documents, kind, at);
            }
            Event::Read { editor, count } => {
                editors[usize::from(editor) % EDITORS].read(&mut documents, count.into());
            }
            Event::Reconnect { editor } => {
                editors[usize::from(editor) % EDITORS].reconnect(&mut documents);
            }
            Event::Hostile { state, chunk, complete } => {
                let call = hostile(&mut documents, Vec::new());
                let states = [SyncState::Done, SyncState::Update, SyncState::Awareness];
                let state = states[usize::from(state) % states.len()];
                if state != SyncState::Done {
                    let _ = documents.receive(call, piece(SyncState::Done, Update::EMPTY_V2, true));
                }
                let _ = documents.receive(call, piece(state, &chunk, complete));
                while documents.next(call).is_some() {}
                documents.end(call);
            }
            Event::Damaged { damage } => {
                let mut update = documents.whole().expect("the document can be encoded");
                for (at, byte) in damage {
                    let length = update.len();
                    update[usize::from(at) % length] = byte;
                }
                let call = hostile(&mut documents, Vec::new());
                let _ = documents.receive(call, piece(SyncState::Done, &update, true));
                documents.end(call);
            }
            Event::Start { state_vector } => {
                let call = hostile(&mut documents, state_vector);
                while documents.next(call).is_some() {}
                documents.end(call);
            }
        }
        let after = documents.whole().expect("the document can be encoded");
        if is_hostile && after != before {
            is_foreign = true;
            check_readable(&after);
        }
        before = after;
    }
    if is_foreign {
        return;
    }
    // Without further edits, all copies become equal.
    for editor in &mut editors {
        editor.reconnect(&mut documents);
    }
    for editor in &mut editors {
        editor.read(&mut documents, usize::MAX);
    }
    let whole = documents.whole().expect("the document can be encoded");
    let copy = Doc::new();
    let update = Update::decode_v2(&whole).expect("what the Volt sends can be read");
    copy.transact_mut().apply_update(update).expect("what the Volt sends can be applied");
    let state = copy.transact().state_vector();
    for editor in &editors {
        assert_eq!(editor.doc.transact().state_vector(), state);
        assert_eq!(editor.text(), text(&copy));
    }
}

/// Checks that another Volt accepts the whole document.
fn check_readable(whole: &[u8]) {
    let mut copy = Documents::default();
    let call = hostile(&mut copy, Vec::new());
    copy.receive(call, piece(SyncState::Done, whole, true)).expect("the document can be read");
    copy.whole().expect("the copy can be encoded");
}

/// Starts a hostile call.
fn hostile(documents: &mut Documents, state_vector: Vec<u8>) -> u64 {
    let call = documents.begin();
    let start = SyncDocumentStart::default().with_state_vector(state_vector);
    let _ = documents.receive(call, SyncDocumentRequest::default().with_sync_start(start));
    call
}

fn piece(state: SyncState, chunk: &[u8], complete: bool) -> SyncDocumentRequest {
    let update = SyncDocumentUpdate::default().with_chunk(chunk).with_complete(complete);
    SyncDocumentRequest::default().with_update(update).with_sync_state(state)
}

fn text(doc: &Doc) -> String {
    let text = doc.get_or_insert_text("text");
    text.get_string(&doc.transact())
}

impl Editor {
    fn new(documents: &mut Documents) -> Self {
        let doc = Doc::new();
        let (sent, chunks) = (StateVector::default(), Vec::new());
        let mut editor = Self { doc, call: 0, sent, open: false, chunks };
        editor.reconnect(documents);
        editor
    }

    fn text(&self) -> String {
        text(&self.doc)
    }

    /// Begins a call, and exchanges the updates that each side lacks.
    fn reconnect(&mut self, documents: &mut Documents) {
        documents.end(self.call);
        self.call = documents.begin();
        (self.open, self.chunks) = (false, Vec::new());
        let state = self.doc.transact().state_vector().encode_v1();
        let start = SyncDocumentStart::default().with_state_vector(state);
        let request = SyncDocumentRequest::default().with_sync_start(start);
        documents.receive(self.call, request).expect("an honest call starts");
        while !self.open {
            let message = documents.next(self.call).expect("the Volt answers");
            self.take(documents, message);
        }
    }

    fn take(&mut self, documents: &mut Documents, message: SyncDocumentResponse) {
        let state = message.sync_state();
        let Some(update) = message.update else {
            assert_eq!(state, SyncState::Done);
            self.open = true;
            return;
        };
        assert!(update.chunk.len() <= CHUNK);
        if state == SyncState::Awareness {
            return;
        }
        self.chunks.extend(update.chunk);
        if !update.complete {
            return;
        }
        let update = std::mem::take(&mut self.chunks);
        let update = Update::decode_v2(&update).expect("what the Volt sends can be read");
        self.doc.transact_mut().apply_update(update).expect("what the Volt sends can be applied");
        if state == SyncState::Syncing {
            let theirs = StateVector::decode_v1(&message.state_vector).expect("a state vector");
            let missing = self.doc.transact().encode_state_as_update_v2(&theirs);
            self.sent = self.doc.transact().state_vector();
            let done = piece(SyncState::Done, &missing, true);
            documents.receive(self.call, done).expect("an honest update is applied");
        }
    }

    fn read(&mut self, documents: &mut Documents, count: usize) {
        for _ in 0..count {
            let Some(message) = documents.next(self.call) else { break };
            self.take(documents, message);
        }
    }

    fn edit(&mut self, documents: &mut Documents, kind: u8, at: u8) {
        let (text, map) = (self.doc.get_or_insert_text("text"), self.doc.get_or_insert_map("map"));
        let array = self.doc.get_or_insert_array("array");
        {
            let mut txn = self.doc.transact_mut();
            let length = text.len(&txn);
            let place = u32::from(at) % (length + 1);
            match kind % 6 {
                0 | 1 => text.insert(&mut txn, place, "x1"),
                2 if length > 0 => text.remove_range(&mut txn, 0, 1),
                3 => drop(map.insert(&mut txn, format!("{}", at % 4), f64::from(at))),
                4 => drop(array.push_back(&mut txn, MapPrelim::from([("n", f64::from(at))]))),
                _ => drop(map.insert(&mut txn, "nested", MapPrelim::default())),
            }
        }
        let update = self.doc.transact().encode_state_as_update_v2(&self.sent);
        self.sent = self.doc.transact().state_vector();
        let update = piece(SyncState::Update, &update, true);
        documents.receive(self.call, update).expect("an honest update is applied");
    }
}
