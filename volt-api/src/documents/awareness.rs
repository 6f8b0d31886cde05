//! The awareness states that come from a Volt.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use yrs::{
    ClientID, Origin,
    sync::{Awareness, AwarenessUpdate, awareness::AwarenessUpdateEntry},
    updates::{decoder::Decode as _, encoder::Encode as _},
};

use super::updates::{Bytes, caught};

/// The interval at which the client's own state is renewed.
pub const RENEWAL: Duration = Duration::from_secs(15);
/// The time of silence after which another client is removed.
const SILENCE: Duration = Duration::from_secs(30);
/// The highest clock that is accepted. The document's library adds to it.
const HIGHEST: u32 = u32::MAX / 2;
/// The number of clients that are remembered, including some that have left.
const CLIENTS: usize = 10_000;
/// The number of clients that are accepted in all: the document's library remembers each of them.
const EVER: usize = 100_000;
/// The state of a client that has left.
const GONE: &str = "null";

/// The clients whose states came from the Volt.
#[derive(Debug)]
pub struct Peers {
    /// The origin of their updates.
    origin: Origin,
    peers: HashMap<ClientID, Peer>,
    /// The number of clients that were accepted.
    accepted: usize,
}

#[derive(Debug)]
struct Peer {
    /// The time of its newest state, until it is forgotten.
    seen: Option<Instant>,
    /// The clock of the newest state, as received.
    clock: u32,
    /// An offset that is added to its clocks here. A forgotten client may return with the same
    /// state and the same clock, which the awareness would ignore.
    ahead: u32,
}

impl Peers {
    pub fn new(origin: Origin) -> Self {
        Self { origin, peers: HashMap::new(), accepted: 0 }
    }

    /// Applies an update that has arrived. Returns whether the client's own state must be sent, because
    /// others have a newer one or have removed it. Invalid updates are ignored: they are not part of the
    /// document.
    pub fn receive(&mut self, now: Instant, update: &[u8], awareness: &mut Awareness) -> bool {
        // A count of states that does not fit into so few bytes would reserve memory.
        let own = awareness.client_id();
        let count = Bytes::new(update).number();
        let plausible = count.is_ok_and(|count| count <= update.len() as u64);
        let decoded = || caught(|| AwarenessUpdate::decode_v1(update))?.ok();
        let Some(update) = plausible.then(decoded).flatten() else {
            tracing::warn!("an invalid awareness update is ignored");
            return false;
        };
        let mut contradicted = None;
        let mut accepted = HashMap::new();
        for (client, mut entry) in update.clients {
            if entry.clock > HIGHEST {
                continue;
            }
            if client == own {
                let clock = awareness.meta(own).map_or(0, |(clock, _)| clock);
                let same = awareness.local_state_raw().is_some_and(|state| state == entry.json);
                if entry.clock > clock || (entry.clock == clock && !same) {
                    contradicted = Some(entry.clock);
                }
                continue;
            }
            if self.note(now, client, &mut entry, awareness) {
                accepted.insert(client, entry);
            }
        }
        self.apply(accepted, awareness);
        contradicted.is_some_and(|clock| self.overtake(clock, awareness))
    }

    /// Remembers a state, and adapts its clock. Returns whether to apply it.
    fn note(
        &mut self,
        now: Instant,
        client: ClientID,
        entry: &mut AwarenessUpdateEntry,
        awareness: &Awareness,
    ) -> bool {
        let gone = &*entry.json == GONE;
        if let Some(peer) = self.peers.get_mut(&client) {
            let newer = entry.clock > peer.clock || (gone && entry.clock == peer.clock);
            let returns = !gone && peer.seen.is_none() && entry.clock == peer.clock;
            let ahead = peer.ahead + u32::from(returns);
            let Some(clock) = sum(entry.clock, ahead).filter(|_| newer || returns) else {
                return false;
            };
            *peer = Peer { seen: (!gone).then_some(now), clock: entry.clock, ahead };
            entry.clock = clock;
            return true;
        }
        // The awareness may still know the client: it left, and its place was taken.
        let known = awareness.meta(client).map(|(clock, _)| clock);
        let ahead = known.map_or(0, |known| known.saturating_add(1).saturating_sub(entry.clock));
        let Some(clock) = sum(entry.clock, ahead) else { return false };
        if gone || (known.is_none() && self.accepted >= EVER) || !self.make_room() {
            return false;
        }
        self.accepted += usize::from(known.is_none());
        self.peers.insert(client, Peer { seen: Some(now), clock: entry.clock, ahead });
        entry.clock = clock;
        true
    }

