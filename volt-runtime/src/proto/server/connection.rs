//! One connection: it admits calls, routes frames to them, drains, and knows their timeouts.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::call::{Call, Phase};
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

/// How long a connection that drains waits for calls with exchanged keys to name their method. A call
/// that was opened to be invoked names it a round trip later. One that was pre-opened may never.
pub(super) const INVOCATION_GRACE: Duration = Duration::from_secs(1);

/// What a connection may hold, and for how long it waits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many calls may be open at once.
    pub max_calls: usize,
    /// How many bytes of unread requests one call may hold.
    pub receive_buffer: usize,
    /// How many bytes of unread requests all calls may hold together.
    pub connection_buffer: usize,
    /// What happens when either is full.
    pub overflow: Overflow,
    /// How long a call may take from its key exchange until it names its method.
    pub invoke_timeout: Duration,
}

/// What a connection that drains does with calls that are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainPolicy {
    /// It leaves them unanswered. The caller sees the connection end before there was a key, knows that
    /// the call cannot have been executed, and retries it elsewhere. A legacy call, which needs no
    /// answer to be executed, is rejected all the same.
    Ignore,
    /// It rejects them with a reason: the caller does not see the connection end.
    Reject,
}

/// A call that is to be run, by the frame that opened it.
#[derive(Debug)]
pub struct Opening(pub Frame);

/// The server's end of one connection.
pub struct Connection {
    limits: Limits,
    /// Boxed, so that a map that grows moves pointers only.
    calls: HashMap<u64, Box<Call>>,
    outbox: Buffer<Bytes>,
    inboxes: Inboxes,
    /// A call was opened: no other frame is received until its answer has room. A peer that opens calls
    /// and does not read the answers is not read either.
    opened: bool,
    /// Calls with exchanged keys, in the order in which they have to be invoked at the latest. Entries of
    /// calls that have been invoked are skipped when they come up.
    invocations: VecDeque<(Instant, u64)>,
    drain: Option<Drain>,
    /// No call is invoked any more, not even one that is already open.
    over: bool,
    drainer: Option<Waker>,
    /// The token of the last admitted call. A client may open many calls with one token.
    token: Option<Arc<Token>>,
    /// The answer to the next call's key exchange, if it has been prepared.
    answer: Option<Answer>,
    wakes: Wakes,
}

struct Drain {
    policy: DrainPolicy,
    /// Until when calls that have not been invoked are waited for; `None` when that has passed.
    grace: Option<Instant>,
}

impl Connection {
    /// A connection that has just been established.
    pub fn new(limits: Limits) -> Self {
        Self {
            calls: HashMap::new(),
            outbox: Buffer::new(OUTBOX_BYTES),
            inboxes: Inboxes::new(limits.connection_buffer),
            opened: false,
            invocations: VecDeque::new(),
            drain: None,
            over: false,
            drainer: None,
            token: None,
            answer: None,
            wakes: Wakes::default(),
            limits,
        }
    }

    /// The tasks that the last changes concern. They are woken after the lock has been released.
    pub(crate) fn take_wakes(&mut self) -> Wakes {
        std::mem::take(&mut self.wakes)
    }

    /// How many calls are open.
    pub fn open_calls(&self) -> usize {
        self.calls.len()
    }

    // Frames.

