//! The outgoing messages of a call of `SyncDocument`, in order.
//!
//! Others' changes wait until both sides have received the other's updates. A few of them are queued for a
//! slow caller. When it falls further behind, they are dropped, and when it reads again it receives one
//! update with everything since then.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use volt_api::{
    Status,
    volt::{SyncDocumentResponse, SyncDocumentUpdate, SyncState},
};
use yrs::StateVector;

use super::{
    CHUNK,
    presence::{MAX_CLIENTS, MAX_LEFT, State, encode},
};

/// The number of changes, and of their bytes, that wait for a caller.
const MAX_WAITING: usize = 64;
const MAX_WAITING_BYTES: usize = 1 << 20;
/// The maximum number of presence states that wait for a caller: the same as for a document.
const MAX_STATES: usize = MAX_CLIENTS + MAX_LEFT;

/// The next step of a call.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send this message.
    Message(SyncDocumentResponse),
    /// Call [`Outbox::catch_up`] with everything that the document has beyond this state.
    Diff(Arc<StateVector>),
    /// End the call.
    End(Status),
    /// Everything was sent: end the call.
    Finished,
}

/// The sending half of a call.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    phase: Phase,
    read_only: bool,
    /// The update that is being sent.
    sending: Option<Sending>,
    waiting: VecDeque<Arc<[u8]>>,
    waiting_bytes: usize,
    /// The state of the document before the first change that the caller has not been sent.
    since: Option<Arc<StateVector>>,
    /// Set if changes were dropped: all those after `since`.
    behind: bool,
    /// The presence states that the caller has not received.
    presence: BTreeMap<u64, State>,
    end: Option<Status>,
    finishing: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The caller has not acknowledged its missing updates.
    #[default]
    Syncing,
    /// The caller has acknowledged them: acknowledge its own updates.
    Done,
    /// Changes follow.
    Open,
}

#[derive(Debug)]
struct Sending {
    state: SyncState,
    update: Arc<[u8]>,
    sent: usize,
    /// Set if no other caller shares the update.
    is_copy: bool,
    /// Accompanies the last piece.
    state_vector: Vec<u8>,
}

impl Outbox {
    /// Creates the half of a call whose caller lacks `missing` of a document with this state.
    pub(crate) fn new(missing: Vec<u8>, state_vector: Vec<u8>, read_only: bool) -> Self {
        let state = SyncState::Syncing;
        let update = missing.into();
        let sending = Sending { state, update, sent: 0, is_copy: true, state_vector };
        Self { read_only, sending: Some(sending), ..Self::default() }
    }

    /// Acknowledges the caller's updates. Changes follow.
    pub(crate) fn done(&mut self) {
        self.phase = Phase::Done;
    }

    /// Adds a change by another. `before` is the state of the document without it.
    pub(crate) fn change(&mut self, update: &Arc<[u8]>, before: &Arc<StateVector>) {
        self.since.get_or_insert_with(|| Arc::clone(before));
        if self.behind {
            return;
        }
        self.waiting_bytes += update.len();
        self.waiting.push_back(Arc::clone(update));
        // A single large change is shared by all callers, so it is not counted for any of them.
        if self.waiting.len() > 1
            && (self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES)
        {
            self.behind = true;
            self.waiting = VecDeque::new();
            self.waiting_bytes = 0;
        }
    }

    /// Adds presence states. A newer state replaces an older one.
    pub(crate) fn present(&mut self, states: &[(u64, State)]) {
        self.presence.extend(states.iter().cloned());
        // Clients themselves remove others that have left, after 30 s.
        if self.presence.len() > MAX_STATES {
            self.presence.retain(|_, state| state.json.is_some());
        }
    }

    /// Ends the call. The waiting messages are dropped.
    pub(crate) fn end(&mut self, status: Status) {
        let end = self.end.take().or(Some(status));
        *self = Self { end, ..Self::default() };
    }

    /// Ends the call after everything is sent.
    pub(crate) fn finish(&mut self) {
        self.finishing = true;
    }

    /// Sends the caller the update that [`Next::Diff`] requested.
    pub(crate) fn catch_up(&mut self, update: Vec<u8>) {
        self.send(SyncState::Update, update.into(), true);
    }

    fn send(&mut self, state: SyncState, update: Arc<[u8]>, is_copy: bool) {
        let state_vector = Vec::new();
        self.sending = Some(Sending { state, update, sent: 0, is_copy, state_vector });
    }

    /// Returns the size of the update that is being sent, in bytes, and whether it is a copy for this
    /// caller alone.
    pub(crate) fn held(&self) -> (usize, bool) {
        self.sending.as_ref().map_or((0, false), |update| (update.update.len(), update.is_copy))
    }

    /// Returns the next step, if there is one.
    pub(crate) fn next(&mut self) -> Option<Next> {
        if let Some(status) = self.end.take() {
            return Some(Next::End(status));
        }
        if self.sending.is_none() {
            match self.phase {
                Phase::Syncing => return self.finished(),
                Phase::Done => {
                    self.phase = Phase::Open;
                    let done = SyncDocumentResponse::default().with_sync_state(SyncState::Done);
                    return Some(Next::Message(done.with_is_read_only(self.read_only)));
                }
                Phase::Open if self.behind => {
                    self.behind = false;
                    return self.since.take().map(Next::Diff);
                }
                Phase::Open => {
                    if let Some(update) = self.waiting.pop_front() {
                        self.waiting_bytes -= update.len();
                        if self.waiting.is_empty() {
                            self.since = None;
                        }
                        self.send(SyncState::Update, update, false);
                    } else if !self.presence.is_empty() {
                        let states = std::mem::take(&mut self.presence);
                        self.send(SyncState::Awareness, encode(&states).into(), true);
                    }
                }
            }
        }
        self.piece().map(Next::Message).or_else(|| self.finished())
    }

    fn finished(&self) -> Option<Next> {
        self.finishing.then_some(Next::Finished)
    }

    /// Returns the next piece of the update that is being sent.
    fn piece(&mut self) -> Option<SyncDocumentResponse> {
        let sending = self.sending.as_mut()?;
        let rest = sending.update.get(sending.sent..).unwrap_or_default();
        let piece = &rest[..rest.len().min(CHUNK)];
        let complete = piece.len() == rest.len();
        let mut response = SyncDocumentResponse::default()
            .with_sync_state(sending.state)
            .with_is_read_only(self.read_only)
            .with_update(SyncDocumentUpdate::default().with_chunk(piece).with_complete(complete));
        sending.sent += piece.len();
        if complete {
            response.state_vector = std::mem::take(&mut sending.state_vector);
            self.sending = None;
        }
        Some(response)
    }
}
