//! The caller's messages in one call of `SyncDocument`, and the actions that they require.

use volt_api::{
    Status,
    volt::{
        SyncDocumentRequest, SyncDocumentStart, SyncDocumentUpdate, SyncState,
        sync_document_request::Payload,
    },
};

use super::{MAX_PRESENCE, MAX_UPDATE};
use crate::error::{invalid, precondition};

/// The action that a caller's message requires.
#[derive(Debug)]
pub(crate) enum Event {
    /// Open the document, and send what the caller lacks.
    Start(SyncDocumentStart),
    /// Apply the updates that the Volt lacks, if there are any, and acknowledge them.
    Done(Vec<u8>),
    /// Apply a change, and pass it on.
    Update(Vec<u8>),
    /// Pass on presence states.
    Presence(Vec<u8>),
}

/// The receiving half of a call.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    phase: Phase,
    update: Pieces,
    presence: Pieces,
    read_only: bool,
    discarded: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing has arrived.
    #[default]
    Start,
    /// The caller has not yet sent the updates that the Volt lacks.
    Syncing,
    /// Each side has received the other's updates.
    Open,
}

/// An update of which some pieces have arrived.
#[derive(Debug, Default)]
struct Pieces(Vec<u8>);

impl Incoming {
    /// From now on, the caller's changes are discarded.
    pub(crate) fn discard_changes(&mut self) {
        self.read_only = true;
    }

    /// Returns the number of changes that were discarded.
    pub(crate) fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Returns the size of the updates of which some pieces have arrived, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.update.0.len() + self.presence.0.len()
    }

    /// Handles the caller's next message. Returns `None` if it requires no action yet.
    ///
    /// # Errors
    ///
    /// Returns the status with which the call ends.
    pub(crate) fn receive(
        &mut self,
        request: SyncDocumentRequest,
    ) -> Result<Option<Event>, Status> {
        let state = request.sync_state();
        match (&self.phase, request.payload) {
            (Phase::Start, Some(Payload::SyncStart(start))) => {
                self.phase = Phase::Syncing;
                Ok(Some(Event::Start(start)))
            }
            (Phase::Start, _) => Err(invalid("the first message of SyncDocument is `sync_start`")),
            (Phase::Syncing, Some(Payload::Update(update))) if state == SyncState::Done => {
                let Some(update) = self.take_change(update)? else { return Ok(None) };
                self.phase = Phase::Open;
                Ok(Some(Event::Done(update)))
            }
            // The published providers send an update even if it is empty.
            (Phase::Syncing, None) if state == SyncState::Done => {
                self.phase = Phase::Open;
                Ok(Some(Event::Done(std::mem::take(&mut self.update.0))))
            }
            (Phase::Open, Some(Payload::Update(update))) if state == SyncState::Update => {
                let update = self.take_change(update)?;
                Ok(update.filter(|update| !update.is_empty()).map(Event::Update))
            }
            (Phase::Open, Some(Payload::Update(update))) if state == SyncState::Awareness => {
                let complete = self.presence.take(update, MAX_PRESENCE)?;
                Ok(complete.filter(|update| !update.is_empty()).map(Event::Presence))
            }
            _ => {
                tracing::debug!(?state, phase = ?self.phase, "a message out of order is ignored");
                Ok(None)
            }
        }
    }

    /// Adds a piece of a change. Returns the change when it is complete, or an empty one in place
    /// of one that is discarded.
    fn take_change(&mut self, mut piece: SyncDocumentUpdate) -> Result<Option<Vec<u8>>, Status> {
        if self.read_only {
            self.discarded += u64::from(piece.complete);
            piece.chunk.clear();
        }
        self.update.take(piece, MAX_UPDATE)
    }
}

impl Pieces {
    /// Adds a piece. Returns the whole change if this was the last piece.
    fn take(&mut self, piece: SyncDocumentUpdate, limit: usize) -> Result<Option<Vec<u8>>, Status> {
        if piece.chunk.len() > limit - self.0.len() {
            return Err(precondition(format!("an update has more than {limit} bytes")));
        }
        if self.0.is_empty() {
            self.0 = piece.chunk;
        } else {
            self.0.extend_from_slice(&piece.chunk);
        }
        Ok(piece.complete.then(|| std::mem::take(&mut self.0)))
    }
}
