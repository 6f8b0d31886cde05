//! Several documents and a Volt over a network that delays, cuts and reorders between calls, with
//! simulated time: after quiet all documents are equal and hold every edit.
//!
//! `VOLT_SYNC_RUNS` sets the number of runs, `VOLT_SYNC_SEED` the first seed.

use std::{
    collections::{BTreeSet, VecDeque},
    env,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use volt_test_support::{Clock, Random};
use yrs::{
    Any, Array as _, ArrayPrelim, ArrayRef, Doc, GetString as _, Map as _, MapRef, Out,
    ReadTxn as _, Text as _, TextRef, Transact as _, types::ToJson as _,
};

use super::{
    Action, Exchange, Phase, Settings, SyncDocumentRequest, SyncDocumentResponse, volt::Volt,
};
use crate::documents::replica::{self, Replica};

/// A call on the network, with the messages that have not arrived.
#[derive(Default)]
struct Link {
    id: usize,
    up: VecDeque<SyncDocumentRequest>,
    down: VecDeque<SyncDocumentResponse>,
}

struct Client {
    doc: Doc,
    text: TextRef,
    list: ArrayRef,
    map: MapRef,
    replica: Replica,
    exchange: Arc<Mutex<Exchange>>,
    link: Option<Link>,
    /// The items added to the list, each with the number of edits after it.
    added: Vec<(u64, i64)>,
}

impl Client {
    fn new(number: usize, settings: Settings, clock: &Clock) -> Self {
        let doc = Doc::with_client_id(10 + number as u64);
        let (text, list, map) = (
            doc.get_or_insert_text("text"),
            doc.get_or_insert_array("list"),
            doc.get_or_insert_map("map"),
        );
        let exchange = Arc::new(Mutex::new(Exchange::new(settings)));
        let (own, clock) = (Arc::clone(&exchange), clock.clone());
        let replica = Replica::observe(&doc, &mut doc.transact_mut(), move |update| {
            own.lock().unwrap().changed(clock.now(), update);
        });
        Self { text, list, map, replica, exchange, link: None, added: Vec::new(), doc }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Exchange) -> T) -> T {
        work(&mut self.exchange.lock().unwrap())
    }

    fn edit(&mut self, random: &mut Random, token: i64) {
        let mut transaction = self.doc.transact_mut();
        for _ in 0..=random.below(3) {
            let length = self.text.len(&transaction);
            match random.below(6) {
                0 if length > 4 => {
                    let at = u32::try_from(random.below(length as usize - 3)).unwrap();
                    self.text.remove_range(&mut transaction, at, 3);
                }
                0..=2 => {
                    let at = u32::try_from(random.below(length as usize + 1)).unwrap();
                    let text = format!("{token} ").repeat(1 + random.below(4));
                    self.text.insert(&mut transaction, at, &text);
                }
                3 => {
                    let key = ["a", "b"][random.below(2)];
                    self.map.insert(&mut transaction, key, token);
                }
                4 => {
                    let inner = ArrayPrelim::from([Any::from(token)]);
                    self.map.insert(&mut transaction, "inner", inner);
                }
                _ => {
                    if let Some(Out::YArray(inner)) = self.map.get(&transaction, "inner") {
                        inner.push_back(&mut transaction, token);
                    }
                }
            }
        }
        // Nothing removes from the list, so that it shows which edits have arrived.
        let at = u32::try_from(random.below(self.list.len(&transaction) as usize + 1)).unwrap();
        self.list.insert(&mut transaction, at, token);
        drop(transaction);
        self.added.push((self.with(|exchange| exchange.edits()), token));
    }

    fn open(&mut self, id: usize, now: Instant) {
        let vector = replica::vector(&self.doc.transact());
        self.with(|exchange| exchange.opened(now, vector));
        self.link = Some(Link { id, ..Link::default() });
    }

    fn close(&mut self) {
        self.link = None;
        self.with(|exchange| exchange.closed(false));
    }

    /// Executes the pending actions.
    fn act(&self, now: Instant) {
        while let Some(action) = self.with(Exchange::next_action) {
            match action {
                Action::Apply(update) => {
                    let update = replica::decode(&update).unwrap();
                    let transaction = self.doc.transact_mut_with(self.replica.origin());
                    self.replica.apply(transaction, update).unwrap();
                }
                Action::Answer(vector) => {
                    let transaction = self.doc.transact();
                    let update = replica::beyond(&transaction, &vector).unwrap();
                    self.with(|exchange| exchange.answer(now, update));
                }
                Action::Awareness(_) => unreachable!("nobody sends any"),
            }
        }
    }
}

/// The content of a document, without the parts specific to one copy.
fn content(doc: &Doc) -> (String, Any, Any, yrs::Snapshot) {
    let text = doc.get_or_insert_text("text");
    let (list, map) = (doc.get_or_insert_array("list"), doc.get_or_insert_map("map"));
    let transaction = doc.transact();
    let text = text.get_string(&transaction);
    (text, list.to_json(&transaction), map.to_json(&transaction), transaction.snapshot())
}

/// The numbers in a document's list.
fn tokens(doc: &Doc) -> BTreeSet<i64> {
    let list = doc.get_or_insert_array("list");
    let transaction = doc.transact();
    let number = |value: Out| match value.to_json(&transaction) {
        Any::Number(number) => number.to_string().parse().ok(),
        _ => None,
    };
    list.iter(&transaction).map(|value| number(value).unwrap()).collect()
}

