//! The awareness of a provider, as the SDK's task of an attached document keeps it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use volt_api::documents::{
    awareness::{self, Peers, RENEWAL},
    exchange::Exchange,
};
use yrs::{Origin, sync::Awareness, updates::encoder::Encode as _};

pub(super) struct Presence {
    awareness: Arc<Mutex<Awareness>>,
    origin: Origin,
    peers: Peers,
    renew_at: Instant,
}

impl Presence {
    pub(super) fn observe(
        awareness: Arc<Mutex<Awareness>>,
        origin: Origin,
        exchange: &Arc<Mutex<Exchange>>,
        now: Instant,
    ) -> Self {
        let (own, exchange) = (origin.clone(), Arc::clone(exchange));
        awareness.lock().unwrap().on_update(origin.clone(), move |awareness, event, from| {
            let client = awareness.client_id();
            if from != Some(&own) && event.all_changes().contains(&client) {
                let update = awareness.update_with_clients([client]).unwrap();
                exchange.lock().unwrap().own_state(update.encode_v1());
            }
        });
        Self { awareness, peers: Peers::new(origin.clone()), origin, renew_at: now }
    }

    pub(super) fn receive(&mut self, now: Instant, update: &[u8]) {
        let mut awareness = self.awareness.lock().unwrap();
        if self.peers.receive(now, update, &mut awareness) {
            awareness::renew(&mut awareness);
        }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.renew_at = now;
        self.check(now);
    }

    pub(super) fn check(&mut self, now: Instant) {
        let mut awareness = self.awareness.lock().unwrap();
        if self.renew_at <= now {
            self.renew_at = now + RENEWAL;
            awareness::renew(&mut awareness);
        }
        self.peers.forget_silent(now, &mut awareness);
    }

    pub(super) fn farewell(&self) -> Option<Vec<u8>> {
        awareness::farewell(&mut self.awareness.lock().unwrap())
    }

    pub(super) fn end(&mut self) {
        self.peers.forget_all(&mut self.awareness.lock().unwrap());
    }

    pub(super) fn release(&self) {
        self.awareness.lock().unwrap().unobserve_update(self.origin.clone());
    }
}

/// Returns the states that a client knows, by their clients.
pub(super) fn states(awareness: &Mutex<Awareness>) -> BTreeMap<u64, String> {
    let awareness = awareness.lock().unwrap();
    let known = awareness.iter();
    known.filter_map(|(client, state)| Some((client.get(), state.data?.to_string()))).collect()
}
