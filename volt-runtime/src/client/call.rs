//! The two halves of a call, and the handle with which they keep the connection open.
//!
//! The state of the call is in the connection's machine. The halves do the call's cryptography, each in
//! its owner's task and outside of the lock around the machine: the sending half seals, the receiving
//! half opens.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;

use super::identity::{Identity, session_rejected};
use crate::{
    Error, ErrorKind, Executed, Result, Status,
    message::{Body, Payload},
    proto::{
        call::{self, Arriving, End, Outgoing},
        client::{self, FirstRequest, Read, Ready, Work, protocol_error},
        crypto::CallKey,
        envelope::{Envelope, Incoming},
    },
    queue::Wakes,
    socket::{self, machine, now},
    transport::{ReceiveHalf, SendHalf},
};

machine!(client::Connection);

pub(super) type Shared = socket::Shared<client::Connection>;

/// Keeps a connection open. When the channel and all calls have dropped theirs, the connection closes.
pub(super) struct Handle {
    shared: Arc<Shared>,
    /// Set if the configuration has no session, which explains a rejection.
    identity: Arc<Identity>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>, identity: Arc<Identity>) -> Self {
        Self { shared, identity }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The error of a rejected call.
    fn rejected(&self, reason: String) -> Error {
        let error = Error::new(ErrorKind::Routing, reason);
        if !error.is_session_invalid() {
            return error;
        }
        let message = session_rejected(self.identity.lacks_session(), "session invalid");
        Error::new(ErrorKind::Routing, message)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.with(client::Connection::close);
    }
}

/// Performs pending cryptography.
pub(super) fn perform(shared: &Shared, work: Work) {
    let done = work.run(now());
    shared.with(|machine| machine.complete(done));
}

/// The sending half.
///
/// It seals in the caller's task and hands finished frames to the machine. Dropping it does nothing:
/// the receiving half owns the call.
pub(super) struct CallSender {
    handle: Arc<Handle>,
    id: u64,
    /// Seals in the order that the protocol requires.
    outgoing: Outgoing,
    /// Set when the half is ready.
    key: Option<Arc<CallKey>>,
}

impl CallSender {
    pub(super) fn new(handle: Arc<Handle>, id: u64, outgoing: Outgoing) -> Self {
        Self { handle, id, outgoing, key: None }
    }
}

impl SendHalf for CallSender {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let shared = self.handle.shared();
        loop {
            match ready!(shared.with(|machine| machine.poll_ready(self.id, cx)))? {
                Ready::Open(key) => {
                    self.key = Some(key);
                    return Poll::Ready(Ok(()));
                }
                Ready::Work(work) => perform(shared, work),
            }
        }
    }

    fn send(&mut self, message: &dyn Payload) -> Result<()> {
        // The key is the proof that `poll_ready` was called.
        let Some(key) = &self.key else {
            return Err(Error::protocol("a message was sent before the call was ready"));
        };
        let invoked = self.outgoing.is_invoked();
        let frame = self.outgoing.message(key, message).map_err(|error| {
            let error = protocol_error(error);
            if invoked { error.with_executed(Executed::Maybe) } else { error }
        })?;
        self.handle.shared().with(|machine| machine.send(self.id, frame));
        Ok(())
    }

    fn send_first(&mut self, message: Arc<dyn Payload>, last: bool, deadline: Option<Instant>) {
        let outgoing = self.outgoing.split_first();
        let first = FirstRequest { outgoing, message, last, deadline };
        self.handle.shared().with(|machine| machine.send_first(self.id, first));
    }

    fn end(&mut self, _: Option<&Status>) {
        if self.outgoing.is_ended() {
            return;
        }
        let (shared, id) = (self.handle.shared(), self.id);
        // Sealed without the lock. Without a key, the machine remembers the half-close.
        let frame = self.key.as_ref().and_then(|key| self.outgoing.end(key, None).ok());
        // The key may have arrived although this half has not polled for it.
        let Some(key) = shared.with(|machine| machine.half_close(id, frame)) else { return };
        if let Ok(frame) = self.outgoing.end(&key, None) {
            shared.with(|machine| machine.half_close(id, Some(frame)));
        }
    }
}