struct World {
    random: Random,
    clock: Clock,
    volt: Volt,
    clients: Vec<Client>,
    /// The number of messages that a call accepts before the sender must wait.
    room: usize,
    calls: usize,
    edits: i64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let clock = Clock::new();
        let chunk = [16, 200, 1 << 20][random.below(3)];
        let volt = Volt::new([16, 200, 1 << 20][random.below(3)], random.one_in(4));
        let batch = Duration::from_millis([0, 50][random.below(2)]);
        let settings = Settings { batch, chunk, ..super::settings() };
        let clients = (0..2 + random.below(3))
            .map(|number| Client::new(number, settings.clone(), &clock))
            .collect();
        let room = [1, 4, 64][random.below(3)];
        Self { random, clock, volt, clients, room, calls: 0, edits: 0 }
    }

    /// Simulates one random event.
    fn step(&mut self, faults: bool) {
        let number = self.random.below(self.clients.len());
        match self.random.below(if faults { 40 } else { 28 }) {
            0..=7 => self.transmit(number),
            8..=15 => self.arrive_at_volt(number),
            16..=23 => self.arrive_at_client(number),
            24..=26 => {
                self.clients[number].act(self.clock.now());
                self.check_acknowledged(number);
            }
            27 => {
                let time = [10, 50, 500][self.random.below(3)];
                self.pass(time);
            }
            28..=36 => self.edit(number),
            37 => self.cut(number),
            38 if self.random.one_in(4) => {
                self.volt.restart();
                self.clients.iter_mut().for_each(Client::close);
            }
            38 => self.pass(40_000),
            _ => {}
        }
        if self.clients[number].link.is_none() && (!faults || self.random.one_in(8)) {
            self.calls += 1;
            self.clients[number].open(self.calls, self.clock.now());
        }
    }

    fn edit(&mut self, number: usize) {
        self.edits += 1;
        self.clients[number].edit(&mut self.random, self.edits);
    }

    fn cut(&mut self, number: usize) {
        if let Some(link) = &self.clients[number].link {
            self.volt.close(link.id);
            self.clients[number].close();
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.clock.pass(milliseconds);
        for number in 0..self.clients.len() {
            let now = self.clock.now();
            if self.clients[number].with(|exchange| exchange.expired(now)).is_err() {
                self.cut(number);
            }
        }
    }

    fn transmit(&mut self, number: usize) {
        let now = self.clock.now();
        let client = &mut self.clients[number];
        let Some(link) = client.link.as_mut().filter(|link| link.up.len() < self.room) else {
            return;
        };
        let message = client.exchange.lock().unwrap().next_message(now).unwrap();
        link.up.extend(message);
    }

    fn arrive_at_volt(&mut self, number: usize) {
        let Some(link) = &mut self.clients[number].link else { return };
        let Some(message) = link.up.pop_front() else { return };
        let id = link.id;
        for (call, message) in self.volt.receive(id, message) {
            for link in self.clients.iter_mut().filter_map(|client| client.link.as_mut()) {
                if link.id == call {
                    link.down.push_back(message.clone());
                }
            }
        }
    }

    fn arrive_at_client(&mut self, number: usize) {
        let now = self.clock.now();
        let client = &mut self.clients[number];
        let Some(message) = client.link.as_mut().and_then(|link| link.down.pop_front()) else {
            return;
        };
        client.with(|exchange| exchange.receive(now, message)).unwrap();
        // Edits can be made before the actions are carried out.
        if !self.random.one_in(3) {
            client.act(now);
        }
        self.check_acknowledged(number);
    }

    /// Checks that the Volt has the acknowledged edits.
    fn check_acknowledged(&self, number: usize) {
        let client = &self.clients[number];
        let acknowledged = client.with(|exchange| exchange.acknowledged()).unwrap_or(0);
        let there = tokens(&self.volt.doc);
        for (edits, token) in &client.added {
            assert!(*edits > acknowledged || there.contains(token), "{token} is not there");
        }
    }

    /// Returns whether no message is in transit and all clients are connected.
    fn is_quiet(&self) -> bool {
        self.clients.iter().all(|client| {
            let idle = client.with(|exchange| {
                exchange.phase() == Phase::Live
                    && exchange.next_timeout().is_none()
                    && !exchange.has_message(self.clock.now())
            });
            let link = client.link.as_ref();
            idle && link.is_some_and(|link| link.up.is_empty() && link.down.is_empty())
        })
    }
}

/// Runs one world to its end.
fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..60 + world.random.below(200) {
        world.step(true);
    }
    let mut steps = 0;
    loop {
        world.step(false);
        for client in &world.clients {
            client.act(world.clock.now());
        }
        if world.is_quiet() {
            break;
        }
        steps += 1;
        assert!(steps < 200_000, "it does not become quiet");
    }
    let all: BTreeSet<_> = (1..=world.edits).collect();
    assert_eq!(tokens(&world.volt.doc), all, "the Volt lacks edits");
    let volt = content(&world.volt.doc);
    for client in &world.clients {
        assert_eq!(content(&client.doc), volt, "the documents differ");
    }
}

#[test]
fn all_documents_become_equal_and_no_edit_is_lost() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let runs = number("VOLT_SYNC_RUNS").unwrap_or(300);
    let first = number("VOLT_SYNC_SEED").unwrap_or(0);
    for seed in first..first + runs {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "repeat it with VOLT_SYNC_RUNS=1 VOLT_SYNC_SEED={seed}");
    }
}
