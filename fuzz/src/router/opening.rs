//! The key exchanges that open calls, with tokens of all kinds that a stranger can create.

use std::{
    cell::RefCell,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use volt_api::key::SigningKey;
use volt_runtime::__core::{
    crypto::{self, CallKey, Ephemeral},
    handshake::{CallToken, Route, Via},
};

use super::FIXED;

/// The number of kinds of tokens.
const KINDS: u8 = 10;
/// The first kind that the Volt must refuse.
const REFUSED: u8 = 4;

struct Opening {
    ephemeral: Ephemeral,
    frame: Vec<u8>,
}

impl Opening {
    fn new(kind: u8) -> Self {
        let core = &FIXED.core;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let volt = core.owner.volt.id.clone().unwrap();
        let session = core.owner.session_id().unwrap();
        let to = |destinations: &[&str]| Via {
            destinations: destinations.iter().map(|id| (*id).to_owned()).collect(),
            ..Via::default()
        };
        let (audience, session, via, time) = match kind {
            0 | 1 => (&*volt, None, Via::default(), now),
            2 => (&*volt, None, to(&[&volt]), now),
            3 => (&*volt, Some(""), Via::default(), now),
            // The session of the owner, with a stranger's signature.
            4 => (&*volt, Some(session), Via::default(), now),
            5 => (&*volt, Some("unknown"), Via::default(), now),
            6 => ("did:volt:another", None, Via::default(), now),
            7 => (&*volt, None, Via::default(), now - 3600),
            8 => (&*volt, None, Via::default(), now + 3600),
            _ => ("host", None, to(&[&volt, "host"]), now),
        };
        let key = SigningKey::generate().unwrap();
        let route = Route { audience: audience.to_owned(), signer: key.verifying_key(), via };
        let raw = crypto::random::<32>().unwrap();
        let sent = Ephemeral::from_raw(&raw).unwrap();
        let (_, frame) =
            CallToken::new(&route, &key, session, sent, time).unwrap().open(0).unwrap();
        Self { ephemeral: Ephemeral::from_raw(&raw).unwrap(), frame }
    }
}

thread_local! {
    static OPENINGS: RefCell<Option<(Instant, Vec<Opening>)>> = const { RefCell::new(None) };
}

/// Recreates the openings before their tokens expire, but not within one input.
pub(super) fn renew() {
    OPENINGS.with_borrow_mut(|openings| {
        let old = Duration::from_secs(30);
        if openings.as_ref().is_none_or(|(made, _)| made.elapsed() > old) {
            *openings = Some((Instant::now(), (0..KINDS).map(Opening::new).collect()));
        }
    });
}

/// Returns whether the Volt may answer the key exchange.
pub(super) fn is_acceptable(kind: u8) -> bool {
    kind % KINDS < REFUSED
}

fn with<T>(kind: u8, work: impl FnOnce(&Opening) -> T) -> T {
    OPENINGS.with_borrow(|openings| {
        let (_, openings) = openings.as_ref().unwrap();
        work(&openings[usize::from(kind % KINDS)])
    })
}

/// The frame that opens a call.
pub(super) fn frame(call: u64, kind: u8) -> Vec<u8> {
    let mut frame = with(kind, |opening| opening.frame.clone());
    frame[2..10].copy_from_slice(&call.to_be_bytes());
    frame
}

/// The key of a call that the server has answered with this key.
pub(super) fn agree(kind: u8, key: &[u8]) -> Option<CallKey> {
    with(kind, |opening| opening.ephemeral.agree(key).ok())
}
