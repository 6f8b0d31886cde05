//! A model of a Volt's end of `SyncDocument`, which misbehaves on request.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use tokio::sync::{Notify, broadcast};
use volt_api::{
    Code, Status,
    documents::yrs::{
        Doc, ReadTxn as _, StateVector, Transact as _, Update, updates::decoder::Decode as _,
        updates::encoder::Encode as _,
    },
    server::{Context, Requests, Responses},
    volt::{
        SyncApi, SyncDocumentRequest, SyncDocumentResponse, SyncDocumentStart, SyncDocumentUpdate,
        SyncState, sync_document_request::Payload,
    },
};

/// The behaviour of a call. By default it is correct.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    Well,
    /// Refuses the document.
    Refuse(Code),
    /// Refuses the first update.
    RefuseUpdates(Code),
    /// Refuses the updates that the Volt lacks.
    RefuseDone(Code),
    /// Sends these bytes as an update, in place of the document or after it.
    Sends(SyncState, Vec<u8>),
    /// Reads nothing after it has answered DONE, and does not end the call.
    Deaf,
    /// Never answers DONE.
    HoldDone,
    /// Answers DONE after a notification.
    DelayDone(Arc<Notify>),
    /// Ends the call instead of answering DONE.
    EndAtDone,
    /// Does not permit writing.
    ReadOnly,
    /// Omits every optional part of its answers.
    Sparse,
}

/// Documents by their ids.
#[derive(Clone, Default)]
pub(crate) struct Model(Arc<State>);

#[derive(Default)]
struct State {
    documents: Mutex<HashMap<String, Document>>,
    behaviours: Mutex<VecDeque<Behaviour>>,
    /// The first messages of all calls.
    starts: Mutex<Vec<SyncDocumentStart>>,
    /// The size of the largest piece.
    largest: Mutex<usize>,
}

/// The number of a call, and its update or awareness state.
type Message = (usize, SyncState, Vec<u8>);

#[derive(Clone)]
struct Document {
    doc: Doc,
    changes: broadcast::Sender<Message>,
}

impl Model {
    /// Sets the behaviour of the next calls.
    pub(crate) fn next(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.0.behaviours.lock().unwrap().extend(behaviours);
    }

    pub(crate) fn doc(&self, id: &str) -> Doc {
        self.document(id).doc
    }

    pub(crate) fn starts(&self) -> Vec<SyncDocumentStart> {
        self.0.starts.lock().unwrap().clone()
    }

    pub(crate) fn largest(&self) -> usize {
        *self.0.largest.lock().unwrap()
    }

    /// Receives the updates and awareness states of a document, with the numbers of their calls, from 1.
    pub(crate) fn messages(&self, id: &str) -> broadcast::Receiver<Message> {
        self.document(id).changes.subscribe()
    }

    fn document(&self, id: &str) -> Document {
        let mut documents = self.0.documents.lock().unwrap();
        let new = || Document { doc: Doc::new(), changes: broadcast::Sender::new(1024) };
        documents.entry(id.to_owned()).or_insert_with(new).clone()
    }

    async fn serve(
        &self,
        requests: &mut Requests<SyncDocumentRequest>,
        responses: &mut Responses<SyncDocumentResponse>,
    ) -> Result<(), Status> {
        let Some(SyncDocumentRequest { payload: Some(Payload::SyncStart(start)), .. }) =
            requests.message().await?
        else {
            return Err(Status::new(Code::InvalidArgument, "no start"));
        };
        let number = {
            let mut starts = self.0.starts.lock().unwrap();
            starts.push(start.clone());
            starts.len()
        };
        let behaviour = self.0.behaviours.lock().unwrap().pop_front().unwrap_or(Behaviour::Well);
        if let Behaviour::Refuse(code) = behaviour {
            return Err(Status::new(code, "refused"));
        }
        let document = self.document(&start.document_id);
        let (mut changes, mut first) = {
            let transaction = document.doc.transact_mut();
            let vector = StateVector::decode_v1(&start.state_vector).unwrap();
            let update = transaction.encode_state_as_update_v2(&vector);
            let vector = transaction.state_vector().encode_v1();
            let message = message(SyncState::Syncing, update).with_state_vector(vector);
            (document.changes.subscribe(), message)
        };
        first.is_read_only = matches!(behaviour, Behaviour::ReadOnly);
        match &behaviour {
            Behaviour::Sends(SyncState::Syncing, update) => {
                first.update = message(SyncState::Syncing, update.clone()).update;
            }
            Behaviour::Sparse => {
                first = SyncDocumentResponse::default().with_sync_state(SyncState::Syncing);
            }
            _ => {}
        }
        responses.send(first).await?;
        let (mut arriving, mut live) = (Vec::new(), false);
        loop {
            tokio::select! {
                request = requests.message() => {
                    let Some(request) = request? else { return Ok(()) };
                    let state = request.sync_state();
                    let Some(Payload::Update(piece)) = request.payload else { continue };
                    {
                        let mut largest = self.0.largest.lock().unwrap();
                        *largest = piece.chunk.len().max(*largest);
                    }
                    arriving.extend(piece.chunk);
                    if !piece.complete {
                        continue;
                    }
                    let update = std::mem::take(&mut arriving);
                    if let (SyncState::Update, Behaviour::RefuseUpdates(code)) = (state, &behaviour) {
                        return Err(Status::new(*code, "refused"));
                    }
                    if let (SyncState::Done, Behaviour::RefuseDone(code)) = (state, &behaviour) {
                        return Err(Status::new(*code, "refused"));
                    }
                    if state != SyncState::Awareness && !matches!(behaviour, Behaviour::ReadOnly) {
                        let update = Update::decode_v2(&update).unwrap();
                        document.doc.transact_mut().apply_update(update).unwrap();
                    }
                    if state == SyncState::Done {
                        match &behaviour {
                            Behaviour::HoldDone => continue,
                            Behaviour::DelayDone(notify) => notify.notified().await,
                            Behaviour::EndAtDone => return Ok(()),
                            _ => {}
                        }
                        let done = SyncDocumentResponse::default();
                        responses.send(done.with_sync_state(SyncState::Done)).await?;
                        live = true;
                        if let Behaviour::Sends(SyncState::Update, update) = &behaviour {
                            responses.send(message(SyncState::Update, update.clone())).await?;
                        }
                        if matches!(behaviour, Behaviour::Deaf) {
                            std::future::pending::<()>().await;
                        }
                    }
                    let state = if state == SyncState::Done { SyncState::Update } else { state };
                    // There may be no receiver.
                    let _ = document.changes.send((number, state, update));
                }
                change = changes.recv(), if live => {
                    let (from, state, update) = change.unwrap();
                    if from != number {
                        responses.send(message(state, update)).await?;
                    }
                }
            }
        }
    }
}

fn message(state: SyncState, update: Vec<u8>) -> SyncDocumentResponse {
    let update = SyncDocumentUpdate::default().with_chunk(update).with_complete(true);
    SyncDocumentResponse::default().with_update(update).with_sync_state(state)
}

impl SyncApi for Model {
    async fn sync_document(
        &self,
        _: Context,
        mut requests: Requests<SyncDocumentRequest>,
        mut responses: Responses<SyncDocumentResponse>,
    ) -> Result<(), Status> {
        self.serve(&mut requests, &mut responses).await
    }
}
