//! The providers, the Volt and the network between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use volt_api::documents::exchange::{Phase, Settings};
use volt_test_support::{Clock, Random};

use super::{
    network::Link,
    provider::{Attachment, Provider, with},
    volt::Volt,
};

pub(super) struct World {
    pub(super) random: Random,
    pub(super) clock: Clock,
    pub(super) volt: Volt,
    pub(super) providers: Vec<Provider>,
    pub(super) links: BTreeMap<usize, Link>,
    /// The number of messages that a call accepts before the sender must wait.
    pub(super) room: usize,
    pub(super) calls: usize,
    /// The size of the pieces of providers. Many pieces would take longer than a call waits.
    chunk: usize,
    /// The numbers that were added by providers and by the Volt.
    pub(super) edits: i64,
    pub(super) writes: i64,
    /// The numbers that the Volt has acknowledged.
    pub(super) promised: BTreeSet<i64>,
    /// A provider that does not attach its document again.
    absent: Option<usize>,
    /// Set while rights come and go.
    has_rights: bool,
    /// Set until an edit is larger than a piece.
    large: bool,
    /// The events, with their numbers.
    pub(super) seen: BTreeMap<&'static str, usize>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let count = 2 + random.below(3);
        let settings = Settings {
            database: "notes".to_owned(),
            document: "todo".to_owned(),
            read_only: false,
            read_only_fallback: false,
            batch: Duration::from_millis(random.one(&[0, 50])),
            max_update: 64 << 20,
            chunk: random.one(&[16, 200, 1 << 20]),
        };
        let volt = Volt::new(random.one(&[Some(2), Some(5), Some(256), None]), count);
        let mut provider = |number| {
            let settings = Settings {
                read_only: number > 0 && random.one_in(5),
                read_only_fallback: random.one_in(2),
                ..settings.clone()
            };
            Provider::new(number, settings, &mut random)
        };
        let providers: Vec<_> = (0..count).map(&mut provider).collect();
        if random.one_in(4) {
            providers[0].answer_others();
        }
        Self {
            clock: Clock::new(),
            volt,
            providers,
            links: BTreeMap::new(),
            room: random.one(&[1, 4, 64]),
            calls: 0,
            chunk: settings.chunk,
            edits: 0,
            writes: 0,
            promised: BTreeSet::new(),
            absent: None,
            has_rights: random.one_in(3),
            // Megabytes in pieces of a few bytes take too long.
            large: settings.chunk > 200 && random.one_in(8),
            seen: BTreeMap::new(),
            random,
        }
    }

    pub(super) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Simulates one random event.
    pub(super) fn step(&mut self, faults: bool) {
        let number = self.random.below(self.providers.len());
        match self.random.below(if faults { 64 } else { 40 }) {
            0..=35 => {
                let moves = [
                    Self::transmit,
                    Self::arrive_at_volt,
                    Self::leave_volt,
                    Self::arrive_at_provider,
                ];
                let first = self.random.below(4);
                // One part of the way, or all of it.
                let count = self.random.one(&[1, 4]);
                let times = self.random.one(&[1, 2, 8]);
                for moves in moves.iter().cycle().skip(first).take(count) {
                    (0..times).for_each(|_| moves(self, number));
                }
            }
            36 | 37 => self.act(number),
            38 => {
                let time = self.random.one(&[10, 50, 500]);
                self.pass(time);
            }
            39 => self.abandoned(),
            40..=50 => self.edit(number),
            51 if self.chunk > 16 && self.random.one_in(4) => self.burst(number),
            52 if self.random.one_in(2) => self.cut(number),
            54 if self.random.one_in(3) => self.restart(),
            55 if self.random.one_in(6) => self.pass(40_000),
            53 | 56 => self.flush(number),
            57 => self.stop(number),
            58 if self.random.one_in(3) => self.leave(number),
            59 => self.announce(number),
            60 if self.has_rights && self.random.one_in(2) => {
                self.volt.may_write[number] = !self.volt.may_write[number];
            }
            61 if self.random.one_in(2) => {
                self.writes += 1;
                self.volt.write(self.writes);
            }
            _ => {}
        }
        self.advance(number, faults);
    }

    /// Lets a provider attach its document, and open and end calls.
    fn advance(&mut self, number: usize, faults: bool) {
        let now = self.clock.now();
        let may_wait = faults && !self.random.one_in(4);
        let Some(attachment) = &mut self.providers[number].attachment else {
            if !may_wait && self.absent != Some(number) {
                self.providers[number].attach(&self.clock);
            }
            return;
        };
        let Some(call) = &attachment.call else {
            if !may_wait {
                let link = self.connect(number);
                let Provider { attachment, doc, .. } = &mut self.providers[number];
                attachment.as_mut().unwrap().open(link, doc, now);
            }
            return;
        };
        let link = call.link;
        if attachment.stopping && attachment.half_close() {
            self.links.get_mut(&link).unwrap().half_closed = true;
        }
        if let Some((link, confirmed)) = attachment.confirmed() {
            // It is half-closed, then dropped.
            let link = self.links.get_mut(&link).unwrap();
            (link.half_closed, link.abandoned) = (true, true);
            if confirmed {
                self.saw("an edit is confirmed");
                self.check_acknowledged(number);
            } else {
                self.cut(number);
            }
        } else if attachment.confirming.is_none() {
            let link = self.calls + 1;
            let Provider { attachment, doc, settings, .. } = &mut self.providers[number];
            if attachment.as_mut().unwrap().confirm(link, settings, doc, now) {
                self.connect(number);
            }
        }
    }

    fn edit(&mut self, number: usize) {
        let large = self.large && self.random.one_in(4);
        if large {
            self.large = false;
            self.saw("an edit is larger than a piece");
        }
        self.edits += 1;
        if let Some(attachment) = &self.providers[number].attachment
            && with(&attachment.exchange, |exchange| exchange.phase()) == Phase::Sending
        {
            self.saw("an edit comes between DONE and its answer");
        }
        self.providers[number].edit(&mut self.random, self.edits, large);
    }

    /// A provider edits faster than others read.
    fn burst(&mut self, number: usize) {
        for _ in 0..80 {
            self.edit(number);
            self.flush(number);
            for _ in 0..3 {
                self.transmit(number);
                self.arrive_at_volt(number);
            }
        }
    }

    fn flush(&mut self, number: usize) {
        if let Some(attachment) = &mut self.providers[number].attachment {
            attachment.flush();
        }
    }

    /// Changes the awareness state of a provider.
    fn announce(&mut self, number: usize) {
        let Some(awareness) = &self.providers[number].awareness else { return };
        let mut awareness = awareness.lock().unwrap();
        if self.random.one_in(5) {
            awareness.clean_local_state();
        } else {
            awareness.set_local_state_raw(format!("{{\"at\":{}}}", self.random.below(100)));
        }
    }

    /// A provider drops its document.
    fn leave(&mut self, number: usize) {
        if self.providers[number].attachment.is_some() {
            self.close(number, false);
            self.providers[number].detach();
        }
    }

    /// A provider stops its document.
    pub(super) fn stop(&mut self, number: usize) {
        let Some(attachment) = &mut self.providers[number].attachment else { return };
        if attachment.call.is_none() {
            self.providers[number].detach();
        } else if !attachment.stopping {
            attachment.stop();
        }
    }

    pub(super) fn pass(&mut self, milliseconds: u64) {
        self.clock.pass(milliseconds);
        let now = self.clock.now();
        for number in 0..self.providers.len() {
            let Some(attachment) = &mut self.providers[number].attachment else { continue };
            let waits = attachment.call.as_ref().is_some_and(|call| call.half_closed);
            if attachment.expired(now) || (waits && milliseconds > 5000) {
                self.saw("the Volt does not answer in time");
                self.cut(number);
            }
        }
    }

    pub(super) fn act(&mut self, number: usize) {
        let now = self.clock.now();
        if let Some(attachment) = &mut self.providers[number].attachment {
            attachment.act(now);
            self.check_acknowledged(number);
        }
    }

    /// Checks that the Volt has the acknowledged edits.
    pub(super) fn check_acknowledged(&mut self, number: usize) {
        let attachment = self.providers[number].attachment.as_mut();
        let acknowledged = attachment.map(Attachment::acknowledged).unwrap_or_default();
        if acknowledged.is_empty() {
            return;
        }
        let json = self.volt.json();
        let there = json["list"].as_array().map(Vec::as_slice).unwrap_or_default();
        let there: BTreeSet<_> = there.iter().filter_map(serde_json::Value::as_i64).collect();
        for edit in &acknowledged {
            assert!(there.contains(edit), "{edit} is acknowledged, but not there");
        }
        self.promised.extend(acknowledged);
    }

    /// Runs until no message is in transit and nothing is left to do.
    pub(super) fn settle(&mut self) {
        let mut steps = 0;
        while !self.is_quiet() {
            self.step(false);
            steps += 1;
            assert!(steps < 400_000, "it does not become quiet, in pieces of {} bytes", self.chunk);
        }
    }

    fn is_quiet(&mut self) -> bool {
        let now = self.clock.now();
        for number in 0..self.providers.len() {
            self.act(number);
        }
        let links: Vec<_> = self.links.keys().copied().collect();
        let is_sending = links.into_iter().any(|id| self.send(id));
        let idle = |(number, provider): (usize, &Provider)| {
            if self.absent == Some(number) {
                return provider.attachment.is_none();
            }
            provider.attachment.as_ref().is_some_and(|attachment| {
                let call = attachment.call.is_some() && attachment.confirming.is_none();
                call && !attachment.stopping
                    && with(&attachment.exchange, |exchange| {
                        exchange.phase() == Phase::Live
                            && exchange.next_timeout().is_none()
                            && !exchange.has_message(now)
                    })
            })
        };
        let empty = |link: &Link| link.up.is_empty() && link.down.is_empty() && !link.abandoned;
        !is_sending && self.providers.iter().enumerate().all(idle) && self.links.values().all(empty)
    }

    /// Ends the faults: all providers may write, and open their calls again.
    pub(super) fn recover(&mut self) {
        self.volt.may_write.fill(true);
        if self.has_rights {
            // A call that may only read stays so, and its provider may not know of that yet.
            for number in 0..self.providers.len() {
                self.cut(number);
            }
        }
    }

    /// Ends the attachment of a provider.
    pub(super) fn retire(&mut self) {
        let number = self.random.below(self.providers.len());
        self.absent = Some(number);
        if self.random.one_in(2) {
            self.stop(number);
        } else {
            self.leave(number);
        }
    }

    /// Attaches the documents again that send no edits, so that they do.
    pub(super) fn let_readers_write(&mut self) {
        for number in 0..self.providers.len() {
            if std::mem::take(&mut self.providers[number].settings.read_only) {
                self.leave(number);
            }
        }
    }
}
