//! Pre-opened calls.
//!
//! A key exchange names no method, so a client can complete some in advance. A call taken from the
//! pool is invoked at once and costs one round trip instead of two. Keep the pool small and
//! short-lived: each entry occupies a call slot on the Volt, and its key stays in memory. Expired
//! entries are ended on the wire like any call.
//!
//! An entry is a key exchange without a call. When it is taken, it becomes a call with the same id. The
//! pool is filled when the connection begins and after each use, never because entries have expired: an
//! unused connection stays silent.

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

/// The pre-opened calls of a connection, oldest first.
#[derive(Debug, Default)]
pub struct CallPool {
    calls: VecDeque<Pooled>,
    limit: usize,
    max_age: Duration,
    /// Set when a call was taken since the pool was last full.
    wanted: bool,
}

/// An entry of the pool.
#[derive(Debug)]
struct Pooled {
    /// The number that the call has on the wire, before and after it is taken.
    id: u64,
    opened: Instant,
    /// Taken along by the call, with the key if there is one.
    exchange: KeyExchange,
    /// Too old to be taken. The call is ended as soon as it has a key.
    expired: bool,
}

impl CallPool {
    /// Creates a pool of at most `limit` calls. Calls older than `max_age` are not taken.
    pub fn new(limit: usize, max_age: Duration) -> Self {
        Self { calls: VecDeque::new(), limit, max_age, wanted: true }
    }

    /// Returns whether the pool may hold any calls.
    pub(super) fn is_enabled(&self) -> bool {
        self.limit > 0
    }

    /// Takes the oldest usable call: its id and its key exchange.
    pub fn take(&mut self, now: Instant) -> Option<(u64, KeyExchange)> {
        self.wanted = true;
        let max_age = self.max_age;
        // Take the oldest first: it would expire next. The result of a running derivation is
        // delivered to this pool, so such a call stays.
        let fits = |call: &Pooled| {
            !matches!(call.exchange, KeyExchange::Deriving)
                && !call.expired
                && now.saturating_duration_since(call.opened) < max_age
        };
        let call = self.calls.remove(self.calls.iter().position(fits)?)?;
        Some((call.id, call.exchange))
    }

    /// Returns the number of calls to open now. Once the pool has been filled, this is zero until a
    /// call is requested: expired calls are not replaced on an idle connection.
    pub fn missing(&mut self) -> usize {
        let missing = self.limit.saturating_sub(self.calls.len());
        if mem::take(&mut self.wanted) { missing } else { 0 }
    }

    /// Adds a call that has been opened.
    pub fn add(&mut self, id: u64, handshake: ClientHandshake, now: Instant) {
        let exchange = KeyExchange::Awaiting(handshake);
        self.calls.push_back(Pooled { id, opened: now, exchange, expired: false });
    }

    /// Accepts a frame from the Volt. Returns whether the pool may have work to do.
    pub(super) fn receive(&mut self, frame: Frame) -> bool {
        if frame.kind == FrameKind::KeyExchange {
            return self.replied(frame.call, frame.body);
        }
        // Any other frame for a call that has not been invoked ends that call: a Volt has nothing to
        // send for it but a rejection.
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

    /// Empties the pool permanently: the connection is lost.
    pub fn clear(&mut self) {
        self.calls.clear();
        self.limit = 0;
    }

    /// Returns the next key derivation to do, if any.
    pub fn derive(&mut self) -> Option<Work> {
        self.calls.iter_mut().find_map(|call| call.exchange.derive(call.id))
    }

    /// Accepts a derived key. A call whose derivation failed is removed. The key of a call that the
    /// Volt has dropped meanwhile is discarded.
    pub fn derived(&mut self, id: u64, key: Option<Arc<CallKey>>) {
        match (key, self.calls.iter_mut().find(|call| call.id == id)) {
            (Some(key), Some(call)) => call.exchange = KeyExchange::Done(key),
            (None, _) => self.dropped(id),
            (Some(_), None) => {}
        }
    }

    /// Marks the calls that have become too old. Returns whether there were any.
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

    /// Removes and returns an expired call that has a key, so that it can be ended on the wire.
    pub fn expired(&mut self) -> Option<(u64, Arc<CallKey>)> {
        let ended = |call: &Pooled| call.expired && call.exchange.key().is_some();
        let call = self.calls.remove(self.calls.iter().position(ended)?)?;
        Some((call.id, Arc::clone(call.exchange.key()?)))
    }

    /// Returns when [`expire`](Self::expire) must be called next, or `None` if no call will expire.
    pub fn next_expiry(&self) -> Option<Instant> {
        let fresh = |call: &&Pooled| !call.expired;
        // An age beyond the clock's range is never reached.
        self.calls.iter().find(fresh)?.opened.checked_add(self.max_age)
    }
}
