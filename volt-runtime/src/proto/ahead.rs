//! Calls whose keys are exchanged before anybody makes them.
//!
//! A key exchange names no method, so that a client can have a few done in advance; a call that takes
//! one of them is invoked at once and costs one round trip instead of two. They are few and young:
//! each counts as an open call of the Volt's, which may drop it, and with its key lives the memory of
//! it. What gets too old is ended on the wire like any call.

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    ProtocolError,
    call::Outgoing,
    crypto::CallKey,
    frame::{Frame, FrameKind},
    handshake::ClientHandshake,
};

/// How far the key exchange of a call has come.
#[derive(Debug)]
pub enum Progress {
    /// The Volt's key has not come.
    Waiting(ClientHandshake),
    /// It has, and is still to be worked with.
    Replied(ClientHandshake, Bytes),
    /// Done.
    Ready(Arc<CallKey>),
}

/// The calls of a connection that nobody has made yet, the oldest first.
#[derive(Debug, Default)]
pub struct Ahead {
    calls: VecDeque<Call>,
    limit: usize,
    max_age: Duration,
    /// There was a call since the last time that all were there.
    wanted: bool,
}

#[derive(Debug)]
struct Call {
    id: u64,
    opened: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(Progress),
    /// The key is being worked out elsewhere.
    Working,
    /// Too old, and its key has not come: it can be ended only after that.
    Old(ClientHandshake),
}

/// A reply to be worked with, by [`Ahead::complete`].
#[derive(Debug)]
pub struct Reply {
    id: u64,
    handshake: ClientHandshake,
    body: Bytes,
}

impl Reply {
    /// Works the key out. This takes some time, and no lock should be held meanwhile.
    ///
    /// # Errors
    ///
    /// As [`ClientHandshake::complete`].
    pub fn key(&self) -> Result<CallKey, ProtocolError> {
        self.handshake.complete(self.body.clone())
    }
}

impl Ahead {
    /// At most `limit` calls, none of which is given out when it is older than `max_age`.
    pub fn new(limit: usize, max_age: Duration) -> Self {
        Self { calls: VecDeque::new(), limit, max_age, wanted: true }
    }

    /// The oldest call, for somebody who makes one now: its number and its key exchange.
    pub fn take(&mut self, now: Instant) -> Option<(u64, Progress)> {
        self.wanted = true;
        let max_age = self.max_age;
        let fits = |call: &Call| {
            matches!(call.state, State::Open(_)) && now.duration_since(call.opened) < max_age
        };
        let call = self.calls.remove(self.calls.iter().position(fits)?)?;
        match call.state {
            State::Open(progress) => Some((call.id, progress)),
            State::Working | State::Old(_) => None,
        }
    }

    /// How many calls should be opened now. Once all are there this is none until one is taken, or
    /// asked for, again: on a connection that nobody uses they are not replaced for ever.
    pub fn missing(&mut self) -> usize {
        let missing = self.limit.saturating_sub(self.calls.len());
        if mem::take(&mut self.wanted) { missing } else { 0 }
    }

    /// A call has been opened.
    pub fn add(&mut self, id: u64, handshake: ClientHandshake, now: Instant) {
        let state = State::Open(Progress::Waiting(handshake));
        self.calls.push_back(Call { id, opened: now, state });
    }

    /// A frame of the Volt's has come, for a call that nobody has made. Whether it was for one of
    /// these, and there may be something to do.
    pub fn take_frame(&mut self, frame: Frame) -> bool {
        if frame.kind == FrameKind::KeyExchange {
            return self.replied(frame.call, frame.body);
        }
        // Whatever the Volt says before it was asked anything, it is the end.
        self.dropped(frame.call);
        false
    }

    /// The Volt's key for a call has come. Whether it is one of these.
    pub fn replied(&mut self, id: u64, body: Bytes) -> bool {
        let Some(call) = self.calls.iter_mut().find(|call| call.id == id) else {
            return false;
        };
        call.state = match mem::replace(&mut call.state, State::Working) {
            State::Open(Progress::Waiting(handshake)) => {
                State::Open(Progress::Replied(handshake, body))
            }
            // Worked with like the others, and ended then.
            State::Old(handshake) => State::Open(Progress::Replied(handshake, body)),
            // A Volt that exchanges keys twice is no use.
            State::Open(_) | State::Working => {
                self.dropped(id);
                return true;
            }
        };
        true
    }