    /// Makes room for one more client, in place of those that have left. Returns false if all are present.
    fn make_room(&mut self) -> bool {
        if self.peers.len() >= CLIENTS {
            self.peers.retain(|_, peer| peer.seen.is_some());
        }
        self.peers.len() < CLIENTS
    }

    /// Makes the client's own clock newer than this one. Returns whether it has a state.
    fn overtake(&self, clock: u32, awareness: &mut Awareness) -> bool {
        let Some(json) = awareness.local_state_raw() else { return false };
        let entry = AwarenessUpdateEntry { clock, json };
        self.apply(HashMap::from([(awareness.client_id(), entry)]), awareness);
        true
    }

    fn apply(&self, clients: HashMap<ClientID, AwarenessUpdateEntry>, awareness: &mut Awareness) {
        if !clients.is_empty() {
            // Fails only for states that it must encode, and it encodes none.
            let _ = awareness.apply_update_with(AwarenessUpdate { clients }, self.origin.clone());
        }
    }

    /// Removes the states of clients that were silent for too long.
    pub fn forget_silent(&mut self, now: Instant, awareness: &mut Awareness) {
        self.forget(awareness, |seen| now.duration_since(seen) >= SILENCE);
    }

    /// Removes the states of all clients.
    pub fn forget_all(&mut self, awareness: &mut Awareness) {
        self.forget(awareness, |_| true);
    }

    fn forget(&mut self, awareness: &mut Awareness, which: impl Fn(Instant) -> bool) {
        let mut gone = HashMap::new();
        for (client, peer) in &mut self.peers {
            if peer.seen.is_some_and(&which) {
                peer.seen = None;
                let clock = peer.clock + peer.ahead;
                gone.insert(*client, AwarenessUpdateEntry { clock, json: Arc::from(GONE) });
            }
        }
        self.apply(gone, awareness);
    }
}

/// Adds to a clock. Returns `None` if the sum is not accepted.
fn sum(clock: u32, ahead: u32) -> Option<u32> {
    clock.checked_add(ahead).filter(|sum| *sum <= HIGHEST)
}

/// Returns the client's own state, encoded, if it has one.
pub fn own_state(awareness: &Awareness) -> Option<Vec<u8>> {
    awareness.local_state_raw()?;
    Some(awareness.update_with_clients([awareness.client_id()]).ok()?.encode_v1())
}

/// Renews the client's own state, which notifies the observers. Others ignore a state that is not newer.
pub fn renew(awareness: &mut Awareness) {
    if let Some(state) = awareness.local_state_raw() {
        awareness.set_local_state_raw(state);
    }
}

/// Returns the removal of the client's own state, encoded. The state itself stays, and is newer than the
/// removal after its next renewal.
pub fn farewell(awareness: &mut Awareness) -> Option<Vec<u8>> {
    renew(awareness);
    awareness.local_state_raw()?;
    let mut update = awareness.update_with_clients([awareness.client_id()]).ok()?;
    for entry in update.clients.values_mut() {
        entry.json = Arc::from(GONE);
    }
    Some(update.encode_v1())
}

#[cfg(test)]
mod tests {
    use yrs::Doc;

    use super::*;

    struct Client {
        awareness: Awareness,
        peers: Peers,
        now: Instant,
    }

    impl Client {
        fn new(id: u64) -> Self {
            let awareness = Awareness::new(Doc::with_client_id(id));
            Self { awareness, peers: Peers::new(Origin::from("volt")), now: Instant::now() }
        }

        fn set(&mut self, state: &str) -> Vec<u8> {
            self.awareness.set_local_state_raw(state);
            own_state(&self.awareness).unwrap()
        }

        fn receive(&mut self, update: &[u8]) -> bool {
            self.peers.receive(self.now, update, &mut self.awareness)
        }

        /// The state of another client.
        fn of(&self, id: u64) -> Option<String> {
            let states: HashMap<_, _> = self.awareness.iter().collect();
            states.get(&ClientID::new(id))?.data.as_ref().map(ToString::to_string)
        }

        fn wait(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
            self.peers.forget_silent(self.now, &mut self.awareness);
        }
    }

    fn entry(client: u64, clock: u32, json: &str) -> Vec<u8> {
        let entry = AwarenessUpdateEntry { clock, json: Arc::from(json) };
        AwarenessUpdate { clients: HashMap::from([(ClientID::new(client), entry)]) }.encode_v1()
    }