    /// Waits until [`receive`](Self::receive) may be called: not while a frame is held back because its
    /// call has no room, nor while too much waits to be written.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.inboxes.poll_unblocked(cx).is_pending() {
            return Poll::Pending;
        }
        // A connection that is being closed is read for the peer's close frame.
        if self.opened && self.outbox.poll_room(cx).is_pending() {
            return Poll::Pending;
        }
        self.opened = false;
        Poll::Ready(())
    }

    /// Accepts a frame. Returns the call that it opens, which the caller runs.
    pub fn receive(&mut self, now: Instant, frame: Frame) -> Option<Opening> {
        let opens = frame.kind.opens();
        self.opened = opens;
        let Some(call) = self.calls.get_mut(&frame.call) else {
            // What arrives for a call that has ended is ignored.
            return if opens { self.open(now, frame) } else { None };
        };
        if opens {
            call.fail(Error::protocol("a call is opened only once"), &mut self.wakes);
            return None;
        }
        if frame.last {
            call.keep_last(&frame.body);
            // It may be a cancellation, for which the call looks before its turn.
            call.inbox.wake_reader(&mut self.wakes);
        }
        self.deliver(now, frame.call, frame.body);
        None
    }

    fn deliver(&mut self, now: Instant, id: u64, body: Bytes) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let delivery = self.inboxes.deliver(now, id, &mut call.inbox, body, &mut self.wakes);
        if delivery == Delivery::Overflow {
            self.overflowed(id);
        }
    }

    fn open(&mut self, now: Instant, frame: Frame) -> Option<Opening> {
        if let Some(Drain { policy, .. }) = self.drain {
            if policy == DrainPolicy::Reject || frame.kind == FrameKind::LegacyOpening {
                self.reject(&frame, "this server is shutting down");
            }
            return None;
        }
        if self.calls.len() >= self.limits.max_calls {
            self.reject(&frame, "too many calls are open on this connection");
            return None;
        }
        let call = Call::new(self.limits.receive_buffer, self.limits.overflow);
        self.calls.insert(frame.call, call);
        if frame.kind == FrameKind::LegacyOpening {
            // Its first envelope came with it, before whatever comes next.
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

    /// The next frame to write; `None` after the connection was closed.
    pub fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.outbox.poll_pop(cx, &mut self.wakes).map(|popped| match popped {
            Popped::Item(frame) => Some(frame),
            Popped::Closed(_) => None,
        })
    }

    /// Queues a frame. It is never refused: messages [ask for room](Self::poll_room) first, and there are
    /// at most a few other frames for each call.
    pub fn transmit(&mut self, frame: Vec<u8>) {
        let bytes = frame.len();
        self.outbox.push(frame.into(), bytes, &mut self.wakes);
    }

    /// Waits until a message may be queued.
    ///
    /// # Errors
    ///
    /// When the connection is lost.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.outbox.poll_room(cx).map_err(|reason| reason.unwrap_or_else(closed))
    }

    /// Waits until the connection is to be closed.
    pub fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.outbox.poll_closed(cx)
    }

    // Timeouts.

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn next_timeout(&mut self) -> Option<Instant> {
        while let Some((_, id)) = self.invocations.front()
            && !awaits_invocation(&self.calls, *id)
        {
            self.invocations.pop_front();
        }
        let invocation = self.invocations.front().map(|(deadline, _)| *deadline);
        let grace = self.drain.as_ref().and_then(|drain| drain.grace);
        earliest([invocation, self.inboxes.next_timeout(), grace])
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((deadline, id)) = self.invocations.front().copied()
            && deadline <= now
        {
            self.invocations.pop_front();
            self.invocation_overdue(id);
        }
        if self.inboxes.next_timeout().is_some_and(|until| until <= now) {
            self.fail_blocked();
        }
        if let Some(drain) = &mut self.drain
            && drain.grace.is_some_and(|grace| grace <= now)
        {
            drain.grace = None;
            self.wakes.add(self.drainer.take());
        }
    }

    fn invocation_overdue(&mut self, id: u64) {
        let limit = self.limits.invoke_timeout;
        let Some(call) = self.calls.get_mut(&id) else { return };
        // A frame that has arrived is the invocation, or ends the call otherwise.
        if call.phase == Phase::Keyed && call.inbox.is_empty() {
            let message = format!("the call named no method within {limit:?}");
            call.fail(Error::new(ErrorKind::Deadline, message), &mut self.wakes);
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

    // What the tasks of calls report, and ask.

    /// The token of an earlier call, which need not be parsed and verified again.
    pub fn earlier_token(&self) -> Option<Arc<Token>> {
        self.token.clone()
    }

    /// Remembers the token of a call that was admitted, and returns the prepared answer to its key
    /// exchange, if there is one.
    pub fn admitted(&mut self, token: &Arc<Token>) -> Option<Answer> {
        if !self.token.as_ref().is_some_and(|earlier| Arc::ptr_eq(earlier, token)) {
            self.token = Some(Arc::clone(token));
        }
        self.answer.take()
    }

    /// Whether an answer is to be prepared for the next call.
    pub fn needs_answer(&self) -> bool {
        self.answer.is_none()
    }

    /// Keeps an answer for the next call.
    pub fn prepare(&mut self, answer: Answer) {
        self.answer.get_or_insert(answer);
    }

    /// Keys have been exchanged: from now on the call is waited for to name its method.
    pub fn keyed(&mut self, now: Instant, id: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.phase = Phase::Keyed;
        // A timeout that is too long for the clock is none.
        let Some(deadline) = now.checked_add(self.limits.invoke_timeout) else { return };
        if self.invocations.len() > 64 + 2 * self.calls.len() {
            let Self { invocations, calls, .. } = self;
            invocations.retain(|(_, id)| awaits_invocation(calls, *id));
        }
        if self.invocations.is_empty() {
            // Whoever drives the timeouts has to learn that there is one.
            self.outbox.wake_consumer(&mut self.wakes);
        }
        self.invocations.push_back((deadline, id));
    }

    /// Notes that a call has named its method; `asked` if the request that came with it is the only one.
    /// Returns whether the method may be run.
    pub fn invoke(&mut self, id: u64, asked: bool) -> bool {
        if self.over {
            return false;
        }
        if let Some(call) = self.calls.get_mut(&id) {
            call.phase = if asked { Phase::HalfClosed } else { Phase::Open };
        }
        self.wakes.add(self.drainer.take());
        true
    }

    /// The caller has said everything.
    pub fn half_closed(&mut self, id: u64) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.phase = Phase::HalfClosed;
        }
    }

    /// Reads the next frame of a call; the reason after the last one.
    pub fn poll_read(&mut self, id: u64, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        let Some(call) = self.calls.get_mut(&id) else { return Poll::Ready(Err(closed())) };
        match self.inboxes.poll_pop(&mut call.inbox, cx, &mut self.wakes) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Popped::Closed(reason)) => Poll::Ready(Err(reason.unwrap_or_else(closed))),
            Poll::Ready(Popped::Item(body)) => {
                self.unblock();
                Poll::Ready(Ok(body))
            }
        }
    }

    /// A frame that may cancel the call, to be looked at before its turn. Each is returned once.
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
            self.inboxes.abandon(&mut call.inbox, &mut self.wakes);
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

    /// Opens no further calls.
    pub fn drain(&mut self, now: Instant, policy: DrainPolicy) {
        self.drain = Some(Drain { policy, grace: Some(now + INVOCATION_GRACE) });
        // Whoever drives the timeouts has to learn of the grace period.
        self.outbox.wake_consumer(&mut self.wakes);
    }

    /// Waits until the calls have ended whose callers have said everything, and for a grace period until
    /// those have named their method that have exchanged keys. After that no call is invoked any more.
    pub fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let in_grace = self.drain.as_ref().is_some_and(|drain| drain.grace.is_some());
        let due = |call: &Call| match call.phase {
            Phase::HalfClosed => true,
            Phase::Keying | Phase::Keyed => in_grace,
            Phase::Open => false,
        };
        if self.calls.values().any(|call| due(call)) {
            register(&mut self.drainer, cx);
            return Poll::Pending;
        }
        self.over = true;
        Poll::Ready(())
    }

    /// Ends the connection after everything queued has been written. No call is invoked any more: its
    /// caller could not be answered.
    pub fn close(&mut self) {
        self.over = true;
        self.outbox.close(None, &mut self.wakes);
    }

    /// Fails all calls: the connection is lost. What has arrived can still be read.
    pub fn lose(&mut self, reason: &Error) {
        self.over = true;
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

fn awaits_invocation(calls: &HashMap<u64, Box<Call>>, id: u64) -> bool {
    calls.get(&id).is_some_and(|call| call.phase == Phase::Keyed)
}

/// One text for every failure to open a payload. Its length shows on the wire and must not become a
/// padding oracle.
pub(crate) fn unopened(error: ProtocolError) -> Error {
    tracing::debug!(%error, "a payload cannot be opened");
    Error::protocol("a payload cannot be opened").with_source(error)
}

fn closed() -> Error {
    Error::connection("the connection is closed")
}
