//! The places of calls that a relay forwards for clients without a session.
//!
//! The frames that a relay forwards do not name the connection that they come from, so only the relay can
//! share the places of a host among its callers. Clients without a session have half as many places as a host
//! has by default. The first few calls of a connection may use all of these, its further ones only half of
//! them: a client that has just connected finds a place, even if others open as many calls as they can.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::Semaphore;

use super::{options::ServerOptions, shares::Places};

/// The number of calls of a connection that may use all places.
const FIRST: usize = 4;
/// The number of connections of one address that can have as many calls as a connection may.
const CONNECTIONS: usize = 4;

/// The places of calls for clients without a session, which have not named their method yet.
#[derive(Debug, Default)]
pub(super) struct Forwards(Mutex<HashMap<Shared, Weak<Semaphore>>>);

/// A call that needs a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newcomer<'a> {
    /// The host to which the call is forwarded.
    pub(super) target: &'a str,
    /// The address of the client, if it is counted.
    pub(super) address: Option<IpAddr>,
    /// The number of such calls of the connection, including this one.
    pub(super) of_connection: usize,
}

/// The calls that share places.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Shared {
    Address(IpAddr),
    /// All calls for a target.
    Target(String),
    /// The calls for a target that are not among the first of their connection.
    Further(String),
}

impl Forwards {
    /// Waits for the places of a call.
    pub(super) async fn enter(&self, options: &ServerOptions, call: Newcomer<'_>) -> Places {
        let target = || call.target.to_owned();
        let half = options.max_key_exchanges / 2;
        let address = call.address.map(|address| {
            (Shared::Address(address), options.max_relayed_exchanges.saturating_mul(CONNECTIONS))
        });
        let further = (call.of_connection > FIRST).then(|| (Shared::Further(target()), half / 2));
        let mut places = Places::new();
        // The scarcest first, so that waiting for it holds none of the others.
        for (key, number) in
            [address, further, Some((Shared::Target(target()), half))].into_iter().flatten()
        {
            // The semaphores are never closed.
            places.extend(self.semaphore(key, number).acquire_owned().await);
        }
        places
    }

    fn semaphore(&self, key: Shared, places: usize) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = all.get(&key).and_then(Weak::upgrade) {
            return found;
        }
        all.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS)));
        all.insert(key, Arc::downgrade(&semaphore));
        semaphore
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Returns the places, or `None` if the call must wait.
    fn enter(
        forwards: &Forwards,
        target: &str,
        address: Option<&str>,
        of_connection: usize,
    ) -> Option<Places> {
        let mut options = ServerOptions::default();
        (options.max_key_exchanges, options.max_relayed_exchanges) = (40, 3);
        let address = address.map(|text| text.parse().unwrap());
        let call = Newcomer { target, address, of_connection };
        let mut entering = Box::pin(forwards.enter(&options, call));
        match entering.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(places) => Some(places),
            Poll::Pending => None,
        }
    }

    #[test]
    fn greedy_connections_leave_places_for_the_first_calls_of_others() {
        let forwards = Forwards::default();
        let mut held: Vec<_> =
            (5..).map_while(|number| enter(&forwards, "host", None, number)).collect();
        assert_eq!(held.len(), 10);
        held.extend((0..).map_while(|_| enter(&forwards, "host", None, FIRST)));
        assert_eq!(held.len(), 20, "half of the host's places");
        assert!(enter(&forwards, "other", None, 99).is_some(), "each host has its own places");
        held.truncate(9);
        assert!(enter(&forwards, "host", None, 99).is_some());
        drop(held);
        drop(enter(&forwards, "new", None, 1));
        assert_eq!(forwards.0.lock().unwrap().len(), 1, "unused places are forgotten");
    }

    #[test]
    fn one_address_cannot_hold_the_places_of_others() {
        let forwards = Forwards::default();
        let enter = |address| enter(&forwards, "host", Some(address), 1);
        let held: Vec<_> = (0..).map_while(|_| enter("192.0.2.1")).collect();
        assert_eq!(held.len(), 12);
        assert!(enter("192.0.2.2").is_some());
    }
}
