//! A provider: a document, and the SDK's exchange while it is attached.
//!
//! It carries out what the SDK's task of an attached document does, one step at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Instant,
};

use volt_api::documents::{
    exchange::{Action, Exchange, Phase, Settings},
    replica::{self, Replica},
};
use volt_test_support::{Clock, Random};
use yrs::{
    Any, Array as _, ArrayPrelim, ArrayRef, ClientID, Doc, GetString as _, Map as _, MapRef,
    OffsetKind, Options, Out, ReadTxn as _, Text as _, TextRef, Transact as _, TransactionMut,
    sync::Awareness,
    types::{Attrs, ToJson as _},
};

use super::presence::{self, Presence};

/// The size of a value that takes the Volt several messages, in bytes.
const LARGE: usize = 3 << 19;

/// Returns a place in a sequence of this length.
fn place(random: &mut Random, length: u32) -> u32 {
    u32::try_from(random.below(length as usize + 1)).unwrap()
}

/// A provider. Its document outlives its attachments.
pub(super) struct Provider {
    pub(super) doc: Doc,
    text: TextRef,
    list: ArrayRef,
    map: MapRef,
    pub(super) awareness: Option<Arc<Mutex<Awareness>>>,
    pub(super) settings: Settings,
    pub(super) attachment: Option<Attachment>,
    /// The numbers in the list that are from here.
    pub(super) added: Vec<i64>,
}

/// The time between attaching a document and stopping it.
pub(super) struct Attachment {
    pub(super) exchange: Arc<Mutex<Exchange>>,
    replica: Replica,
    presence: Option<Presence>,
    pub(super) call: Option<Call>,
    /// The further call of `flush`.
    pub(super) confirming: Option<Call>,
    /// The number of edits that `flush` waits for.
    wanted: u64,
    pub(super) stopping: bool,
    /// The numbers that were added, each with the number of edits after it.
    added: Vec<(u64, i64)>,
}

/// A call of an exchange.
pub(super) struct Call {
    pub(super) link: usize,
    pub(super) exchange: Arc<Mutex<Exchange>>,
    /// Set if the call has been live.
    begun: bool,
    pub(super) half_closed: bool,
}

pub(super) fn with<T>(exchange: &Mutex<Exchange>, work: impl FnOnce(&mut Exchange) -> T) -> T {
    work(&mut exchange.lock().unwrap())
}

impl Provider {
    pub(super) fn new(number: usize, settings: Settings, random: &mut Random) -> Self {
        let client_id = ClientID::new(10 + number as u64);
        let cleanup_formatting = random.one_in(2);
        let offset_kind = OffsetKind::Utf16;
        let doc = Doc::with_options(Options {
            offset_kind,
            cleanup_formatting,
            ..Options::with_client_id(client_id)
        });
        let (text, list, map) = (
            doc.get_or_insert_text("text"),
            doc.get_or_insert_array("list"),
            doc.get_or_insert_map("map"),
        );
        let awareness =
            (!random.one_in(3)).then(|| Arc::new(Mutex::new(Awareness::new(doc.clone()))));
        let (attachment, added) = (None, Vec::new());
        Self { doc, text, list, map, awareness, settings, attachment, added }
    }

    /// Makes the program change the document whenever others have added to the list.
    pub(super) fn answer_others(&self) {
        let (list, map) = (self.list.clone(), self.map.clone());
        let mut longest = 0;
        let observed = self.doc.observe_after_transaction("program", move |transaction| {
            let length = list.len(transaction);
            if length > longest {
                longest = length;
                map.insert(transaction, "length", length);
            }
        });
        observed.unwrap();
    }

    /// Changes the document, and adds a number to its list.
    pub(super) fn edit(&mut self, random: &mut Random, number: i64, large: bool) {
        let mut transaction = self.doc.transact_mut();
        for _ in 0..=random.below(3) {
            self.change(&mut transaction, random, number);
        }
        if large {
            self.map.insert(&mut transaction, "large", Any::Buffer(vec![7; LARGE].into()));
        }
        // Nothing removes from the list, so that it shows which edits have arrived.
        let at = place(random, self.list.len(&transaction));
        self.list.insert(&mut transaction, at, number);
        drop(transaction);
        self.added.push(number);
        if let Some(attachment) = &mut self.attachment {
            attachment
                .added
                .push((with(&attachment.exchange, |exchange| exchange.edits()), number));
        }
    }

