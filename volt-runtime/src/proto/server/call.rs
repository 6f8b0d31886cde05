//! The connection's state of one call. [The module](super) has the phases.

use bytes::Bytes;

use crate::{Error, Overflow, proto::flow::Inbox, queue::Wakes};

/// The maximum length, in bytes, of a frame that is examined out of order. It is kept outside the
/// inbox, and a cancellation is short.
const LONGEST_CANCEL: usize = 1024;

/// The progress of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The caller is authenticated and keys are exchanged.
    Keying,
    /// Keys have been exchanged. The caller has not named the method.
    Keyed,
    /// The call is forwarded to another host. The caller has not named the method.
    Forwarded,
    /// The method has been invoked, and more requests may arrive.
    Open,
    /// The caller has half-closed. The end of the call is due.
    HalfClosed,
}

impl Phase {
    /// Returns whether the caller has not named the method yet.
    pub(super) const fn is_unfinished(self) -> bool {
        matches!(self, Self::Keying | Self::Keyed | Self::Forwarded)
    }
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) phase: Phase,
    pub(super) inbox: Inbox,
    /// The bytes of unread frames that arrived before a session was known.
    pub(super) early: usize,
    /// The number of calls opened on the connection until then, this one included. Ids may be reused.
    pub(super) number: u64,
    /// Set if no other call was open when this one was opened.
    pub(super) alone: bool,
    /// Identifies the frame that opened the call, which some callers repeat.
    pub(super) opened_by: Option<u64>,
    /// The newest frame that is marked in clear text as the caller's last, until it has been
    /// examined. The frame is also in the inbox, in order.
    last: Option<Bytes>,
}

impl Call {
    pub(super) fn new(
        number: u64,
        alone: bool,
        opened_by: Option<u64>,
        receive_buffer: usize,
        overflow: Overflow,
    ) -> Box<Self> {
        let inbox = Inbox::new(receive_buffer, overflow);
        Box::new(Self {
            phase: Phase::Keying,
            inbox,
            early: 0,
            number,
            alone,
            opened_by,
            last: None,
        })
    }

    pub(super) fn fail(&mut self, reason: Error, wakes: &mut Wakes) {
        self.inbox.close(reason, wakes);
    }

    /// Keeps a frame that may cancel the call.
    pub(super) fn keep_last(&mut self, body: &Bytes) {
        if body.len() <= LONGEST_CANCEL {
            // A copy, because the body shares its buffer with other frames.
            self.last = Some(Bytes::copy_from_slice(body));
        }
    }

    pub(super) fn take_last(&mut self) -> Option<Bytes> {
        self.last.take()
    }
}
