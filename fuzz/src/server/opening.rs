//! The key exchanges that open calls.

use std::{
    cell::RefCell,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use volt_runtime::__core::{
    crypto::{self, Ephemeral},
    handshake::ClientHandshake,
};

use super::FIXED;

/// A key exchange, created once and sent for many calls, which a token allows.
pub(crate) struct Opening {
    made: Instant,
    pub(crate) ephemeral: Ephemeral,
    frame: Vec<u8>,
}

impl Opening {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let raw = crypto::random::<32>().unwrap();
        let (sent, key) = (Ephemeral::from_raw(&raw).unwrap(), &FIXED.client);
        let (_, frame) = ClientHandshake::begin(0, &FIXED.route, key, None, sent, now).unwrap();
        Self { made: Instant::now(), ephemeral: Ephemeral::from_raw(&raw).unwrap(), frame }
    }

    /// Returns whether the token may expire soon.
    pub(crate) fn is_old(&self) -> bool {
        self.made.elapsed() > Duration::from_secs(30)
    }
}

thread_local! {
    static OPENINGS: RefCell<Vec<Opening>> = const { RefCell::new(Vec::new()) };
}

/// Recreates the openings before their tokens expire, but not within one input.
pub(crate) fn renew() {
    OPENINGS.with_borrow_mut(|openings| {
        if openings.first().is_none_or(Opening::is_old) {
            *openings = (0..3).map(|_| Opening::new()).collect();
        }
    });
}

pub(crate) fn with<T>(key: u8, work: impl FnOnce(&Opening) -> T) -> T {
    OPENINGS.with_borrow(|openings| work(&openings[usize::from(key) % openings.len()]))
}

/// The frame that opens a call.
pub(crate) fn frame(call: u64, key: u8) -> Vec<u8> {
    let mut frame = with(key, |opening| opening.frame.clone());
    frame[2..10].copy_from_slice(&call.to_be_bytes());
    frame
}