    /// The Volt has turned a call away, or ended it.
    pub fn dropped(&mut self, id: u64) {
        self.calls.retain(|call| call.id != id);
    }

    /// The connection is gone.
    pub fn clear(&mut self) {
        self.calls.clear();
        self.limit = 0;
    }

    /// A reply that waits to be worked with.
    pub fn reply(&mut self) -> Option<Reply> {
        self.calls.iter_mut().find_map(|call| match mem::replace(&mut call.state, State::Working) {
            State::Open(Progress::Replied(handshake, body)) => {
                Some(Reply { id: call.id, handshake, body })
            }
            other => {
                call.state = other;
                None
            }
        })
    }

    /// A reply has been worked with. Without a key its call is forgotten.
    pub fn complete(&mut self, reply: &Reply, key: Option<CallKey>) {
        match (key, self.calls.iter_mut().find(|call| call.id == reply.id)) {
            (Some(key), Some(call)) => {
                call.state = State::Open(Progress::Ready(Arc::new(key)));
            }
            (None, _) => self.dropped(reply.id),
            // The Volt has dropped it meanwhile.
            (Some(_), None) => {}
        }
    }

    /// The frames that end what is too old now.
    pub fn expire(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let (old, young) = mem::take(&mut self.calls)
            .into_iter()
            .partition::<VecDeque<_>, _>(|call| now.duration_since(call.opened) >= self.max_age);
        for call in old {
            let state = match call.state {
                State::Open(Progress::Ready(key)) => {
                    frames.extend(Outgoing::client(call.id, "", None).cancel(&key).ok());
                    continue;
                }
                State::Open(Progress::Waiting(handshake)) => State::Old(handshake),
                other => other,
            };
            self.calls.push_back(Call { state, ..call });
        }
        self.calls.extend(young);
        frames
    }

