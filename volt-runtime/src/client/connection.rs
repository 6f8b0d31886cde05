//! A connection as a transport: it opens calls and finds them for the driver.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tokio::sync::watch;

use super::call::{CallState, KeyState, Receiver, Sender};
use crate::{
    CallOptions, Error, Executed, Method, Result,
    key::{Algorithm, SigningKey, VerifyingKey},
    proto::{
        call::Outgoing,
        crypto::Ephemeral,
        frame::{Frame, FrameKind},
        handshake::{ClientHandshake, Route, Via},
        legacy,
    },
    socket::{Link, Side},
    transport::{BoxFuture, RawCall, Transport},
};

/// Who is at the two ends of a connection.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) key: SigningKey,
    pub(super) session: Option<String>,
    pub(super) volt_id: String,
    pub(super) volt_key: VerifyingKey,
    /// Whether the Volt is behind a relay.
    pub(super) relayed: bool,
}

impl Ends {
    fn route(&self, options: &CallOptions) -> Result<Route> {
        let mut destinations = Vec::new();
        if self.relayed {
            destinations.push(self.volt_id.clone());
        }
        let mut route = Route {
            audience: self.volt_id.clone(),
            signer: self.volt_key.clone(),
            via: Via { destinations, service: None },
        };
        let Some(target) = &options.target else {
            return Ok(route);
        };
        if let Some(host) = target.host_client_id.as_ref().filter(|host| **host != self.volt_id) {
            route.audience.clone_from(host);
        }
        if let Some(pem) = &target.host_public_key {
            route.signer = VerifyingKey::from_pem(pem).map_err(|error| {
                Error::configuration(format!("the service's `host_public_key` is no use: {error}"))
            })?;
        }
        if target.relayed
            && target.host_client_id.as_ref().is_some_and(|host| *host != self.volt_id)
        {
            route.via.destinations.extend(target.host_client_id.clone());
            route.via.service.clone_from(&target.host_service_id);
        }
        Ok(route)
    }

    /// Whom a legacy call is routed through: their keys' fingerprints.
    fn legacy_targets(&self, route: &Route) -> Vec<String> {
        let volt = self.relayed.then_some(&self.volt_key);
        let host = route.via.service.as_ref().map(|_| &route.signer);
        legacy::targets(volt.into_iter().chain(host))
    }
}

/// What the calls of a connection share.
pub(super) struct Shared {
    link: Arc<Link>,
    calls: Mutex<Calls>,
}

struct Calls {
    open: HashMap<u64, Arc<CallState>>,
    /// Why there can be no more, once the connection is gone.
    lost: Option<Error>,
}

impl Shared {
    pub(super) fn new(link: Arc<Link>) -> Arc<Self> {
        let calls = Mutex::new(Calls { open: HashMap::new(), lost: None });
        Arc::new(Self { link, calls })
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        // The map is changed by single operations only, so a poisoned one is still whole.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remove(&self, id: u64) {
        let removed = self.calls().open.remove(&id);
        // Dropped here, outside the lock.
        drop(removed);
    }
}

/// Closes the connection once no channel and no call holds it any more.
pub(super) struct CloseOnDrop(Arc<Link>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The connection as callers see it.
pub(super) struct Connection {
    shared: Arc<Shared>,
    open: Arc<CloseOnDrop>,
    ends: Ends,
    next_id: AtomicU64,
    /// Closed when the driver has ended.
    done: watch::Receiver<()>,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, ends: Ends, done: watch::Receiver<()>) -> Self {
        let open = Arc::new(CloseOnDrop(Arc::clone(&shared.link)));
        Self { shared, open, ends, next_id: AtomicU64::new(1), done }
    }
}

impl Transport for Connection {
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        let route = self.ends.route(options)?;
        let service_id = options.target.as_ref().and_then(|target| target.service_id.as_deref());
        let failed = |error| {
            Error::protocol("the call cannot be opened")
                .with_source(error)
                .with_executed(Executed::No)
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (frame, key, outgoing) = match self.ends.key.algorithm() {
            Algorithm::Ed25519 => {
                let ephemeral = Ephemeral::generate().map_err(failed)?;
                let session = self.ends.session.as_deref();
                let (key, now) = (&self.ends.key, unix_now());
                let (handshake, frame) =
                    ClientHandshake::begin(id, &route, key, session, ephemeral, now)
                        .map_err(failed)?;
                let outgoing = Outgoing::client(id, method.path, service_id);
                (Some(frame), KeyState::Waiting(handshake), outgoing)
            }
            Algorithm::Rsa => {
                let targets = self.ends.legacy_targets(&route);
                let (key, opening) =
                    legacy::open(&route, targets, &self.ends.key, unix_now()).map_err(failed)?;
                let outgoing = Outgoing::legacy_client(id, method.path, service_id, opening);
                (None, KeyState::Ready(Arc::new(key)), outgoing)
            }
        };
        let (shared, open) = (Arc::clone(&self.shared), Arc::clone(&self.open));
        let state = CallState::new(id, shared, open, key, outgoing, options);
        {
            let mut calls = self.shared.calls();
            if let Some(reason) = &calls.lost {
                return Err(reason.clone().with_executed(Executed::No));
            }
            calls.open.insert(id, Arc::clone(&state));
        }
        if let Some(frame) = frame {
            self.shared.link.send(frame);
        }
        Ok(RawCall {
            sender: Box::new(Sender { state: Arc::clone(&state), key: None }),
            receiver: Box::new(Receiver { state, ended: false }),
        })
    }

    fn close(&self) -> BoxFuture<()> {
        self.shared.link.close();
        let mut done = self.done.clone();
        Box::pin(async move {
            // An error means that the driver has dropped its end, which is what this waits for.
            while done.changed().await.is_ok() {}
        })
    }

    fn open_calls(&self) -> usize {
        self.shared.calls().open.len()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("volt", &self.ends.volt_id)
            .field("open_calls", &self.open_calls())
            .finish_non_exhaustive()
    }
}

/// The driver's view of the calls.
pub(super) struct ClientSide {
    pub(super) shared: Arc<Shared>,
    /// Dropped with the driver.
    pub(super) _done: watch::Sender<()>,
}

impl Side for ClientSide {
    type Call = CallState;

    fn route(&mut self, frame: Frame) -> Option<(Arc<CallState>, Bytes)> {
        // Calls that are unknown have ended here; what still comes for them is of no interest.
        let call = self.shared.calls().open.get(&frame.call).map(Arc::clone)?;
        match frame.kind {
            FrameKind::KeyExchange => {
                call.key_replied(frame.body);
                None
            }
            // Only a client opens calls.
            FrameKind::LegacyOpening => None,
            FrameKind::Invoke | FrameKind::Payload => {
                if frame.last {
                    call.last_frame();
                }
                Some((call, frame.body))
            }
        }
    }

    fn lost(&mut self, reason: &Error) {
        let open = {
            let mut calls = self.shared.calls();
            calls.lost.get_or_insert_with(|| reason.clone());
            std::mem::take(&mut calls.open)
        };
        for call in open.values() {
            call.lost(reason);
        }
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
