//! One connection: admits calls, routes their frames, tracks their timeouts, and drains.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    fmt,
    hash::{Hash as _, Hasher as _},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    call::{Call, Phase},
    exchanges::{Exchange, Exchanges},
};
use crate::{
    Error, ErrorKind, Overflow,
    proto::{
        ProtocolError, call,
        flow::{Delivery, Inboxes, OUTBOX_BYTES, earliest},
        frame::{Frame, FrameKind},
        handshake::Answer,
        legacy,
        token::Token,
    },
    queue::{Buffer, Popped, Wakes, register},
};

/// The memory of an open call, in bytes, including its task and the frame that opened it.
const CALL_BYTES: usize = 2048;

/// The time for which a draining connection waits for calls with exchanged keys to name their method. An
/// ordinary call names its method one round trip later; a pre-opened one may never do so.
pub(super) const INVOCATION_GRACE: Duration = Duration::from_secs(1);

/// The limits and timeouts of a connection.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The maximum number of open calls that have named their method.
    pub max_calls: usize,
    /// The maximum number of calls that have not named their method yet.
    pub max_key_exchanges: usize,
    /// The maximum number of calls that are forwarded and have not named their method yet.
    pub max_relayed_exchanges: usize,
    /// The number of bytes of unread requests beyond which no frame is received until a call was
    /// admitted with a session.
    pub unauthenticated_buffer: usize,
    /// The maximum number of bytes of unread requests of one call.
    pub receive_buffer: usize,
    /// The maximum number of bytes of unread requests, for all calls together.
    pub connection_buffer: usize,
    /// The policy for when either limit is reached.
    pub overflow: Overflow,
    /// The time within which a call must name its method after it was opened.
    pub invoke_timeout: Duration,
}

/// The treatment of calls that are opened while the connection drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainPolicy {
    /// Leave them unanswered. The caller sees the connection end before the key exchange completed,
    /// so it knows that the call cannot have been executed, and retries it elsewhere. A legacy call
    /// needs no answer to be executed and is rejected in any case.
    Ignore,
    /// Reject them with a reason, for callers that do not see the connection end.
    Reject,
}

/// A call to run, represented by the frame that opened it.
#[derive(Debug)]
pub struct Opening(pub Frame);

/// The server's end of one connection.
pub struct Connection {
    pub(super) limits: Limits,
    /// Boxed, so that growing the map only moves pointers.
    pub(super) calls: HashMap<u64, Box<Call>>,
    /// The number of calls opened so far.
    opened_calls: u64,
    pub(super) outbox: Buffer<Bytes>,
    inboxes: Inboxes,
    /// Set when a call was opened: no other frame is received until its answer has room. A peer
    /// that opens calls without reading the answers is not read from.
    opened: bool,
    pub(super) exchanges: Exchanges,
    /// The bytes of unread frames, until a call was admitted with a session.
    early: Option<usize>,
    /// The task that receives frames, while there are too many of those bytes.
    reader: Option<Waker>,
    drain: Option<Drain>,
    /// No further call may be invoked, not even one that is already open.
    pub(super) over: bool,
    pub(super) drainer: Option<Waker>,
    /// The token of the last admitted call. A client may open many calls with one token.
    token: Option<Arc<Token>>,
    /// The answer to the next call's key exchange, if it was prepared while the last caller was
    /// busy. The next caller then does not wait for the signature.
    answer: Option<Answer>,
    pub(super) wakes: Wakes,
}

/// The state of a connection that no longer opens calls.
struct Drain {
    policy: DrainPolicy,
    /// The end of the grace period for calls that have not been invoked; `None` once it has passed.
    grace: Option<Instant>,
}

