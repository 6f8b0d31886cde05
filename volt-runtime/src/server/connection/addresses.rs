//! Bounds the connections from one address that have no session yet.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The connections of a server that have no session yet, by the addresses of their clients.
#[derive(Debug)]
pub(in crate::server) struct Addresses {
    /// The maximum number for one address.
    limit: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// The place of one connection. Dropping it frees the place.
#[derive(Debug)]
pub(in crate::server) struct Place {
    /// `None` if the connection is not counted.
    counted: Option<(Arc<Addresses>, IpAddr)>,
}

impl Addresses {
    pub(in crate::server) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, counts: Mutex::default() })
    }

    /// Takes a place for a connection from `peer`. Returns `None` if its address has no places
    /// left.
    ///
    /// Connections from this machine are not counted: all its programs share one address, and so do
    /// all clients behind a proxy on it.
    pub(in crate::server) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let Some(address) = counted(peer) else { return Some(Place::uncounted()) };
        let mut counts = self.counts();
        let count = counts.entry(address).or_default();
        if *count >= self.limit {
            if *count == 0 {
                counts.remove(&address);
            }
            return None;
        }
        *count += 1;
        Some(Place { counted: Some((Arc::clone(self), address)) })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The place of a connection whose address does not count.
    pub(in crate::server) fn uncounted() -> Self {
        Self { counted: None }
    }

    /// The address under which the connection is counted, if it is.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.counted.as_ref().map(|(_, address)| *address)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((addresses, address)) = &self.counted else { return };
        let mut counts = addresses.counts();
        if let Some(count) = counts.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(address);
            }
        }
    }
}

/// The address under which a connection is counted, or `None` if it is not counted. A client with
/// IPv6 usually has a whole network of 64 bits.
fn counted(peer: IpAddr) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if peer.is_loopback() {
        return None;
    }
    Some(match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_or_ipv6_network_has_its_own_limit() {
        let addresses = Addresses::new(2);
        for (one, same, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:0:1", "2001:db8:0:1::1"),
        ] {
            let first = addresses.enter(address(one)).unwrap();
            let _second = addresses.enter(address(same)).unwrap();
            assert!(addresses.enter(address(one)).is_none());
            assert!(addresses.enter(address(other)).is_some());
            drop(first);
            assert!(addresses.enter(address(same)).is_some());
        }
        assert!(addresses.counts().is_empty(), "addresses without connections are forgotten");
    }

    #[test]
    fn this_machine_is_not_counted() {
        let addresses = Addresses::new(0);
        for here in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert!(addresses.enter(address(here)).is_some(), "{here}");
        }
        assert!(addresses.enter(address("192.0.2.1")).is_none());
        assert!(addresses.counts().is_empty());
    }
}
