//! One connection: opens calls, routes their frames and tracks their timeouts.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    call::{Call, KeyExchange, Phase},
    pool::CallPool,
};
use crate::{
    error::{Error, ErrorKind, Executed, Result},
    method::MethodKind,
    options::CallOptions,
    proto::{
        ProtocolError, call,
        crypto::CallKey,
        flow::{Delivery, Inboxes, OUTBOX_BYTES, earliest},
        frame::{Frame, FrameKind},
        handshake::CallToken,
    },
    queue::{Buffer, Popped, Wakes},
};

/// Key exchanges wait for messages that take at least this long to arrive.
const LONG_MESSAGE: Duration = Duration::from_secs(1);
/// The time after which they no longer wait: a peer that sends a message byte by byte must not hold
/// up its callers for hours.
const LONGEST_MESSAGE: Duration = Duration::from_mins(5);

/// The limits and timeouts of a connection.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The maximum number of open calls.
    pub max_calls: usize,
    /// The maximum number of bytes of unread responses, for all calls together.
    pub connection_buffer: usize,
    /// Lets a slow reader block the connection for as long as it keeps reading.
    pub patient: bool,
    /// The time within which the Volt must answer a key exchange.
    pub key_exchange_timeout: Duration,
    /// The number of pre-opened calls.
    pub preopened_calls: usize,
    /// The maximum age at which a pre-opened call may be taken.
    pub preopened_max_age: Duration,
}

/// The client's end of one connection.
pub struct Connection {
    pub(super) limits: Limits,
    /// Boxed, so that growing the map only moves pointers.
    pub(super) calls: HashMap<u64, Box<Call>>,
    pub(super) next_id: u64,
    pub(super) pool: CallPool,
    pub(super) outbox: Buffer<Bytes>,
    pub(super) inboxes: Inboxes,
    /// Calls that wait for the Volt's key. They share one timeout, so they are in deadline order.
    /// Entries of calls that no longer wait are skipped lazily.
    pub(super) keying: VecDeque<(Instant, u64)>,
    /// Calls that may have work for the worker.
    pub(super) work: VecDeque<u64>,
    pub(super) worker: Option<Waker>,
    /// Woken when no more answers are due.
    pub(super) drainer: Option<Waker>,
    /// The reason why no further calls can be opened: the connection is lost or closing.
    pub(super) closed: Option<Error>,
    pub(super) lost: bool,
    /// The Volt has sent something.
    pub(super) heard: bool,
    /// The number of calls that the Volt has ended.
    pub(super) ended: usize,
    /// When the incomplete message that is being received was first noticed.
    arriving: Option<Instant>,
    /// When a part of a message that takes long was last received.
    delayed: Option<Instant>,
    pub(super) wakes: Wakes,
}