impl Connection {
    /// Creates the state of a new connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            calls: HashMap::new(),
            opened_calls: 0,
            outbox: Buffer::new(OUTBOX_BYTES),
            inboxes: Inboxes::new(limits.connection_buffer),
            opened: false,
            exchanges: Exchanges::default(),
            early: Some(0),
            reader: None,
            drain: None,
            over: false,
            drainer: None,
            token: None,
            answer: None,
            wakes: Wakes::default(),
            limits,
        }
    }

    /// Takes the wakers of the tasks to wake. The caller wakes them after releasing the lock.
    pub(crate) fn take_wakes(&mut self) -> Wakes {
        std::mem::take(&mut self.wakes)
    }

    /// Returns the number of open calls.
    pub fn open_calls(&self) -> usize {
        self.calls.len()
    }

    // Frames.

    /// Waits until [`receive`](Self::receive) may be called. Pending while a frame is held back
    /// because its call has no room, or while too much is queued for writing.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.inboxes.poll_unblocked(cx).is_pending() {
            return Poll::Pending;
        }
        // Calls without a session may read little. A caller whose session is being checked is not stopped.
        if self.early.is_some_and(|early| early >= self.limits.unauthenticated_buffer) {
            register(&mut self.reader, cx);
            return Poll::Pending;
        }
        // A closing connection always has room: it is read until the peer's close frame.
        if self.opened && self.outbox.poll_room(cx).is_pending() {
            return Poll::Pending;
        }
        self.opened = false;
        Poll::Ready(())
    }

    /// Accepts a frame. If it opens a call, returns that call for the caller to run.
    pub fn receive(&mut self, now: Instant, frame: Frame) -> Option<Opening> {
        let opens = frame.kind.opens();
        // Before anything else is received, the answer to this call must have room.
        self.opened = opens;
        let Some(call) = self.calls.get_mut(&frame.call) else {
            // Frames of a call that has ended are ignored.
            return if opens { self.open(now, frame) } else { None };
        };
        if opens {
            // A published client that writes early repeats its first message. A second answer would
            // change the key under it.
            let repeated = call.opened_by.is_some() && call.opened_by == digest(&frame);
            if !repeated || !call.phase.is_unfinished() {
                call.fail(Error::protocol("a call is opened only once"), &mut self.wakes);
            }
            return None;
        }
        if frame.last {
            call.keep_last(&frame.body);
            // The frame may be a cancellation, which the call examines out of order.
            call.inbox.wake_reader(&mut self.wakes);
        }
        self.deliver(now, frame.call, frame.body);
        None
    }

    /// Puts a frame into its call's inbox, or holds it back.
    fn deliver(&mut self, now: Instant, id: u64, body: Bytes) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Some(early) = &mut self.early {
            *early += body.len();
            call.early += body.len();
        }
        // Later calls may be stuck behind this one, unseen. A connection that had others is shared.
        let alone = call.alone && call.number == self.opened_calls;
        let delivery = self.inboxes.deliver(now, id, &mut call.inbox, body, alone, &mut self.wakes);
        if delivery == Delivery::Overflow {
            self.overflowed(id);
        }
    }

    /// Admits a call, or rejects it because the server is draining or has too many.
    fn open(&mut self, now: Instant, frame: Frame) -> Option<Opening> {
        if let Some(Drain { policy, .. }) = self.drain {
            if policy == DrainPolicy::Reject || frame.kind == FrameKind::LegacyOpening {
                self.reject(&frame, "unavailable: this server is shutting down");
            }
            return None;
        }
        if let Err(reason) = self.begin_exchange(now) {
            self.reject(&frame, reason);
            return None;
        }
        self.opened_calls += 1;
        let (number, alone) = (self.opened_calls, self.calls.is_empty());
        let Limits { receive_buffer, overflow, .. } = self.limits;
        let call = Call::new(number, alone, digest(&frame), receive_buffer, overflow);
        self.calls.insert(frame.call, call);
        self.exchange_begun(Exchange { since: now, id: frame.call, number });
        if frame.kind == FrameKind::LegacyOpening {
            // The frame also carries the first envelope, which precedes all other frames.
            self.deliver(now, frame.call, frame.body.clone());
        }
        Some(Opening(frame))
    }

    /// Rejects the call that a frame opens, with a reason in clear text.
    pub fn reject(&mut self, frame: &Frame, reason: &str) {
        let rejection = match frame.kind {
            FrameKind::LegacyOpening => legacy::reject(frame.call, reason),
            _ => call::reject(frame.call, reason),
        };
        match rejection {
            Ok(rejection) => self.transmit(rejection),
            Err(error) => tracing::warn!(%error, "a rejection cannot be written"),
        }
    }

    /// Returns the next frame to write, or `None` after the connection was closed.
    pub fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.outbox.poll_pop(cx, &mut self.wakes).map(|popped| match popped {
            Popped::Item(frame) => Some(frame),
            Popped::Closed(_) => None,
        })
    }

    /// Queues a frame. It is never refused: messages [wait for room](Self::poll_room) first, and
    /// each call has only a few other frames.
    pub fn transmit(&mut self, frame: Vec<u8>) {
        let bytes = frame.len();
        self.outbox.push(frame.into(), bytes, &mut self.wakes);
    }

    /// Waits until a message may be queued.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.outbox.poll_room(cx).map_err(|reason| reason.unwrap_or_else(closed))
    }

    /// Waits until the connection should close.
    pub fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.outbox.poll_closed(cx)
    }

    // Timeouts.

    /// Returns the time at which [`handle_timeout`](Self::handle_timeout) must be called next.
    pub fn next_timeout(&mut self) -> Option<Instant> {
        let invocation = self.next_overdue();
        let grace = self.drain.as_ref().and_then(|drain| drain.grace);
        earliest([invocation, self.inboxes.next_timeout(), grace])
    }

    /// Handles the timeouts that have expired at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.end_overdue(now);
        let blocked = self.inboxes.blocked_call().and_then(|id| self.calls.get(&id));
        if self.inboxes.handle_timeout(now, blocked.map(|call| &call.inbox)) {
            self.fail_blocked();
        }
        if let Some(drain) = &mut self.drain
            && drain.grace.is_some_and(|grace| grace <= now)
        {
            drain.grace = None;
            self.wakes.add(self.drainer.take());
        }
    }

    /// Fails the call whose frame is held back, if there is one.
    pub fn fail_blocked(&mut self) {
        if let Some(id) = self.inboxes.blocked_call() {
            self.inboxes.release(&mut self.wakes);
            self.overflowed(id);
        }
    }

    fn overflowed(&mut self, id: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let message =
            "requests arrive faster than they are handled, and the buffer for them is full";
        call.fail(Error::new(ErrorKind::ResourceExhausted, message), &mut self.wakes);
    }

    // Reports and queries from the calls' tasks.

    /// Returns the token of an earlier call, so that an identical one is not parsed and verified
    /// again.
    pub fn earlier_token(&self) -> Option<Arc<Token>> {
        self.token.clone()
    }

    /// Remembers the token of a call that was admitted, and returns the prepared answer to its key
    /// exchange, if there is one.
    pub fn admitted(&mut self, token: &Arc<Token>) -> Option<Answer> {
        self.remember(token);
        self.answer.take()
    }

    /// Remembers the token of a call.
    pub fn remember(&mut self, token: &Arc<Token>) {
        if !self.token.as_ref().is_some_and(|earlier| Arc::ptr_eq(earlier, token)) {
            self.token = Some(Arc::clone(token));
        }
    }

    /// Returns whether an answer should be prepared for the next call.
    pub fn needs_answer(&self) -> bool {
        self.answer.is_none()
    }

    /// Stores an answer for the next call.
    pub fn prepare(&mut self, answer: Answer) {
        self.answer.get_or_insert(answer);
    }

    /// Called when a call was admitted with a session. The limits for unauthenticated peers are
    /// lifted.
    pub fn authenticated(&mut self) {
        self.early = None;
        self.wakes.add(self.reader.take());
    }

    /// Returns the number of bytes in all queues and of all open calls. They are counted until
    /// [`authenticated`](Self::authenticated).
    pub fn queued(&self) -> usize {
        let calls = self.calls.len() * CALL_BYTES;
        self.early.map_or(0, |unread| unread + self.outbox.bytes() + calls)
    }

    /// Returns why a call has failed, if it has.
    pub fn failure(&self, id: u64) -> Option<String> {
        self.calls.get(&id)?.inbox.reason().map(Error::to_string)
    }

    /// Reads the next frame of a call. After the last one, returns the reason of its end.
    pub fn poll_read(&mut self, id: u64, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        let Some(call) = self.calls.get_mut(&id) else { return Poll::Ready(Err(closed())) };
        match self.inboxes.poll_pop(&mut call.inbox, cx, &mut self.wakes) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Popped::Closed(reason)) => Poll::Ready(Err(reason.unwrap_or_else(closed))),
            Poll::Ready(Popped::Item(body)) => {
                if let Some(early) = &mut self.early {
                    *early = early.saturating_sub(body.len());
                    call.early = call.early.saturating_sub(body.len());
                    self.wakes.add(self.reader.take());
                }
                self.unblock();
                Poll::Ready(Ok(body))
            }
        }
    }

    /// Takes the frame that may cancel the call, to be examined out of order.
    pub fn take_last(&mut self, id: u64) -> Option<Bytes> {
        self.calls.get_mut(&id)?.take_last()
    }

    /// Waits until nothing more can arrive for a call.
    pub fn poll_failed(&mut self, id: u64, cx: &mut Context<'_>) -> Poll<()> {
        self.calls.get_mut(&id).map_or(Poll::Ready(()), |call| call.inbox.poll_closed(cx))
    }

    /// Fails a call.
    pub fn fail(&mut self, id: u64, reason: Error) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.fail(reason, &mut self.wakes);
        }
        self.unblock();
    }

    /// Removes a call whose task has ended.
    pub fn remove(&mut self, id: u64) {
        if let Some(mut call) = self.calls.remove(&id) {
            self.exchanges.waiting.remove(&call.number);
            self.exchange_ended(call.phase);
            self.early = self.early.map(|early| early.saturating_sub(call.early));
            self.wakes.add(self.reader.take());
            self.inboxes.abandon(id, &mut call.inbox, &mut self.wakes);
        }
        self.unblock();
        self.wakes.add(self.drainer.take());
    }

    fn unblock(&mut self) {
        let Some(id) = self.inboxes.blocked_call() else { return };
        let inbox = self.calls.get_mut(&id).map(|call| &mut call.inbox);
        self.inboxes.unblock(inbox, &mut self.wakes);
    }

    // The end.

    /// Stops opening calls.
    pub fn drain(&mut self, now: Instant, policy: DrainPolicy) {
        self.drain = Some(Drain { policy, grace: Some(now + INVOCATION_GRACE) });
        // Wake the driver, so that it sees the end of the grace period.
        self.outbox.wake_consumer(&mut self.wakes);
    }

    /// Waits until all half-closed calls have ended and, for a grace period, until the calls that
    /// are exchanging or have exchanged keys have named their methods. After that no further call is
    /// invoked.
    pub fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let in_grace = self.drain.as_ref().is_some_and(|drain| drain.grace.is_some());
        let due = |call: &Call| match call.phase {
            Phase::HalfClosed => true,
            Phase::Keying | Phase::Keyed | Phase::Forwarded => in_grace,
            Phase::Open => false,
        };
        if self.calls.values().any(|call| due(call)) {
            register(&mut self.drainer, cx);
            return Poll::Pending;
        }
        self.over = true;
        Poll::Ready(())
    }

    /// Closes the connection after everything queued has been written. No further call is invoked,
    /// because its caller could not be answered.
    pub fn close(&mut self) {
        self.over = true;
        self.outbox.close(None, &mut self.wakes);
    }

    /// Fails all calls because the connection is lost. Requests that have arrived can still be
    /// read.
    pub fn lose(&mut self, reason: &Error) {
        self.over = true;
        // A frame that was held back is dropped. The call of that frame fails below.
        self.inboxes.release(&mut self.wakes);
        self.outbox.close(Some(reason.clone()), &mut self.wakes);
        drop(self.outbox.abandon(&mut self.wakes));
        for call in self.calls.values_mut() {
            call.fail(reason.clone(), &mut self.wakes);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("open_calls", &self.open_calls()).finish_non_exhaustive()
    }
}

/// A number that distinguishes key exchanges. The opening of a legacy call has none.
fn digest(frame: &Frame) -> Option<u64> {
    if frame.kind != FrameKind::KeyExchange {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    frame.body.hash(&mut hasher);
    Some(hasher.finish())
}

/// One message for every failure to open a payload: its length is visible on the wire and must not
/// become a padding oracle.
pub(crate) fn unopened(error: ProtocolError) -> Error {
    tracing::debug!(%error, "a payload cannot be opened");
    Error::protocol("a payload cannot be opened").with_source(error)
}

fn closed() -> Error {
    Error::connection("the connection is closed")
}
