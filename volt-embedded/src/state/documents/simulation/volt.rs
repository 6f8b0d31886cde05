//! The Volt: its documents and their file, without a network and without a store.
//!
//! The steps of a call that other calls can come between are separate here, as they are for `SyncDocument`.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use volt_api::{
    Code, Status,
    volt::{SyncDocumentRequest, SyncDocumentResponse, SyncDocumentStart},
};
use yrs::{Doc, StateVector, Transact as _, Update, updates::decoder::Decode as _};

use super::super::{Author, Documents, OpenDocument, Seat, Settings};
use crate::{
    archive::Archive,
    sync::{
        document::{Document, decode_state},
        incoming::{Event, Incoming},
        outbox::Next,
        path::Step,
    },
};

const DATABASE: &str = "notes";
const DOCUMENT: &str = "todo";
const OWNER: &str = "owner";

/// A Volt with one document.
pub(super) struct Volt {
    file: PathBuf,
    _folder: TempDir,
    documents: Documents,
    settings: Settings,
    calls: BTreeMap<usize, Call>,
    /// Set for each provider that may write.
    pub(super) may_write: Vec<bool>,
}

/// A message to a provider, or the end of its call.
#[derive(Debug)]
pub(super) enum Sent {
    Message(SyncDocumentResponse),
    End(Result<(), Status>),
}

struct Call {
    provider: usize,
    incoming: Incoming,
    /// Set when the call has started.
    seat: Option<Seat>,
    read_only: bool,
    /// The caller's updates are kept, and the caller is not told yet.
    unacknowledged: bool,
    /// The state whose difference the call needs.
    behind: Option<Arc<StateVector>>,
}

impl Volt {
    pub(super) fn new(merge_after: Option<usize>, providers: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("notes.db");
        crate::sql::create(&file).unwrap();
        Self {
            file,
            _folder: folder,
            documents: Documents::default(),
            settings: Settings { strict: false, merge_after },
            calls: BTreeMap::new(),
            may_write: vec![true; providers],
        }
    }

    /// Loses everything that is not on file.
    pub(super) fn restart(&mut self) {
        self.calls.clear();
        assert_eq!(self.documents.in_memory(), 0);
        self.documents = Documents::default();
    }

    /// Returns the document as a restarted Volt would load it.
    pub(super) fn stored(&self) -> Doc {
        let mut document = Document::new();
        let replayed = Archive::open(&self.file, false).unwrap().replay(DOCUMENT, |update| {
            document.apply(update).unwrap();
            Ok(())
        });
        replayed.unwrap();
        let doc = Doc::new();
        let whole = Update::decode_v2(&document.whole().unwrap()).unwrap();
        doc.transact_mut().apply_update(whole).unwrap();
        doc
    }

    /// Returns the document as JSON.
    pub(super) fn json(&self) -> Value {
        self.document(DOCUMENT).version().unwrap().json.clone()
    }

    /// Writes an entry of the root `volt`, which no provider changes.
    pub(super) fn write(&self, number: i64) {
        let path = ["volt", &number.to_string()].map(|name| Step::Name(name.to_owned()));
        self.document(DOCUMENT).write_at(author(None), &path, &json!(number)).unwrap();
    }

    pub(super) fn open(&mut self, id: usize, provider: usize) {
        let call = Call {
            provider,
            incoming: Incoming::default(),
            seat: None,
            read_only: false,
            unacknowledged: false,
            behind: None,
        };
        self.calls.insert(id, call);
    }

    /// Removes a call. The last one merges the updates if `tidy` is set.
    pub(super) fn close(&mut self, id: usize, tidy: bool) {
        let Some(seat) = self.calls.remove(&id).and_then(|call| call.seat) else { return };
        let document = Arc::clone(seat.document());
        drop(seat);
        if tidy {
            document.tidy();
        }
    }

