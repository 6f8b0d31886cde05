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

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use volt_api::{
    server::{RelayHandler, RelayedCall, Token, TunnelFrame, Via},
    volt::{InvokeRequest, InvokeResponse},
};

/// How many frames may wait for a host, and for each caller.
const FRAMES: usize = 64;
/// How long what else a host sends waits for a caller that takes none of its own. `Connect` has no flow
/// control for one call, so this is how a slow caller slows its host down.
const PATIENCE: Duration = Duration::from_secs(5);
/// What callers hear of a host that is not there. Clients know this text.
const NOT_FOUND: &str = "failure forwarding invocation: not found";

/// Who takes calls now, by identity. The last to come is the one that gets them.
#[derive(Clone, Default)]
pub(crate) struct Hosts(Arc<Mutex<HashMap<String, Vec<Arc<Host>>>>>);

/// One `Connect` call that takes invocations.
struct Host {
    requests: mpsc::Sender<InvokeRequest>,
    calls: Mutex<HashMap<u64, Caller>>,
    next: AtomicU64,
}

/// The way to the caller of a call.
struct Caller {
    answers: mpsc::Sender<TunnelFrame>,
    /// Says that the caller has lost its call.
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

    /// Lets an identity take calls, until the hosting is dropped. Also gives the frames for the host.
    pub(crate) fn add(&self, identity: &str) -> (Hosting, mpsc::Receiver<InvokeRequest>) {
        let (requests, inbox) = mpsc::channel(FRAMES);
        let host = Arc::new(Host { requests, calls: Mutex::default(), next: AtomicU64::new(1) });
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
}

/// Passes a call's frames both ways until either end is done with it.
async fn pump(host: Arc<Host>, call: RelayedCall, open: TunnelFrame) {
    let id = host.next.fetch_add(1, Ordering::Relaxed);
    let (sender, mut answers) = mpsc::channel(FRAMES);
    let (lost, given_up) = oneshot::channel();
    host.calls().insert(id, Caller { answers: sender, lost });
    let _entry = Entry { host: Arc::clone(&host), id };
    let pass = async |frame| {
        let request = InvokeRequest::from_frame(id, frame);
        host.requests.send(request).await.is_ok()
    };
    if !pass(open).await {
        return call.reject(NOT_FOUND);
    }
    // Each direction waits for its own receiver only.
    let requests = async {
        while let Some(frame) = call.receive().await {
            if !pass(frame).await {
                return End::HostGone;
            }
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
        Ok(()) = given_up => End::TooSlow,
    };
    match end {
        End::Done => {}
        End::CallerGone => {
            pass(TunnelFrame::caller_gone()).await;
        }
        End::TooSlow => {
            call.reject("the caller takes nothing, and others wait for the same host");
            pass(TunnelFrame::caller_gone()).await;
        }
        End::HostGone => call.reject("the host has gone"),
    }
}

/// How a call that is passed on ends.
enum End {
    /// By the host's last frame.
    Done,
    CallerGone,
    TooSlow,
    HostGone,
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
}

impl Hosting {
    /// Takes a frame of the host's to its caller. A caller that takes nothing for a while loses its
    /// call, so that the others can go on.
    pub(crate) async fn answer(&self, response: InvokeResponse) {
        let id = response.invoke_id;
        let Some(caller) = self.host.calls().get(&id).map(|caller| caller.answers.clone()) else {
            return;
        };
        if timeout(PATIENCE, caller.send(response.into_frame())).await.is_err() {
            let lost = self.host.calls().remove(&id);
            // An error means that the call has just ended.
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
        // Their callers hear at once that nobody answers any more.
        self.host.calls().clear();
    }
}

#[cfg(test)]
impl Hosts {
    /// As if there were a call, number 1, to this host whose caller takes nothing.
    pub(crate) fn add_stuck_caller(&self, identity: &str) -> mpsc::Receiver<TunnelFrame> {
        let (answers, stuck) = mpsc::channel(1);
        let (lost, _) = oneshot::channel();
        answers.try_send(TunnelFrame::caller_gone()).expect("there is room for one");
        let host = self.find(identity).expect("somebody hosts");
        host.calls().insert(1, Caller { answers, lost });
        stuck
    }
}