    fn change(&self, transaction: &mut TransactionMut<'_>, random: &mut Random, number: i64) {
        let length = self.text.len(transaction);
        match random.below(9) {
            0 if length > 4 => {
                self.text.remove_range(transaction, place(random, length - 3), 3);
            }
            0..=2 => {
                let text = format!("{number} ä ").repeat(1 + random.below(4));
                self.text.insert(transaction, place(random, length), &text);
            }
            3 if length > 4 => {
                let bold = if random.one_in(3) { Any::Null } else { true.into() };
                let attributes = Attrs::from([("bold".into(), bold)]);
                self.text.format(transaction, place(random, length - 4), 4, attributes);
            }
            3 | 4 => {
                self.map.insert(transaction, random.one(&["a", "b"]), number);
            }
            5 => {
                let inner = ArrayPrelim::from([Any::from(number)]);
                self.map.insert(transaction, "inner", inner);
            }
            6 => drop(self.map.remove(transaction, random.one(&["a", "inner"]))),
            _ => {
                if let Some(Out::YArray(inner)) = self.map.get(transaction, "inner") {
                    inner.push_back(transaction, number);
                }
            }
        }
    }

    pub(super) fn attach(&mut self, clock: &Clock) {
        let exchange = Arc::new(Mutex::new(Exchange::new(self.settings.clone())));
        let (own, time) = (Arc::clone(&exchange), clock.clone());
        let replica = Replica::observe(&self.doc, &mut self.doc.transact_mut(), move |update| {
            with(&own, |exchange| exchange.changed(time.now(), update));
        });
        let presence = self.awareness.as_ref().map(|awareness| {
            Presence::observe(Arc::clone(awareness), replica.origin(), &exchange, clock.now())
        });
        self.attachment = Some(Attachment {
            exchange,
            replica,
            presence,
            call: None,
            confirming: None,
            wanted: 0,
            stopping: false,
            added: Vec::new(),
        });
    }

    /// Ends the attachment, whose calls are closed. Returns whether the Volt has all of its edits, as far
    /// as the SDK knows.
    pub(super) fn detach(&mut self) -> bool {
        let attachment = self.attachment.take().unwrap();
        if let Some(presence) = &attachment.presence {
            presence.release();
        }
        attachment.replica.release(&self.doc.transact_mut());
        with(&attachment.exchange, |exchange| {
            exchange.is_read_only() || exchange.acknowledged() >= Some(exchange.edits())
        })
    }

    /// The content of the document, without the parts specific to one copy.
    pub(super) fn content(&self) -> (String, BTreeMap<&'static str, Any>, yrs::Snapshot) {
        content(&self.doc)
    }

    /// Returns the awareness states that the provider knows, its own included.
    pub(super) fn states(&self) -> Option<BTreeMap<u64, String>> {
        self.awareness.as_deref().map(presence::states)
    }

    /// Returns the provider's own awareness state.
    pub(super) fn own_state(&self) -> Option<(u64, String)> {
        let awareness = self.awareness.as_ref()?.lock().unwrap();
        Some((awareness.client_id().get(), awareness.local_state_raw()?.to_string()))
    }
}

impl Attachment {
    /// Returns the exchange of a call and the call.
    pub(super) fn side(&self, confirming: bool) -> Option<&Call> {
        if confirming { self.confirming.as_ref() } else { self.call.as_ref() }
    }

    pub(super) fn open(&mut self, link: usize, doc: &Doc, now: Instant) {
        self.call = Some(Call::open(Arc::clone(&self.exchange), link, doc, now));
    }

    /// Makes a further call that confirms the edits, if they are to be confirmed.
    pub(super) fn confirm(
        &mut self,
        link: usize,
        settings: &Settings,
        doc: &Doc,
        now: Instant,
    ) -> bool {
        let wanted = with(&self.exchange, |exchange| {
            exchange.phase() == Phase::Live
                && !exchange.is_read_only()
                && exchange.acknowledged() < Some(self.wanted)
        });
        if !wanted || self.stopping || self.confirming.is_some() {
            return false;
        }
        let exchange = Arc::new(Mutex::new(Exchange::new(settings.clone())));
        self.confirming = Some(Call::open(exchange, link, doc, now));
        true
    }

    pub(super) fn flush(&mut self) {
        self.wanted = with(&self.exchange, |exchange| {
            exchange.hurry();
            exchange.edits()
        });
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
        let farewell = self.presence.as_ref().and_then(Presence::farewell);
        with(&self.exchange, |exchange| exchange.stop(farewell));
    }

    /// Returns whether a stopped call is to be half-closed now.
    pub(super) fn half_close(&mut self) -> bool {
        let drained = with(&self.exchange, |exchange| exchange.is_drained());
        self.call
            .as_mut()
            .is_some_and(|call| drained && !std::mem::replace(&mut call.half_closed, true))
    }

    /// Forgets the calls, which have ended. Returns their links.
    pub(super) fn closed(&mut self, clean: bool) -> Vec<usize> {
        with(&self.exchange, |exchange| exchange.closed(clean));
        if let Some(presence) = &mut self.presence {
            presence.end();
        }
        self.call.take().into_iter().chain(self.confirming.take()).map(|call| call.link).collect()
    }

