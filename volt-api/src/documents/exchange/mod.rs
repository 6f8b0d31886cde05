//! The exchange of one document with a Volt: the state machine.
//!
//! It does no I/O and does not know the document. `run.rs` and `call.rs` move messages and carry out the
//! [`Action`]s; the tests do the same with simulated time. The machine outlives calls: each begins with
//! [`opened`](Exchange::opened) and ends with [`closed`](Exchange::closed).
//!
//! ```text
//! Closed ─opened→ Receiving ─complete→ Answering ─answer→ Sending ─DONE→ Live
//! ```
//!
//! The document itself keeps all edits, so nothing is kept for a call that has not begun. As soon as the
//! answer (the updates that the Volt lacks) is computed, local updates are kept in the outbox, and they are
//! sent once the Volt has acknowledged the answer. Every edit is in one or the other.

mod chunks;
mod current;
mod outbox;

use std::time::{Duration, Instant};

use volt_runtime::{Error, ErrorKind, Result};
use yrs::Update;

pub use self::{
    chunks::CHUNK,
    current::{Action, Phase},
};
use self::{chunks::Chunks, current::Current};
use crate::volt::{
    SyncDocumentRequest, SyncDocumentResponse, SyncDocumentStart, SyncDocumentUpdate, SyncState,
};

/// The longest wait for the answer to a step.
const PATIENCE: Duration = Duration::from_secs(30);
/// The slowest connection for which the timeout allows, in bytes per second.
const SLOWEST: u32 = 64 << 10;
/// The maximum size of the states of all clients present, in bytes.
const PRESENCE: usize = 8 << 20;

/// The settings of an exchange.
#[derive(Clone, Debug)]
pub struct Settings {
    pub database: String,
    pub document: String,
    pub read_only: bool,
    pub read_only_fallback: bool,
    /// The time for which local updates are collected before they are sent.
    pub batch: Duration,
    /// The largest update that is accepted, in bytes.
    pub max_update: usize,
    /// The size of the pieces in which updates are sent, in bytes.
    pub chunk: usize,
}

/// When the updates in the outbox are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// After the delay in the settings.
    Batched,
    /// At once. Later updates wait for the delay again.
    Urgent,
    /// Immediately, because the call is ending.
    Stopping,
}

/// The state machine.
#[derive(Debug)]
pub struct Exchange {
    settings: Settings,
    /// The state of the call. Each call begins with a new state.
    call: Current,
    /// Set by the settings, or by the Volt during this call or the one before.
    read_only: bool,
    pace: Pace,
    /// The number of local updates so far, and how many of them were sent.
    edits: u64,
    sent: u64,
    /// The number of local updates that the Volt has. `None` until it has acknowledged the document.
    acknowledged: Option<u64>,
}

impl Exchange {
    /// Creates the machine, without a call.
    pub fn new(settings: Settings) -> Self {
        Self {
            read_only: settings.read_only,
            settings,
            call: Current::default(),
            pace: Pace::Batched,
            edits: 0,
            sent: 0,
            acknowledged: None,
        }
    }

    /// Returns the phase of the call.
    pub fn phase(&self) -> Phase {
        self.call.phase
    }

    /// Returns whether the Volt has answered in this call.
    pub fn is_answered(&self) -> bool {
        self.call.heard
    }

    /// Returns whether local updates are not sent.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Returns the number of local updates so far.
    pub fn edits(&self) -> u64 {
        self.edits
    }

    /// Returns how many local updates the Volt is known to have, or `None` before it has acknowledged the
    /// document.
    pub fn acknowledged(&self) -> Option<u64> {
        self.acknowledged
    }

    /// Sets the number of local updates, as another exchange of the same document counts them.
    pub fn count(&mut self, edits: u64) {
        self.edits = edits;
    }

    /// Called when a call was opened. `vector` is the document's state vector.
    pub fn opened(&mut self, now: Instant, vector: Vec<u8>) {
        self.read_only = self.settings.read_only;
        let start = SyncDocumentStart::default()
            .with_database_id(&self.settings.database)
            .with_document_id(&self.settings.document)
            .with_state_vector(vector)
            .with_read_only(self.settings.read_only)
            .with_read_only_fallback(self.settings.read_only_fallback);
        let start = SyncDocumentRequest::default().with_sync_start(start);
        self.call = Current {
            phase: Phase::Receiving,
            start: Some(start.with_sync_state(SyncState::Syncing)),
            deadline: now.checked_add(PATIENCE),
            ..Current::default()
        };
    }

    /// The call has ended. `clean` is set if the Volt ended the call after the half-close: it has
    /// then processed every message.
    pub fn closed(&mut self, clean: bool) {
        if clean && self.pace == Pace::Stopping {
            self.acknowledge(Some(self.sent));
        }
        self.call = Current::default();
    }

