//! Relays calls to clients that host services, and to Volts that use this one as their relay.
//!
//! A host is a client with an open `Connect` call that accepts invocations; it is addressed by its
//! identity. Payloads are forwarded unread: only the two ends have the key. The host authorizes its
//! callers itself.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use volt_api::{
    server::{RelayHandler, RelayedCall, Token, TunnelFrame, Via},
    volt::{InvokeRequest, InvokeResponse},
};

use super::frames;

/// The number of frames queued for a host, and for each caller.
const FRAMES: usize = 64;
/// The maximum time that a host's other messages wait for a caller that reads nothing. `Connect`
/// has no flow control per call, so a slow caller can stall its host for this long.
const PATIENCE: Duration = Duration::from_secs(5);
/// The error message for calls to a host that is not connected. Published clients match this text.
const NOT_FOUND: &str = "failure forwarding invocation: not found";

/// The connected hosts by identity. Calls go to the most recent connection.
#[derive(Clone, Default)]
pub(crate) struct Hosts(Arc<Mutex<HashMap<String, Vec<Arc<Host>>>>>);

/// One `Connect` call that accepts invocations.
struct Host {
    requests: mpsc::Sender<InvokeRequest>,
    calls: Mutex<HashMap<u64, Caller>>,
    next: AtomicU64,
    /// Set for a Volt, which checks the sessions of its callers itself.
    is_volt: bool,
}

/// The channels to the caller of one call.
struct Caller {
    answers: mpsc::Sender<TunnelFrame>,
    /// Notifies the caller's task that its call has failed.
    lost: oneshot::Sender<()>,
}

impl Host {
    fn calls(&self) -> MutexGuard<'_, HashMap<u64, Caller>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hosts {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Host>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a host with this identity until the returned [`Hosting`] is dropped. Also returns
    /// the receiver of frames for the host. `is_volt` is set for a Volt that uses this one as its relay.
    pub(crate) fn add(
        &self,
        identity: &str,
        is_volt: bool,
    ) -> (Hosting, mpsc::Receiver<InvokeRequest>) {
        let (requests, inbox) = mpsc::channel(FRAMES);
        let (calls, next) = (Mutex::default(), AtomicU64::new(1));
        let host = Arc::new(Host { requests, calls, next, is_volt });
        self.lock().entry(identity.to_owned()).or_default().push(Arc::clone(&host));
        (Hosting { hosts: self.clone(), identity: identity.to_owned(), host }, inbox)
    }

    fn find(&self, identity: &str) -> Option<Arc<Host>> {
        self.lock().get(identity)?.last().map(Arc::clone)
    }
}

impl RelayHandler for Hosts {
    fn relay(&self, token: &Token, via: &Via, call: RelayedCall) {
        let mut via = via.clone();
        let next = via.destinations.first().cloned().unwrap_or_default();
        let Some(host) = self.find(&next) else { return call.reject(NOT_FOUND) };
        via.arrive(&next);
        tokio::spawn(pump(host, call, TunnelFrame::open(token, via)));
    }

    /// Clients that host services exchange keys with every caller, and ask this Volt about its session only
    /// when it has named a method.
    fn checks_session(&self, via: &Via) -> bool {
        let host = via.destinations.first().and_then(|next| self.find(next));
        host.is_some_and(|host| !host.is_volt)
    }
}

/// Forwards a call's frames in both directions until either end finishes it.
async fn pump(host: Arc<Host>, call: RelayedCall, open: TunnelFrame) {
    let id = host.next.fetch_add(1, Ordering::Relaxed);
    let (sender, mut answers) = mpsc::channel(FRAMES);
    let (lost, lost_call) = oneshot::channel();
    host.calls().insert(id, Caller { answers: sender, lost });
    let _entry = Entry { host: Arc::clone(&host), id };
    let pass = async |frame| {
        let request = frames::sent(id, frame);
        host.requests.send(request).await.is_ok()
    };
    if !pass(open).await {
        return call.reject(NOT_FOUND);
    }
    // The published host for gRPC forgets a call only when it is notified of the caller's end.
    let heard = AtomicBool::new(false);
    // Each direction waits only for its own receiver.
    let requests = async {
        while let Some(frame) = call.receive().await {
            let is_last = frame.is_last();
            if !pass(frame).await {
                return End::HostGone;
            }
            heard.fetch_or(is_last, Ordering::Relaxed);
        }
        End::CallerGone
    };
    let responses = async {
        while let Some(frame) = answers.recv().await {
            if call.send(&frame).await.is_err() {
                return End::CallerGone;
            }
            if frame.is_last() {
                return End::Done;
            }
        }
        End::HostGone
    };
    let end = tokio::select! {
        end = requests => end,
        end = responses => end,
        Ok(()) = lost_call => End::TooSlow,
    };
    match end {
        End::Done if heard.load(Ordering::Relaxed) => {}
        End::Done | End::CallerGone => {
            drop(call);
            pass(TunnelFrame::CallerGone).await;
        }
        End::TooSlow => {
            call.reject("the caller reads too slowly, and other calls wait for the same host");
            pass(TunnelFrame::CallerGone).await;
        }
        End::HostGone => call.reject("unavailable: the host has disconnected"),
    }
}

/// The reason for the end of a relayed call.
enum End {
    /// The host sent its last frame.
    Done,
    CallerGone,
    TooSlow,
    HostGone,
}

/// Removes a call from its host when the call ends.
struct Entry {
    host: Arc<Host>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.host.calls().remove(&self.id);
    }
}

/// A registered host. Dropping it unregisters the host.
pub(crate) struct Hosting {
    hosts: Hosts,
    identity: String,
    host: Arc<Host>,
}

impl Hosting {
    /// Delivers a host's frame to its caller. A caller that reads nothing for [`PATIENCE`] loses
    /// its call, so that the host's other calls can proceed.
    pub(crate) async fn answer(&self, response: InvokeResponse) {
        let id = response.invoke_id;
        let Some(caller) = self.host.calls().get(&id).map(|caller| caller.answers.clone()) else {
            return;
        };
        if timeout(PATIENCE, caller.send(frames::received(response))).await.is_err() {
            let lost = self.host.calls().remove(&id);
            // Fails only if the call has just ended.
            lost.map(|caller| caller.lost.send(()));
        }
    }
}

impl Drop for Hosting {
    fn drop(&mut self) {
        let mut hosts = self.hosts.lock();
        if let Some(all) = hosts.get_mut(&self.identity) {
            all.retain(|host| !Arc::ptr_eq(host, &self.host));
            if all.is_empty() {
                hosts.remove(&self.identity);
            }
        }
        drop(hosts);
        // Ends the open calls immediately.
        self.host.calls().clear();
    }
}

#[cfg(test)]
impl Hosts {
    /// Adds call number 1 to this host, with a caller that reads nothing.
    pub(crate) fn add_stuck_caller(&self, identity: &str) -> mpsc::Receiver<TunnelFrame> {
        let (answers, stuck) = mpsc::channel(1);
        let (lost, _) = oneshot::channel();
        answers.try_send(TunnelFrame::CallerGone).expect("there is room for one");
        let host = self.find(identity).expect("a host is registered");
        host.calls().insert(1, Caller { answers, lost });
        stuck
    }
}