    /// Executes the pending actions, and begins what a live call begins.
    pub(super) fn act(&mut self, now: Instant) {
        for confirming in [false, true] {
            let Some(call) = self.side(confirming) else { continue };
            let counting = confirming.then_some(&self.exchange);
            let states = call.act(&self.replica, counting, now);
            if let Some(presence) = self.presence.as_mut().filter(|_| !confirming) {
                for state in &states {
                    presence.receive(now, state);
                }
            }
        }
        let live = |call: &Call| with(&call.exchange, |exchange| exchange.phase()) == Phase::Live;
        if let Some(call) = self.call.as_mut().filter(|call| live(call))
            && !std::mem::replace(&mut call.begun, true)
            && let Some(presence) = &mut self.presence
        {
            presence.begin(now);
        }
    }

    /// Takes the result of the further call, if it has one. Returns its link.
    pub(super) fn confirmed(&mut self) -> Option<(usize, bool)> {
        let call = self.confirming.as_ref()?;
        let (phase, read_only, edits) = with(&call.exchange, |exchange| {
            (exchange.phase(), exchange.is_read_only(), exchange.acknowledged())
        });
        if phase != Phase::Live {
            return None;
        }
        if !read_only {
            with(&self.exchange, |exchange| exchange.acknowledge(edits));
        }
        Some((self.confirming.take()?.link, !read_only))
    }

    /// Checks the time. Returns whether the calls must be ended.
    pub(super) fn expired(&mut self, now: Instant) -> bool {
        let expired = |call: &Call| with(&call.exchange, |exchange| exchange.expired(now)).is_err();
        if let Some(presence) = &mut self.presence
            && self.call.as_ref().is_some_and(|call| call.begun)
        {
            presence.check(now);
        }
        self.call.iter().chain(&self.confirming).any(expired)
    }

    /// Returns the numbers that the Volt has acknowledged.
    pub(super) fn acknowledged(&mut self) -> BTreeSet<i64> {
        let edits = with(&self.exchange, |exchange| exchange.acknowledged()).unwrap_or(0);
        self.added.extract_if(.., |(count, _)| *count <= edits).map(|(_, number)| number).collect()
    }
}

impl Call {
    fn open(exchange: Arc<Mutex<Exchange>>, link: usize, doc: &Doc, now: Instant) -> Self {
        let vector = replica::vector(&doc.transact());
        with(&exchange, |exchange| exchange.opened(now, vector));
        Self { link, exchange, begun: false, half_closed: false }
    }

    /// Executes the pending actions. Returns the awareness states that have arrived. `counting` counts the
    /// edits, if that is another exchange.
    fn act(
        &self,
        replica: &Replica,
        counting: Option<&Arc<Mutex<Exchange>>>,
        now: Instant,
    ) -> Vec<Vec<u8>> {
        let mut states = Vec::new();
        while let Some(action) = with(&self.exchange, Exchange::next_action) {
            match action {
                Action::Apply(update) => {
                    let update = replica::decode(&update).unwrap();
                    let transaction = replica.doc().transact_mut_with(replica.origin());
                    replica.apply(transaction, update).unwrap();
                }
                Action::Answer(vector) => {
                    let transaction = replica.doc().transact();
                    let update = replica::beyond(&transaction, &vector).unwrap();
                    let edits = counting.map(|other| with(other, |exchange| exchange.edits()));
                    with(&self.exchange, |exchange| {
                        if let Some(edits) = edits {
                            exchange.count(edits);
                        }
                        exchange.answer(now, update);
                    });
                }
                Action::Awareness(update) => states.push(update),
            }
        }
        states
    }
}

/// The content of a document, without the parts specific to one copy.
pub(super) fn content(doc: &Doc) -> (String, BTreeMap<&'static str, Any>, yrs::Snapshot) {
    let text = doc.get_or_insert_text("text");
    let list = doc.get_or_insert_array("list");
    let maps = ["map", "volt"].map(|name| (name, doc.get_or_insert_map(name)));
    let transaction = doc.transact();
    let mut roots = BTreeMap::from([("list", list.to_json(&transaction))]);
    roots.extend(maps.map(|(name, map)| (name, map.to_json(&transaction))));
    (text.get_string(&transaction), roots, transaction.snapshot())
}

/// The numbers in a document's list.
pub(super) fn numbers(doc: &Doc) -> BTreeSet<i64> {
    let list = doc.get_or_insert_array("list");
    let transaction = doc.transact();
    let number = |value: Out| match value.to_json(&transaction) {
        Any::Number(number) => number.to_string().parse().unwrap(),
        other => panic!("not a number: {other}"),
    };
    list.iter(&transaction).map(number).collect()
}