    /// Called after the document was changed here. Called while the document is locked, as
    /// [`answer`](Self::answer) is, so that each update is either in the answer or comes after it. An
    /// empty update stands for one that cannot be written.
    pub fn changed(&mut self, now: Instant, update: Vec<u8>) {
        self.edits += 1;
        if matches!(self.call.phase, Phase::Sending | Phase::Live) && !self.read_only {
            self.call.outbox.push(now, update, self.settings.chunk);
        }
    }

    /// The client's own awareness state, encoded. It replaces one that is not sent yet.
    pub fn own_state(&mut self, state: Vec<u8>) {
        if self.call.phase == Phase::Live && self.pace != Pace::Stopping {
            self.call.own_state = Some(state);
        }
    }

    /// Sends the waiting updates without delay.
    pub fn hurry(&mut self) {
        if self.pace == Pace::Batched && !self.call.outbox.is_empty() {
            self.pace = Pace::Urgent;
        }
    }

    /// Prepares the end of the call: sends everything that waits, and last `farewell`, the removal of the
    /// client's own awareness state.
    pub fn stop(&mut self, farewell: Option<Vec<u8>>) {
        self.pace = Pace::Stopping;
        self.call.own_state = farewell;
    }

    /// Returns whether everything was sent, so that the call can be half-closed after
    /// [`stop`](Self::stop).
    pub fn is_drained(&self) -> bool {
        self.pace == Pace::Stopping
            && self.call.phase == Phase::Live
            && self.call.outbox.is_empty()
            && self.call.update.is_none()
            && self.call.awareness.is_none()
            && self.call.own_state.is_none()
    }

    /// Returns the time in which the slowest connection sends everything that waits.
    pub fn drain_time(&self) -> Duration {
        let handshake = if self.call.phase == Phase::Live { Duration::ZERO } else { PATIENCE };
        let sending = self.call.update.as_ref().map_or(0, Chunks::left);
        handshake + time_for(sending + self.call.outbox.bytes())
    }

    /// Handles a message that has arrived.
    ///
    /// # Errors
    ///
    /// Fails if the call must be ended.
    pub fn receive(&mut self, now: Instant, message: SyncDocumentResponse) -> Result<()> {
        if self.call.phase == Phase::Closed {
            return Ok(());
        }
        self.call.heard = true;
        if self.call.phase == Phase::Receiving {
            self.call.deadline = now.checked_add(PATIENCE);
        }
        if message.is_read_only && !self.read_only {
            self.read_only = true;
            self.call.outbox.clear();
        }
        let state = message.sync_state();
        match state {
            SyncState::Syncing => {
                if !message.state_vector.is_empty() {
                    self.call.vector = message.state_vector;
                }
                // Without an update, the document lacks nothing.
                let update = match message.update {
                    Some(piece) => self.assemble(state, piece)?,
                    None => Some(Vec::new()),
                };
                if let Some(update) = update {
                    self.apply(update);
                    if self.call.phase == Phase::Receiving {
                        self.call.phase = Phase::Answering;
                        let vector = std::mem::take(&mut self.call.vector);
                        self.call.actions.push_back(Action::Answer(vector));
                    }
                }
            }
            SyncState::Done | SyncState::Update => {
                if let Some(piece) = message.update
                    && let Some(update) = self.assemble(SyncState::Update, piece)?
                {
                    self.apply(update);
                }
                // An answer that is not completely sent cannot be acknowledged.
                if state == SyncState::Done
                    && self.call.phase == Phase::Sending
                    && self.call.update.is_none()
                {
                    self.call.phase = Phase::Live;
                    self.call.deadline = None;
                    self.acknowledge(Some(self.sent));
                }
            }
            SyncState::Awareness => {
                if let Some(piece) = message.update
                    && let Some(update) = self.assemble(state, piece)?
                    && !update.is_empty()
                {
                    self.call.actions.push_back(Action::Awareness(update));
                }
            }
            // The message is unknown, or belongs to a later API.
            _ => {}
        }
        Ok(())
    }

    fn assemble(&mut self, state: SyncState, piece: SyncDocumentUpdate) -> Result<Option<Vec<u8>>> {
        let (at, limit) = match state {
            SyncState::Awareness => (2, PRESENCE),
            SyncState::Syncing => (0, self.settings.max_update),
            _ => (1, self.settings.max_update),
        };
        self.call.arriving[at].push(piece, limit)
    }

    /// Zero bytes are not an update, and the empty update changes nothing.
    fn apply(&mut self, update: Vec<u8>) {
        if !update.is_empty() && update != Update::EMPTY_V2 {
            self.call.actions.push_back(Action::Apply(update));
        }
    }

