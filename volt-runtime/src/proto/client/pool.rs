//! Pre-opened calls.
//!
//! A key exchange names no method, so a client can complete some in advance. A call that takes one of
//! them is invoked at once and costs one round trip instead of two. Keep the pool small and
//! short-lived: each entry occupies a call slot on the Volt, and its key stays in memory. Entries that
//! get too old are ended on the wire like any call.

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::call::{KeyExchange, Work};
use crate::proto::{
    crypto::CallKey,
    frame::{Frame, FrameKind},
    handshake::ClientHandshake,
};

/// The pre-opened calls of a connection, the oldest first.
#[derive(Debug, Default)]
pub struct CallPool {
    calls: VecDeque<Pooled>,
    limit: usize,
    max_age: Duration,
    /// Set when a call was taken since the pool was last full.
    wanted: bool,
}

#[derive(Debug)]
struct Pooled {
    id: u64,
    opened: Instant,
    exchange: KeyExchange,
    /// Too old to be taken. It is ended as soon as it has a key.
    expired: bool,
}

impl CallPool {
    /// A pool of at most `limit` calls, none of which is taken when it is older than `max_age`.
    pub fn new(limit: usize, max_age: Duration) -> Self {
        Self { calls: VecDeque::new(), limit, max_age, wanted: true }
    }

    /// Whether there may be pre-opened calls.
    pub(super) fn is_enabled(&self) -> bool {
        self.limit > 0
    }

    /// Takes the oldest call: its number and its key exchange.
    pub fn take(&mut self, now: Instant) -> Option<(u64, KeyExchange)> {
        self.wanted = true;
        let max_age = self.max_age;
        // The result of a derivation that is under way is for this pool.
        let fits = |call: &Pooled| {
            !matches!(call.exchange, KeyExchange::Deriving)
                && !call.expired
                && now.saturating_duration_since(call.opened) < max_age
        };
        let call = self.calls.remove(self.calls.iter().position(fits)?)?;
        Some((call.id, call.exchange))
    }

    /// How many calls should be opened now. After the pool has been filled this is zero until a call is
    /// taken or asked for: on an idle connection expired calls are not replaced.
    pub fn missing(&mut self) -> usize {
        let missing = self.limit.saturating_sub(self.calls.len());
        if mem::take(&mut self.wanted) { missing } else { 0 }
    }

    /// Adds a call that has been opened.
    pub fn add(&mut self, id: u64, handshake: ClientHandshake, now: Instant) {
        let exchange = KeyExchange::Awaiting(handshake);
        self.calls.push_back(Pooled { id, opened: now, exchange, expired: false });
    }

    /// Accepts a frame of the Volt. Returns whether there may be something to do for the pool.
    pub(super) fn receive(&mut self, frame: Frame) -> bool {
        if frame.kind == FrameKind::KeyExchange {
            return self.replied(frame.call, frame.body);
        }
        // Whatever the Volt says to a call that has not been invoked ends that call.
        self.dropped(frame.call);
        false
    }

    /// Accepts the Volt's key for a call. Returns whether that call is in the pool.
    pub fn replied(&mut self, id: u64, body: Bytes) -> bool {
        let Some(call) = self.calls.iter_mut().find(|call| call.id == id) else {
            return false;
        };
        if !call.exchange.reply(body) {
            // A Volt that exchanges keys twice cannot be trusted with this call.
            self.dropped(id);
        }
        true
    }

    /// Removes a call that the Volt has rejected or ended.
    pub fn dropped(&mut self, id: u64) {
        self.calls.retain(|call| call.id != id);
    }

    /// Empties the pool for good: the connection is lost.
    pub fn clear(&mut self) {
        self.calls.clear();
        self.limit = 0;
    }

    /// A key that is to be derived.
    pub fn derive(&mut self) -> Option<Work> {
        self.calls.iter_mut().find_map(|call| call.exchange.derive(call.id))
    }

    /// Accepts a derived key. A call without one is forgotten, as is one that the Volt has dropped
    /// meanwhile.
    pub fn derived(&mut self, id: u64, key: Option<Arc<CallKey>>) {
        match (key, self.calls.iter_mut().find(|call| call.id == id)) {
            (Some(key), Some(call)) => call.exchange = KeyExchange::Done(key),
            (None, _) => self.dropped(id),
            (Some(_), None) => {}
        }
    }

    /// Marks the calls that are too old by now. Returns whether there were any.
    pub fn expire(&mut self, now: Instant) -> bool {
        let mut any = false;
        for call in &mut self.calls {
            if !call.expired && now.saturating_duration_since(call.opened) >= self.max_age {
                call.expired = true;
                any = true;
            }
        }
        any
    }

    /// Removes an expired call that can be ended on the wire, because it has a key.
    pub fn expired(&mut self) -> Option<(u64, Arc<CallKey>)> {
        let ended = |call: &Pooled| call.expired && call.exchange.key().is_some();
        let call = self.calls.remove(self.calls.iter().position(ended)?)?;
        Some((call.id, Arc::clone(call.exchange.key()?)))
    }

    /// When [`expire`](Self::expire) will have something to do; `None` when no call gets old.
    pub fn next_expiry(&self) -> Option<Instant> {
        let fresh = |call: &&Pooled| !call.expired;
        // An age that is too great for the clock is never reached.
        self.calls.iter().find(fresh)?.opened.checked_add(self.max_age)
    }
}