/// The receiving half. It owns the call: dropping it before the end cancels the call.
pub(super) struct CallReceiver {
    handle: Arc<Handle>,
    id: u64,
    /// Detects repeated and reflected payloads.
    arriving: Arriving,
    /// Set once the call has been removed from the machine.
    ended: bool,
}

impl CallReceiver {
    pub(super) fn new(handle: Arc<Handle>, id: u64) -> Self {
        Self { handle, id, arriving: Arriving::new(End::Client), ended: false }
    }

    /// Opens a frame. Returns `None` for the clean end of the call.
    fn open(&mut self, key: &CallKey, body: Bytes) -> Result<Option<Body>> {
        match self.arriving.open(key, body).map_err(protocol_error)? {
            Incoming::Envelope(Envelope::Payload(body)) => Ok(Some(body)),
            Incoming::Envelope(Envelope::End(None)) => Ok(None),
            Incoming::Envelope(Envelope::End(Some(status))) => {
                // This SDK's server ends a call with this text if it was invoked too late to run.
                let executed = match status.message() {
                    call::NOT_EXECUTED => Executed::No,
                    _ => Executed::Yes,
                };
                let failed = Error::new(ErrorKind::Failed, "").with_status(status);
                Err(failed.with_executed(executed))
            }
            Incoming::Envelope(Envelope::Invoke { .. }) => {
                Err(Error::protocol("the Volt invoked a method on its client"))
            }
            // After the invocation, a rejection means that a relay or decryption failed, not
            // admission.
            Incoming::Rejected(reason)
                if self.handle.shared().with(|machine| machine.is_invoked(self.id)) =>
            {
                Err(self.handle.rejected(reason).with_executed(Executed::Maybe))
            }
            Incoming::Rejected(reason) => Err(self.handle.rejected(reason)),
        }
    }

    /// Before the Volt's key, the only valid frame is a rejection, which is not encrypted.
    fn without_key(&self, body: &Bytes) -> Error {
        match call::rejection(body) {
            Ok(Some(reason)) => self.handle.rejected(reason),
            Ok(None) => Error::protocol("the Volt sent a payload before its key"),
            Err(error) => protocol_error(error),
        }
    }

    /// Removes the call, which the Volt has ended or which cannot be cancelled on the wire.
    fn finish(&mut self, key: Option<&CallKey>) {
        self.ended = true;
        let (shared, id) = (self.handle.shared(), self.id);
        // A legacy server expects an answer to its end, unless this side has already ended.
        let acknowledges = key.is_some_and(|key| key.legacy_iv().is_some())
            && shared.with(|machine| machine.is_invoked(id) && !machine.is_half_closed(id));
        let frame = key.filter(|_| acknowledges).and_then(|key| call::half_close(id, key).ok());
        shared.with(|machine| machine.finish(id, frame));
    }
}

impl ReceiveHalf for CallReceiver {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>> {
        let shared = self.handle.shared();
        let (outcome, key) = loop {
            match ready!(shared.with(|machine| machine.poll_read(self.id, cx))) {
                Read::Work(work) => perform(shared, work),
                Read::Frame(body, Some(key)) => break (self.open(&key, body), Some(key)),
                Read::Frame(body, None) => break (Err(self.without_key(&body)), None),
                Read::Closed(reason) => break (Err(reason), None),
            }
        };
        let over = match &outcome {
            Ok(Some(_)) => false,
            Ok(None) => true,
            // After an error on this side, the call must still be cancelled on the wire.
            Err(error) => matches!(
                error.kind(),
                ErrorKind::Failed | ErrorKind::Routing | ErrorKind::Connection
            ),
        };
        if over {
            self.finish(key.as_deref());
        }
        Poll::Ready(outcome)
    }
}

impl Drop for CallReceiver {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Sealed here rather than by the worker: the caller's task pays for its own cancellation.
        let (shared, id) = (self.handle.shared(), self.id);
        if let Some(cancel) = shared.with(|machine| machine.abandon(now(), id)) {
            perform(shared, cancel);
        }
    }
}