    /// Returns the next action.
    pub fn next_action(&mut self) -> Option<Action> {
        self.call.actions.pop_front()
    }

    /// Answers the Volt with what it lacks. `update` contains every local update so far.
    pub fn answer(&mut self, now: Instant, update: Vec<u8>) {
        if self.call.phase != Phase::Answering {
            return;
        }
        self.call.phase = Phase::Sending;
        self.call.outbox.clear();
        self.call.deadline = now.checked_add(PATIENCE + time_for(update.len()));
        let update = if self.read_only {
            Update::EMPTY_V2.to_vec()
        } else {
            self.sent = self.edits;
            update
        };
        self.call.update = Some(Chunks::new(SyncState::Done, update, self.settings.chunk));
    }

    /// Notes that the Volt has this many of the local updates.
    pub fn acknowledge(&mut self, edits: Option<u64>) {
        let edits = if self.read_only { edits.map(|_| 0) } else { edits };
        self.acknowledged = self.acknowledged.max(edits);
    }

    /// Returns the next message to send, if there is one. Call it when the call has room for a
    /// message.
    ///
    /// # Errors
    ///
    /// Fails if the call must be ended.
    pub fn next_message(&mut self, now: Instant) -> Result<Option<SyncDocumentRequest>> {
        if self.call.start.is_some() {
            return Ok(self.call.start.take());
        }
        if self.call.phase == Phase::Live {
            self.fill(now)?;
            if let Some(message) = next_of(&mut self.call.awareness) {
                return Ok(Some(message));
            }
        } else if self.call.phase != Phase::Sending {
            return Ok(None);
        }
        Ok(next_of(&mut self.call.update))
    }

    /// Returns whether there is a message to send.
    pub fn has_message(&self, now: Instant) -> bool {
        match self.call.phase {
            Phase::Closed | Phase::Answering => false,
            Phase::Receiving => self.call.start.is_some(),
            Phase::Sending => self.call.update.is_some(),
            Phase::Live => {
                self.call.update.is_some()
                    || self.call.awareness.is_some()
                    || self.call.outbox.has_overflowed()
                    || self.batch_due().is_some_and(|due| due <= now)
                    || self.may_send_own_state()
            }
        }
    }

    /// Takes the next update and awareness state.
    fn fill(&mut self, now: Instant) -> Result<()> {
        if self.call.outbox.has_overflowed() {
            let message = "the Volt is too slow for the edits that are made here";
            return Err(Error::new(ErrorKind::Connection, message));
        }
        if self.call.update.is_none() && self.batch_due().is_some_and(|due| due <= now) {
            let (update, size) = (self.call.outbox.take()?, self.settings.chunk);
            self.call.update = update.map(|update| Chunks::new(SyncState::Update, update, size));
            self.sent = self.edits;
            if self.pace == Pace::Urgent {
                self.pace = Pace::Batched;
            }
        }
        if self.call.awareness.is_none() && self.may_send_own_state() {
            let (state, size) = (self.call.own_state.take(), self.settings.chunk);
            self.call.awareness = state.map(|state| Chunks::new(SyncState::Awareness, state, size));
        }
        Ok(())
    }

    /// The farewell comes after all updates.
    fn may_send_own_state(&self) -> bool {
        let drained = self.call.outbox.is_empty() && self.call.update.is_none();
        self.call.own_state.is_some() && (self.pace != Pace::Stopping || drained)
    }

    fn batch_due(&self) -> Option<Instant> {
        let batched = self.pace == Pace::Batched;
        let delay = if batched { self.settings.batch } else { Duration::ZERO };
        self.call.outbox.due(delay, self.settings.chunk)
    }

    /// Returns when [`expired`](Self::expired) must be called, or a message must be sent.
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.call.phase {
            Phase::Live if self.call.update.is_none() => self.batch_due(),
            _ => self.call.deadline,
        }
    }

    /// Checks the time.
    ///
    /// # Errors
    ///
    /// Fails if the Volt has not answered in time. The call must then be ended.
    pub fn expired(&mut self, now: Instant) -> Result<()> {
        if self.call.deadline.is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        let step = match self.call.phase {
            Phase::Receiving if !self.call.heard => "the Volt did not answer",
            Phase::Receiving => "the Volt stopped in the middle of the document",
            _ => "the Volt did not acknowledge the document",
        };
        Err(Error::deadline(step))
    }
}

/// The time in which the slowest connection carries this many bytes.
fn time_for(bytes: usize) -> Duration {
    Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX) / SLOWEST
}

fn next_of(chunks: &mut Option<Chunks>) -> Option<SyncDocumentRequest> {
    let (message, last) = chunks.as_mut()?.next();
    if last {
        *chunks = None;
    }
    Some(message)
}

#[cfg(test)]
mod tests;
