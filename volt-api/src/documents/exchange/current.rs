//! The state of one call, and the actions that it requires.

use std::{collections::VecDeque, time::Instant};

use super::{
    chunks::{Assembler, Chunks},
    outbox::Outbox,
};
use crate::volt::SyncDocumentRequest;

/// The phase of the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// No call is open.
    #[default]
    Closed,
    /// The Volt sends the updates that the document lacks.
    Receiving,
    /// The answer is computed: see [`Action::Answer`].
    Answering,
    /// The answer is sent, and the Volt has not acknowledged it yet.
    Sending,
    /// Both are equal, and send each change.
    Live,
}

/// An action for the owner of the machine. Actions must be executed in order.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Apply this update to the document.
    Apply(Vec<u8>),
    /// Pass what the document has beyond this state vector to
    /// [`Exchange::answer`](super::Exchange::answer). No update of the document may happen between the two.
    Answer(Vec<u8>),
    /// Apply this update to the awareness.
    Awareness(Vec<u8>),
}

/// The state of one call.
#[derive(Debug, Default)]
pub(super) struct Current {
    pub(super) phase: Phase,
    /// The first message, until it is sent.
    pub(super) start: Option<SyncDocumentRequest>,
    /// The Volt has answered.
    pub(super) heard: bool,
    pub(super) vector: Vec<u8>,
    pub(super) arriving: [Assembler; 3],
    pub(super) actions: VecDeque<Action>,
    /// The update that is being sent: the answer, or later ones.
    pub(super) update: Option<Chunks>,
    pub(super) awareness: Option<Chunks>,
    /// The client's own newest state, to be sent.
    pub(super) own_state: Option<Vec<u8>>,
    pub(super) outbox: Outbox,
    /// The deadline for the Volt's answer.
    pub(super) deadline: Option<Instant>,
}
