//! A model of a Volt's end of `SyncDocument`.

use std::collections::BTreeMap;

use yrs::{Doc, ReadTxn as _, StateVector, Transact as _, Update, updates::decoder::Decode as _};

use super::{SyncDocumentRequest, SyncDocumentResponse, SyncDocumentUpdate, SyncState};
use crate::{documents::replica, volt::sync_document_request::Payload};

/// A Volt with one document.
pub(super) struct Volt {
    pub(super) doc: Doc,
    calls: BTreeMap<usize, Call>,
    /// The size of the pieces that it sends.
    chunk: usize,
    /// Set to send updates of others before DONE, in place of holding them back.
    eager: bool,
}

#[derive(Default)]
struct Call {
    arriving: Vec<u8>,
    /// The updates of others that wait for DONE. `None` after it.
    held: Option<Vec<Vec<u8>>>,
}

impl Volt {
    pub(super) fn new(chunk: usize, eager: bool) -> Self {
        Self { doc: Doc::with_client_id(1), calls: BTreeMap::new(), chunk, eager }
    }

    /// Loses all calls, but not the document.
    pub(super) fn restart(&mut self) {
        self.calls.clear();
    }

    pub(super) fn close(&mut self, call: usize) {
        self.calls.remove(&call);
    }

    /// Handles a message. Returns the messages to send, and to which calls.
    pub(super) fn receive(
        &mut self,
        call: usize,
        message: SyncDocumentRequest,
    ) -> Vec<(usize, SyncDocumentResponse)> {
        let state = message.sync_state();
        match message.payload {
            Some(Payload::SyncStart(start)) => {
                let vector = StateVector::decode_v1(&start.state_vector).unwrap();
                let transaction = self.doc.transact();
                let update = transaction.encode_state_as_update_v2(&vector);
                let own = replica::vector(&transaction);
                self.calls.insert(call, Call { held: Some(Vec::new()), ..Call::default() });
                let mut messages = self.cut(call, SyncState::Syncing, &update);
                messages.last_mut().unwrap().1.state_vector = own;
                messages
            }
            Some(Payload::Update(piece)) => {
                let Some(open) = self.calls.get_mut(&call) else { return Vec::new() };
                open.arriving.extend_from_slice(&piece.chunk);
                if !piece.complete {
                    return Vec::new();
                }
                let update = std::mem::take(&mut open.arriving);
                self.update(call, state, &update)
            }
            _ => Vec::new(),
        }
    }

    fn update(
        &mut self,
        call: usize,
        state: SyncState,
        update: &[u8],
    ) -> Vec<(usize, SyncDocumentResponse)> {
        let decoded = Update::decode_v2(update).unwrap();
        self.doc.transact_mut().apply_update(decoded).unwrap();
        let mut messages = Vec::new();
        if state == SyncState::Done {
            let done = SyncDocumentResponse::default().with_sync_state(SyncState::Done);
            messages.push((call, done));
            let held = self.calls.get_mut(&call).and_then(|open| open.held.take());
            for update in held.unwrap_or_default() {
                messages.extend(self.cut(call, SyncState::Update, &update));
            }
        }
        if update != Update::EMPTY_V2 {
            let others: Vec<_> =
                self.calls.keys().copied().filter(|other| *other != call).collect();
            for other in others {
                match &mut self.calls.get_mut(&other).unwrap().held {
                    Some(held) if !self.eager => held.push(update.to_vec()),
                    _ => messages.extend(self.cut(other, SyncState::Update, update)),
                }
            }
        }
        messages
    }

    fn cut(
        &self,
        call: usize,
        state: SyncState,
        update: &[u8],
    ) -> Vec<(usize, SyncDocumentResponse)> {
        let count = update.len().div_ceil(self.chunk);
        let pieces = update.chunks(self.chunk).enumerate().map(|(place, piece)| {
            let piece = SyncDocumentUpdate::default()
                .with_chunk(piece.to_vec())
                .with_complete(place + 1 == count);
            let message = SyncDocumentResponse::default().with_update(piece);
            (call, message.with_sync_state(state))
        });
        pieces.collect()
    }
}