    /// Handles a message of a call. Returns the status with which the call ends.
    pub(super) fn receive(
        &mut self,
        id: usize,
        request: SyncDocumentRequest,
    ) -> Result<(), Status> {
        self.work(id);
        let call = self.calls.get_mut(&id).unwrap();
        let event = call.incoming.receive(request)?;
        if let Some(Event::Start(start)) = event {
            return self.start(id, &start);
        }
        let seat = call.seat.as_ref().unwrap();
        seat.receiving(call.incoming.held())?;
        let Some(event) = event else { return Ok(()) };
        call.demand(&self.may_write)?;
        match event {
            Event::Done(update) => {
                if !update.is_empty() {
                    seat.document().apply(author(Some(seat.call())), &update)?;
                }
                call.unacknowledged = true;
            }
            Event::Update(update) => {
                seat.document().apply(author(Some(seat.call())), &update)?;
            }
            Event::Presence(update) => seat.present(&update)?,
            Event::Start(_) => {}
        }
        Ok(())
    }

    fn start(&mut self, id: usize, start: &SyncDocumentStart) -> Result<(), Status> {
        let state = decode_state(&start.state_vector)?;
        let writable = self.may_write[self.calls[&id].provider];
        let read_only = start.read_only || (!writable && start.read_only_fallback);
        if !read_only && !writable {
            return Err(denied());
        }
        let document = self.document(&start.document_id);
        let seat = self.documents.join(document, OWNER, &state, read_only)?;
        let call = self.calls.get_mut(&id).unwrap();
        if read_only {
            call.incoming.discard_changes();
        }
        (call.seat, call.read_only) = (Some(seat), read_only);
        Ok(())
    }

    fn document(&self, name: &str) -> Arc<OpenDocument> {
        let open = || Archive::open(&self.file, false);
        let archive = self.documents.archive(DATABASE, OWNER, open).unwrap();
        self.documents.document(&archive, DATABASE, name, self.settings, OWNER)
    }

    /// The caller will send no more.
    pub(super) fn half_closed(&mut self, id: usize) {
        self.work(id);
        self.calls[&id].seat.as_ref().unwrap().finish();
    }

    /// Does the rest of what a call has begun.
    pub(super) fn work(&mut self, id: usize) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(seat) = &call.seat else { return };
        if std::mem::take(&mut call.unacknowledged) {
            seat.acknowledge();
        }
        if let Some(state) = call.behind.take() {
            let missing = seat.document().with(|document| Ok(document.missing(&state)?));
            seat.catch_up(missing.unwrap());
        }
    }

    /// Returns whether a call has something to [do](Self::work).
    pub(super) fn is_busy(&self, id: usize) -> bool {
        self.calls.get(&id).is_some_and(|call| call.unacknowledged || call.behind.is_some())
    }

    /// Returns what a call sends next, if there is something.
    pub(super) fn next(&mut self, id: usize) -> Option<Sent> {
        let call = self.calls.get_mut(&id)?;
        if call.behind.is_some() {
            return None;
        }
        match call.seat.as_ref()?.next().now_or_never()? {
            Next::Message(message) => Some(match call.demand(&self.may_write) {
                Ok(()) => Sent::Message(message),
                Err(status) => Sent::End(Err(status)),
            }),
            Next::Diff(state) => {
                call.behind = Some(state);
                None
            }
            Next::End(status) => Some(Sent::End(Err(status))),
            Next::Finished => Some(Sent::End(Ok(()))),
        }
    }
}

impl Call {
    /// Fails if the right with which the call was opened was revoked.
    fn demand(&self, may_write: &[bool]) -> Result<(), Status> {
        if self.read_only || may_write[self.provider] { Ok(()) } else { Err(denied()) }
    }
}

fn author(call: Option<u64>) -> Author<'static> {
    Author { identity: OWNER, call }
}

fn denied() -> Status {
    Status::new(Code::PermissionDenied, "the provider may not write")
}