impl Connection {
    /// Creates the state of a new connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            calls: HashMap::new(),
            next_id: 1,
            pool: CallPool::new(limits.preopened_calls, limits.preopened_max_age),
            outbox: Buffer::new(OUTBOX_BYTES),
            inboxes: Inboxes::new(limits.connection_buffer),
            keying: VecDeque::new(),
            work: VecDeque::new(),
            worker: None,
            drainer: None,
            closed: None,
            lost: false,
            heard: false,
            ended: 0,
            arriving: None,
            delayed: None,
            wakes: Wakes::default(),
            limits,
        }
    }

    /// Takes the wakers of the tasks to wake. The caller wakes them after releasing the lock.
    pub(crate) fn take_wakes(&mut self) -> Wakes {
        std::mem::take(&mut self.wakes)
    }

    /// Returns the number of open calls, including those whose end has not been sent to the Volt
    /// yet. Calls that the Volt has ended do not count, even if they are never read.
    pub fn open_calls(&self) -> usize {
        if self.lost { 0 } else { self.calls.len() - self.ended }
    }

    /// Returns the ids of these calls.
    pub fn open_ids(&self) -> impl Iterator<Item = u64> {
        self.calls.iter().filter(|(_, call)| !call.ended).map(|(id, _)| *id)
    }

    /// Returns whether a frame is held back because its call has no room.
    pub fn is_blocked(&self) -> bool {
        self.inboxes.blocked_call().is_some()
    }

    /// Returns whether the Volt has sent anything yet.
    pub fn has_heard(&self) -> bool {
        self.heard
    }

    /// Returns whether the connection is lost.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Returns whether calls are pre-opened.
    pub fn is_pooled(&self) -> bool {
        self.pool.is_enabled()
    }

    // Opening calls.

    /// Opens a call with a token.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost or closing, if too many calls are open, or if the token does
    /// not fit a frame.
    pub fn open(
        &mut self,
        now: Instant,
        token: &CallToken,
        kind: MethodKind,
        options: &CallOptions,
    ) -> Result<u64> {
        self.admit()?;
        let id = self.next_id();
        let (handshake, frame) = token.open(id).map_err(cannot_open)?;
        self.insert(now, id, Call::new(KeyExchange::Awaiting(handshake), kind, options));
        self.transmit(frame);
        Ok(id)
    }

    /// Opens a legacy call, whose first message carries its key.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost or closing, or if too many calls are open.
    pub fn open_legacy(
        &mut self,
        now: Instant,
        key: CallKey,
        kind: MethodKind,
        options: &CallOptions,
    ) -> Result<u64> {
        self.admit()?;
        let id = self.next_id();
        self.insert(now, id, Call::new(KeyExchange::Done(Arc::new(key)), kind, options));
        Ok(id)
    }

    /// Takes a pre-opened call, if there is one. Either way the pool is refilled.
    ///
    /// # Errors
    ///
    /// Same as [`open_legacy`](Self::open_legacy).
    pub fn take_preopened(
        &mut self,
        now: Instant,
        kind: MethodKind,
        options: &CallOptions,
    ) -> Result<Option<u64>> {
        self.admit()?;
        let taken = self.pool.take(now);
        self.wakes.add(self.worker.take());
        // The call moves between the two collections under one lock, so that no answer is lost.
        Ok(taken.map(|(id, exchange)| {
            self.insert(now, id, Call::new(exchange, kind, options));
            id
        }))
    }

    /// Opens a call for the pool.
    ///
    /// # Errors
    ///
    /// Fails if the token does not fit a frame.
    pub fn preopen(&mut self, now: Instant, token: &CallToken) -> Result<()> {
        let id = self.next_id();
        let (handshake, frame) = token.open(id).map_err(cannot_open)?;
        if self.closed.is_none() {
            self.pool.add(id, handshake, now);
            self.transmit(frame);
        }
        Ok(())
    }

    fn admit(&self) -> Result<()> {
        if let Some(reason) = &self.closed {
            return Err(reason.clone().with_executed(Executed::No));
        }
        let max_calls = self.limits.max_calls;
        if self.open_calls() >= max_calls {
            let message = format!(
                "{max_calls} calls are open on this connection: wait until one ends, or raise \
                 `ConnectOptions::max_calls`"
            );
            return Err(
                Error::new(ErrorKind::ResourceExhausted, message).with_executed(Executed::No)
            );
        }
        Ok(())
    }

    fn next_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn insert(&mut self, now: Instant, id: u64, call: Box<Call>) {
        if matches!(call.exchange, KeyExchange::Awaiting(_)) {
            self.await_key(now, id);
        }
        self.calls.insert(id, call);
        if let Some(blocked) = self.inboxes.blocked_call()
            && !self.limits.patient
        {
            let inbox = self.calls.get(&blocked).map(|call| &call.inbox);
            self.inboxes.hurry(now, inbox);
            // Wake the driver, so that it sees the new timeout.
            self.outbox.wake_consumer(&mut self.wakes);
        }
    }

    /// Starts the timeout of a call that waits for the Volt's key.
    pub(super) fn await_key(&mut self, now: Instant, id: u64) {
        // A timeout beyond the clock's range never expires.
        let Some(deadline) = now.checked_add(self.limits.key_exchange_timeout) else { return };
        if self.keying.len() > 64 + 2 * self.calls.len() {
            let Self { keying, calls, .. } = self;
            keying.retain(|(_, id)| awaits_key(calls, *id));
        }
        if self.keying.is_empty() {
            // Wake the driver, so that it sees the new timeout.
            self.outbox.wake_consumer(&mut self.wakes);
        }
        self.keying.push_back((deadline, id));
    }

    // Frames.

    /// Waits until [`receive`](Self::receive) may be called. Pending while a frame is held back
    /// because its call has no room.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.inboxes.poll_unblocked(cx)
    }

    /// Accepts a frame.
    pub fn receive(&mut self, now: Instant, frame: Frame) {
        self.heard = true;
        self.arriving = None;
        let patient = self.limits.patient || self.open_calls() <= 1;
        let Some(call) = self.calls.get_mut(&frame.call) else {
            // An unknown call is pooled or has ended on this side. Late frames are ignored.
            if self.pool.receive(frame) {
                self.wakes.add(self.worker.take());
            }
            return;
        };
        match frame.kind {
            FrameKind::KeyExchange => self.key_replied(frame.call, frame.body),
            // Only a client opens calls.
            FrameKind::LegacyOpening => {}
            FrameKind::Invoke | FrameKind::Payload => {
                if call.ended {
                    // Frames after the last are ignored: their number is up to the sender.
                    return;
                }
                // No more can be sent after a frame that is marked as the last in clear text, nor
                // after one that precedes the key.
                let keyless = matches!(call.exchange, KeyExchange::Awaiting(_));
                let rejected = || keyless && matches!(call::rejection(&frame.body), Ok(Some(_)));
                if frame.last || rejected() {
                    call.stop_sending(&mut self.wakes);
                    if keyless {
                        // Dropping the call then removes it: there is nothing to cancel.
                        call.exchange = KeyExchange::Failed;
                    }
                    self.ended += 1;
                    call.ended = true;
                    // Frames that have arrived can be read after the connection has closed.
                    self.wakes.add(self.drainer.take());
                    if call.abandoned {
                        return self.remove(frame.call);
                    }
                } else if keyless {
                    call.stop_sending(&mut self.wakes);
                    if call.abandoned {
                        // The call is cancelled once its key arrives.
                        return;
                    }
                }
                let inbox = &mut call.inbox;
                let delivery = self.inboxes.deliver(
                    now,
                    frame.call,
                    inbox,
                    frame.body,
                    patient,
                    &mut self.wakes,
                );
                if delivery == Delivery::Overflow {
                    self.overflowed(frame.call);
                }
            }
        }
    }

    /// Called when a part of a message has been received, but not the whole.
    pub fn arriving(&mut self, now: Instant) {
        let since = *self.arriving.get_or_insert(now);
        if (LONG_MESSAGE..LONGEST_MESSAGE).contains(&now.saturating_duration_since(since)) {
            self.delayed = Some(now);
        }
    }

    fn key_replied(&mut self, id: u64, body: Bytes) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if !call.exchange.reply(body) {
            // Earlier frames can still be read with the first key.
            let error = Error::protocol("the Volt exchanged keys twice");
            call.inbox.close(error, &mut self.wakes);
            return;
        }
        call.wake_halves(&mut self.wakes);
        if call.needs_worker() {
            self.schedule(id);
        }
    }

    /// Returns the next frame to write, or `None` after the connection was closed.
    pub fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.outbox.poll_pop(cx, &mut self.wakes).map(|popped| match popped {
            Popped::Item(frame) => Some(frame),
            Popped::Closed(_) => None,
        })
    }

    pub(super) fn transmit(&mut self, frame: Vec<u8>) {
        let bytes = frame.len();
        self.outbox.push(frame.into(), bytes, &mut self.wakes);
    }

    /// Queues the frame that ends a call.
    pub(super) fn transmit_sealed(&mut self, frame: Result<Vec<u8>, ProtocolError>) {
        match frame {
            Ok(frame) => self.transmit(frame),
            Err(error) => tracing::warn!(%error, "the end of a call cannot be sealed"),
        }
    }

    /// Waits until the connection should close.
    pub fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.outbox.poll_closed(cx)
    }

    // Timeouts.

    /// Returns the time at which [`handle_timeout`](Self::handle_timeout) must be called next.
    pub fn next_timeout(&mut self) -> Option<Instant> {
        while let Some((_, id)) = self.keying.front()
            && !awaits_key(&self.calls, *id)
        {
            self.keying.pop_front();
        }
        let keying = self.keying.front().map(|(deadline, _)| self.answer_due(*deadline));
        earliest([keying, self.inboxes.next_timeout(), self.pool.next_expiry()])
    }

    /// Handles the timeouts that have expired at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_blocked() {
            // Nothing is read meanwhile, so no key exchange can be answered.
            self.delayed = Some(now);
        }
        while let Some((deadline, id)) = self.keying.front().copied()
            && self.answer_due(deadline) <= now
        {
            self.keying.pop_front();
            self.key_overdue(id);
        }
        let blocked = self.inboxes.blocked_call().and_then(|id| self.calls.get(&id));
        if self.inboxes.handle_timeout(now, blocked.map(|call| &call.inbox)) {
            self.fail_blocked();
        }
        if self.pool.expire(now) {
            self.wakes.add(self.worker.take());
        }
    }

    /// Returns when a key exchange with this deadline fails. An answer queued behind a
    /// long message, or behind a frame that is held back, arrives after it.
    fn answer_due(&self, deadline: Instant) -> Instant {
        let delayed = self.delayed.and_then(|at| at.checked_add(self.limits.key_exchange_timeout));
        delayed.map_or(deadline, |delayed| delayed.max(deadline))
    }

    fn key_overdue(&mut self, id: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if !matches!(call.exchange, KeyExchange::Awaiting(_)) {
            return;
        }
        if call.abandoned {
            // Without a key there is no way to cancel the call on the wire.
            return self.remove(id);
        }
        let limit = self.limits.key_exchange_timeout;
        let message = format!("the Volt did not answer the key exchange within {limit:?}");
        let error = Error::new(ErrorKind::Deadline, message).with_executed(Executed::No);
        call.inbox.close(error, &mut self.wakes);
        call.stop_sending(&mut self.wakes);
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
        let message = "responses arrive faster than they are read, and the buffer for them is full: \
                       read them faster, or make the call with `own_connection`";
        call.inbox.close(Error::new(ErrorKind::ResourceExhausted, message), &mut self.wakes);
        call.stop_sending(&mut self.wakes);
        call.phase = Phase::Closing;
        self.schedule(id);
    }

    pub(super) fn remove(&mut self, id: u64) {
        if let Some(mut call) = self.calls.remove(&id) {
            self.ended -= usize::from(call.ended);
            self.inboxes.abandon(id, &mut call.inbox, &mut self.wakes);
        }
        self.unblock();
        self.wake_drainer();
    }

    pub(super) fn unblock(&mut self) {
        let Some(id) = self.inboxes.blocked_call() else { return };
        let inbox = self.calls.get_mut(&id).map(|call| &mut call.inbox);
        self.inboxes.unblock(inbox, &mut self.wakes);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("open_calls", &self.open_calls()).finish_non_exhaustive()
    }
}

pub(super) fn awaits_key(calls: &HashMap<u64, Box<Call>>, id: u64) -> bool {
    calls.get(&id).is_some_and(|call| matches!(call.exchange, KeyExchange::Awaiting(_)))
}

fn cannot_open(error: ProtocolError) -> Error {
    Error::protocol("the call cannot be opened").with_source(error).with_executed(Executed::No)
}
