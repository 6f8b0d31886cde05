//! The awareness of an attached document.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use yrs::{Origin, sync::Awareness, updates::encoder::Encode as _};

use super::{
    awareness::{self, Peers, RENEWAL},
    shared::{Shared, lock, now},
};

/// The interval between checks for silent clients.
const CHECK: Duration = Duration::from_secs(5);

/// The awareness of a document, and the clients whose states came from the Volt.
#[derive(Debug)]
pub(super) struct Presence {
    awareness: Arc<Mutex<Awareness>>,
    origin: Origin,
    peers: Peers,
    check_at: Instant,
    renew_at: Instant,
}

impl Presence {
    /// Observes an awareness: changes of the client's own state are sent.
    pub(super) fn observe(
        awareness: Arc<Mutex<Awareness>>,
        origin: Origin,
        shared: &Arc<Shared>,
    ) -> Self {
        let (own, weak) = (origin.clone(), Arc::downgrade(shared));
        lock(&awareness).on_update(origin.clone(), move |awareness, event, from| {
            let client = awareness.client_id();
            // This includes a removed state, which is encoded as `null`.
            if from != Some(&own)
                && event.all_changes().contains(&client)
                && let Ok(update) = awareness.update_with_clients([client])
                && let Some(shared) = weak.upgrade()
            {
                shared.change(|exchange| exchange.own_state(update.encode_v1()));
            }
        });
        let now = now();
        let peers = Peers::new(origin.clone());
        Self { awareness, origin, peers, check_at: now, renew_at: now }
    }

    /// Applies an update that has arrived.
    pub(super) fn receive(&mut self, update: &[u8]) {
        let mut awareness = lock(&self.awareness);
        if self.peers.receive(now(), update, &mut awareness) {
            awareness::renew(&mut awareness);
        }
    }

    /// Sends the client's own state, at the beginning of a call.
    pub(super) fn begin(&mut self) {
        self.renew_at = now();
        self.check();
    }

    /// The time of the next [`check`](Self::check).
    pub(super) fn check_at(&self) -> Instant {
        self.check_at
    }

    /// Renews the client's own state, and forgets silent clients, if it is time.
    pub(super) fn check(&mut self) {
        let now = now();
        let mut awareness = lock(&self.awareness);
        if self.renew_at <= now {
            self.renew_at = now + RENEWAL;
            awareness::renew(&mut awareness);
        }
        self.peers.forget_silent(now, &mut awareness);
        self.check_at = self.renew_at.min(now + CHECK);
    }

    /// Returns the removal of the client's own state.
    pub(super) fn farewell(&self) -> Option<Vec<u8>> {
        awareness::farewell(&mut lock(&self.awareness))
    }

    /// Forgets all clients: the call has ended.
    pub(super) fn end(&mut self) {
        self.peers.forget_all(&mut lock(&self.awareness));
    }

    /// Ends the observation.
    pub(super) fn release(&mut self) {
        lock(&self.awareness).unobserve_update(self.origin.clone());
    }
}
