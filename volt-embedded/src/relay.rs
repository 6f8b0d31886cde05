//! Passing calls on to clients that host services, and to Volts that this one is a relay for.
//!
//! A host is whoever has a `Connect` call open that takes invocations; it is found by its identity.
//! Payloads pass as they are: only the two ends have their key. Who may call is for the target to say.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};
use volt_api::{
    server::{Relay, RelayedCall, Token, TunnelFrame, Via},
    volt::{InvokeRequest, InvokeResponse},
};

/// How many frames may wait for a host, and for each caller.
const FRAMES: usize = 64;
/// How long a host's other frames wait for a caller that takes none of its own.
const PATIENCE: Duration = Duration::from_secs(5);
/// What callers hear of a host that is not there. Clients know this text.
const NOT_FOUND: &str = "failure forwarding invocation: not found";

/// Who takes calls now, by identity. The last to come is the one that gets them.
#[derive(Clone, Default)]
pub(crate) struct Hosts(Arc<Mutex<HashMap<String, Vec<Arc<Host>>>>>);

/// One `Connect` call that takes invocations.
struct Host {
    requests: mpsc::Sender<InvokeRequest>,
    calls: Mutex<HashMap<u64, mpsc::Sender<TunnelFrame>>>,
    next: AtomicU64,
}

impl Host {
    fn calls(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<TunnelFrame>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hosts {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Host>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an identity take calls, until what this gives is dropped.
    pub(crate) fn add(&self, identity: &str) -> Hosting {
        let (requests, inbox) = mpsc::channel(FRAMES);
        let host = Arc::new(Host { requests, calls: Mutex::default(), next: AtomicU64::new(1) });
        self.lock().entry(identity.to_owned()).or_default().push(Arc::clone(&host));
        Hosting { hosts: self.clone(), identity: identity.to_owned(), host, inbox }
    }

    fn find(&self, identity: &str) -> Option<Arc<Host>> {
        self.lock().get(identity)?.last().map(Arc::clone)
    }
}

impl Relay for Hosts {
    fn relay(&self, token: &Token, via: &Via, call: RelayedCall) {
        let mut via = via.clone();
        let next = via.destinations.first().cloned().unwrap_or_default();
        let Some(host) = self.find(&next) else { return call.reject(NOT_FOUND) };
        via.arrive(&next);
        tokio::spawn(pump(host, call, TunnelFrame::open(token, via)));
    }
}

/// Passes a call's frames both ways until either end is done with it.
async fn pump(host: Arc<Host>, call: RelayedCall, open: TunnelFrame) {
    let id = host.next.fetch_add(1, Ordering::Relaxed);
    let (sender, mut answers) = mpsc::channel(FRAMES);
    host.calls().insert(id, sender);
    let _entry = Entry { host: Arc::clone(&host), id };
    let pass = async |frame| {
        let request = InvokeRequest::from_frame(id, frame);
        host.requests.send(request).await.is_ok()
    };
    if !pass(open).await {
        return call.reject(NOT_FOUND);
    }
    loop {
        tokio::select! {
            frame = call.receive() => {
                let gone = frame.is_none();
                let passed = pass(frame.unwrap_or_else(TunnelFrame::caller_gone)).await;
                if gone {
                    return;
                }
                if !passed {
                    return call.reject("the host has gone");
                }
            }
            answer = answers.recv() => {
                let Some(frame) = answer else { return call.reject("the host has gone") };
                if call.send(&frame).await.is_err() {
                    pass(TunnelFrame::caller_gone()).await;
                    return;
                }
                if frame.is_last() {
                    return;
                }
            }
        }
    }
}

/// Takes a call off its host when it is over.
struct Entry {
    host: Arc<Host>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.host.calls().remove(&self.id);
    }
}

/// An identity's time as a host.
pub(crate) struct Hosting {
    hosts: Hosts,
    identity: String,
    host: Arc<Host>,
    inbox: mpsc::Receiver<InvokeRequest>,
}

impl Hosting {
    /// The next frame for the host.
    pub(crate) async fn next(&mut self) -> Option<InvokeRequest> {
        self.inbox.recv().await
    }

    /// Takes a frame of the host's to its caller. A caller that takes nothing for a while loses its
    /// call, so that the others can go on.
    pub(crate) async fn answer(&self, response: InvokeResponse) {
        let id = response.invoke_id;
        let Some(caller) = self.host.calls().get(&id).cloned() else { return };
        if timeout(PATIENCE, caller.send(response.into_frame())).await.is_err() {
            self.host.calls().remove(&id);
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
        // Their callers hear at once that nobody answers any more.
        self.host.calls().clear();
    }
}