    /// When [`expire`](Self::expire) will have something to do; `None` when nothing gets old.
    pub fn next_expiry(&self) -> Option<Instant> {
        let ages = |call: &&Call| matches!(call.state, State::Open(_));
        self.calls.iter().find(ages).map(|call| call.opened + self.max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        key::SigningKey,
        proto::{
            call::{self, Incoming},
            crypto::Ephemeral,
            envelope::Envelope,
            frame::Frame,
            handshake::{Pass, Route, ServerHandshake, Via},
        },
    };

    const MAX_AGE: Duration = Duration::from_secs(30);

    /// A Volt that answers key exchanges, and the client's calls ahead.
    struct Both {
        volt: SigningKey,
        pass: Pass,
        ahead: Ahead,
        start: Instant,
    }

    impl Both {
        fn new(limit: usize) -> Self {
            let (volt, client) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
            let route = Route {
                audience: "volt".to_owned(),
                signer: volt.verifying_key(),
                via: Via::default(),
            };
            let pass = Pass::new(&route, &client, None, Ephemeral::generate().unwrap(), 1).unwrap();
            Self { volt, pass, ahead: Ahead::new(limit, MAX_AGE), start: Instant::now() }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        /// Opens a call and gives the Volt's key for it and its reply.
        fn open(&mut self, id: u64, seconds: u64) -> (CallKey, Bytes) {
            let (handshake, frame) = self.pass.open(id).unwrap();
            self.ahead.add(id, handshake, self.at(seconds));
            let opened = ServerHandshake::accept(&Frame::decode(frame.into()).unwrap()).unwrap();
            let ephemeral = Ephemeral::generate().unwrap();
            let (key, reply) = opened.reply(id, &self.volt, &ephemeral).unwrap();
            (key, Frame::decode(reply.into()).unwrap().body)
        }

        /// Does what is to be done in the background.
        fn work(&mut self) {
            while let Some(reply) = self.ahead.reply() {
                let key = reply.key().ok();
                self.ahead.complete(&reply, key);
            }
        }
    }

    #[test]
    fn calls_are_taken_in_turn_however_far_they_have_come() {
        let mut both = Both::new(3);
        assert_eq!(both.ahead.missing(), 3);
        let (_, first) = both.open(1, 0);
        let (_, second) = both.open(2, 0);
        both.open(3, 0);
        assert!(both.ahead.replied(1, first));
        both.work();
        assert!(both.ahead.replied(2, second));
        let now = both.at(1);
        assert!(matches!(both.ahead.take(now), Some((1, Progress::Ready(_)))));
        assert!(matches!(both.ahead.take(now), Some((2, Progress::Replied(..)))));
        assert!(matches!(both.ahead.take(now), Some((3, Progress::Waiting(_)))));
        assert!(both.ahead.take(now).is_none());
        assert!(!both.ahead.replied(3, Bytes::new()), "taken: its call gets the reply");
    }

    #[test]
    fn they_are_replaced_after_use_and_not_after_age() {
        let mut both = Both::new(1);
        assert_eq!(both.ahead.missing(), 1);
        let (_, reply) = both.open(1, 0);
        both.ahead.replied(1, reply);
        both.work();
        assert_eq!(both.ahead.missing(), 0);
        assert_eq!(both.ahead.expire(both.at(30)).len(), 1);
        assert_eq!(both.ahead.missing(), 0);
        assert!(both.ahead.take(both.at(31)).is_none());
        assert_eq!(both.ahead.missing(), 1);
    }

    #[test]
    fn what_is_too_old_is_not_taken_and_is_ended_on_the_wire() {
        let mut both = Both::new(2);
        let (key, reply) = both.open(1, 0);
        both.ahead.replied(1, reply);
        both.work();
        assert_eq!(both.ahead.next_expiry(), Some(both.at(30)));
        assert!(both.ahead.expire(both.at(29)).is_empty());
        assert!(both.ahead.take(both.at(30)).is_none());
        let mut frames = both.ahead.expire(both.at(30));
        let frame = Frame::decode(frames.pop().unwrap().into()).unwrap();
        assert_eq!(frame.call, 1);
        let opened = call::open(&key, frame.body).unwrap();
        assert!(matches!(opened, Incoming::Envelope(Envelope::End(Some(_)))), "{opened:?}");
        assert!(both.ahead.next_expiry().is_none());
    }

    #[test]
    fn what_is_too_old_before_its_key_is_ended_after_it() {
        let mut both = Both::new(1);
        let (_, reply) = both.open(1, 0);
        assert!(both.ahead.expire(both.at(30)).is_empty());
        assert!(both.ahead.next_expiry().is_none(), "nothing to do before the key");
        assert!(both.ahead.replied(1, reply));
        assert!(both.ahead.take(both.at(31)).is_none());
        both.work();
        assert_eq!(both.ahead.expire(both.at(31)).len(), 1);
    }

    #[test]
    fn what_the_volt_drops_or_spoils_is_not_taken() {
        let mut both = Both::new(4);
        let (_, reply) = both.open(1, 0);
        both.ahead.dropped(1);
        assert!(!both.ahead.replied(1, reply), "dropped before its key");

        let (_, reply) = both.open(2, 0);
        both.ahead.replied(2, reply);
        let working = both.ahead.reply().unwrap();
        both.ahead.dropped(2);
        both.ahead.complete(&working, working.key().ok());
        assert!(both.ahead.take(both.start).is_none(), "dropped while it was worked with");

        both.open(3, 0);
        both.ahead.replied(3, Bytes::from_static(b"no key"));
        both.work();
        assert!(both.ahead.take(both.start).is_none(), "an answer of no use");

        let (_, reply) = both.open(4, 0);
        both.ahead.replied(4, reply.clone());
        both.ahead.replied(4, reply);
        assert!(both.ahead.take(both.start).is_none(), "two answers");

        both.open(5, 0);
        both.ahead.clear();
        assert!(both.ahead.take(both.start).is_none(), "the connection is gone");
        assert_eq!(both.ahead.missing(), 0);
    }
}
