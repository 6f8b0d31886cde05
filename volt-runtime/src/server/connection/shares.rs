//! The limits that the calls within all `Invoke` streams of one HTTP/2 connection share.
//!
//! Each stream has its own machine, so that HTTP/2 controls the flow of each call. The places of calls that
//! have not named their method are those of the connection.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{admission::Admission, options::ServerOptions};

/// The places of a connection's calls that have not named their method.
#[derive(Debug)]
pub(in crate::server) struct Shares {
    exchanges: Arc<Semaphore>,
    forwards: Arc<Semaphore>,
    max_forwards: usize,
}

impl Shares {
    pub(in crate::server) fn new(options: &ServerOptions) -> Arc<Self> {
        let places = |number: usize| Arc::new(Semaphore::new(number.min(Semaphore::MAX_PERMITS)));
        let forwards = places(options.max_relayed_exchanges.max(1));
        Arc::new(Self {
            exchanges: places(options.max_key_exchanges),
            max_forwards: forwards.available_permits(),
            forwards,
        })
    }

    /// Takes a place for a call that is being opened. Returns `None` if no place is left.
    pub(super) fn exchange(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.exchanges).try_acquire_owned().ok()
    }

    /// Waits for a place for a call to another host.
    pub(super) async fn forward(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.forwards).acquire_owned().await.ok()
    }

    /// The number of calls to other hosts.
    pub(super) fn forwarded(&self) -> usize {
        self.max_forwards - self.forwards.available_permits()
    }
}

/// The places that a call occupies until it names its method.
pub(super) type Places = Vec<OwnedSemaphorePermit>;

/// The parts of an `Invoke` stream that the calls within it need.
#[derive(Clone, Debug)]
pub(in crate::server) struct StreamLimits {
    /// The admission of the stream. A caller with a session admits its connection too.
    pub(in crate::server) admission: Arc<Admission>,
    pub(in crate::server) shares: Arc<Shares>,
}