    #[test]
    fn a_silent_client_is_forgotten_and_one_that_renews_is_not() {
        let (mut one, mut two) = (Client::new(1), Client::new(2));
        two.receive(&one.set("1"));
        two.wait(29);
        assert_eq!(two.of(1).as_deref(), Some("1"));
        renew(&mut one.awareness);
        two.receive(&own_state(&one.awareness).unwrap());
        two.wait(29);
        assert_eq!(two.of(1).as_deref(), Some("1"));
        two.wait(1);
        assert_eq!(two.of(1), None);
    }

    #[test]
    fn a_forgotten_client_comes_back_with_the_same_state_and_with_later_ones() {
        let (mut one, mut two) = (Client::new(1), Client::new(2));
        let first = one.set("1");
        for _ in 0..3 {
            two.receive(&first);
            assert_eq!(two.of(1).as_deref(), Some("1"));
            two.peers.forget_all(&mut two.awareness);
            assert_eq!(two.of(1), None);
        }
        two.receive(&first);
        two.receive(&one.set("2"));
        assert_eq!(two.of(1).as_deref(), Some("2"));
        two.receive(&farewell(&mut one.awareness).unwrap());
        assert_eq!(two.of(1), None);
        assert_eq!(one.awareness.local_state_raw().as_deref(), Some("2"));
        renew(&mut one.awareness);
        two.receive(&own_state(&one.awareness).unwrap());
        assert_eq!(two.of(1).as_deref(), Some("2"));
    }

    #[test]
    fn an_older_state_is_ignored() {
        let mut two = Client::new(2);
        two.receive(&entry(1, 5, "5"));
        two.receive(&entry(1, 4, "4"));
        two.receive(&entry(1, 4, GONE));
        assert_eq!(two.of(1).as_deref(), Some("5"));
        two.receive(&entry(1, 5, GONE));
        assert_eq!(two.of(1), None);
    }

    #[test]
    fn others_cannot_replace_the_clients_own_state() {
        let mut one = Client::new(1);
        let echo = one.set("mine");
        assert!(!one.receive(&echo), "an echo needs no answer");
        for (clock, json) in [(1, GONE), (2, "theirs"), (7, "theirs"), (9, GONE)] {
            assert!(one.receive(&entry(1, clock, json)), "{clock} {json}");
            assert_eq!(one.awareness.local_state_raw().as_deref(), Some("mine"));
            renew(&mut one.awareness);
            let (own, _) = one.awareness.meta(ClientID::new(1)).unwrap();
            assert!(own > clock);
        }
    }

    #[test]
    fn more_clients_may_come_and_go_than_are_remembered() {
        let most = u64::try_from(CLIENTS).unwrap();
        let mut one = Client::new(1);
        for id in 0..most {
            one.receive(&entry(10 + id, 1, "first"));
        }
        // All are present: those that are known continue, and no more are accepted.
        one.receive(&entry(10, 2, "second"));
        assert_eq!(one.of(10).as_deref(), Some("second"));
        one.receive(&entry(5, 1, "late"));
        assert_eq!(one.of(5), None);
        // Some leave, and others take their place.
        one.receive(&entry(10, 3, GONE));
        one.receive(&entry(5, 1, "late"));
        assert_eq!(one.of(5).as_deref(), Some("late"));
        // One that had left returns with its old clock.
        one.receive(&entry(5, 2, GONE));
        one.receive(&entry(10, 3, "third"));
        assert_eq!(one.of(10).as_deref(), Some("third"));
    }

    #[test]
    fn no_clock_exceeds_the_highest() {
        let mut one = Client::new(1);
        one.receive(&entry(10, HIGHEST, "last"));
        assert_eq!(one.of(10).as_deref(), Some("last"));
        one.receive(&entry(10, HIGHEST, GONE));
        // The clock would exceed the highest by one.
        one.receive(&entry(10, HIGHEST, "again"));
        assert_eq!(one.of(10), None);
    }

    #[test]
    fn invalid_updates_change_nothing() {
        let mut one = Client::new(1);
        one.set("mine");
        let updates: [&[u8]; 5] = [
            &[],
            &[1],
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[1, 2, 3, 9, b'x'],
        ];
        for update in updates {
            assert!(!one.receive(update), "{update:?}");
        }
        assert!(!one.receive(&entry(2, u32::MAX, "x")));
        assert_eq!(one.awareness.iter().count(), 1);
    }
}
