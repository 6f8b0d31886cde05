//! The calls of one connection, whatever carries its frames.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::timeout};

use super::{
    ServiceHost,
    call::{self, CallState},
};
use crate::{
    Error,
    proto::{
        self,
        frame::{Frame, FrameKind},
        handshake::Answer,
        token::Token,
    },
    queue::Budget,
    socket::{CallSlot as _, Link, Side},
};

/// How long a drained connection waits for calls that have exchanged keys to name their method. One
/// that was opened to be made names it a round trip later; others, opened ahead, may never.
const INVOCATION_GRACE: Duration = Duration::from_secs(1);

/// What the driver and the tasks of a connection's calls share.
pub(super) struct Connection {
    pub(super) endpoint: Arc<ServiceHost>,
    pub(super) link: Arc<Link>,
    calls: Mutex<Calls>,
    /// Told of each call that ends, and while the connection drains, of each that is invoked.
    changed: Notify,
    /// What the requests that nobody has read yet may take, of all calls together.
    budget: Arc<Budget>,
    /// The token of the last call that was let in: a client may open many with one.
    token: Mutex<Option<Arc<Token>>>,
    /// What answers the next call's key exchange, if it has been made already.
    next_answer: Mutex<Option<Answer>>,
}

#[derive(Default)]
struct Calls {
    open: HashMap<u64, Arc<CallState>>,
    /// Set once no further calls are opened: what becomes of those that are to be.
    late: Option<Late>,
    /// Nothing is invoked any more, by the calls that are open neither.
    over: bool,
}

/// What becomes of a call that is to be opened on a connection that drains.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// It gets no answer. Its caller sees the connection go before there was a key, knows by that
    /// that the call cannot have been executed, and makes it again. A legacy call, which needs no
    /// answer to be executed, is rejected all the same.
    #[cfg(feature = "server")]
    Ignored,
    /// It is rejected by name: its caller does not see the connection go.
    Rejected,
}

impl Connection {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        // It is changed by single operations only, so a poisoned one is still whole.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self) -> MutexGuard<'_, Option<Arc<Token>>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next_answer(&self) -> MutexGuard<'_, Option<Answer>> {
        self.next_answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token of an earlier call.
    pub(super) fn earlier_token(&self) -> Option<Arc<Token>> {
        self.token().clone()
    }

    /// Remembers the token of a call that was let in.
    pub(super) fn remember(&self, token: &Arc<Token>) {
        let mut earlier = self.token();
        if !earlier.as_ref().is_some_and(|earlier| Arc::ptr_eq(earlier, token)) {
            *earlier = Some(Arc::clone(token));
        }
    }

    pub(super) fn remove(&self, id: u64) {
        let removed = self.calls().open.remove(&id);
        // Dropped here, outside the lock.
        drop(removed);
        self.changed.notify_waiters();
    }

    /// Notes that a call has named its method, and whether that was all that there is to be asked.
    /// If not, it is too late: the call must not be executed.
    pub(super) fn invoke(&self, call: &CallState, asked: bool) -> bool {
        let calls = self.calls();
        if calls.over {
            return false;
        }
        call.invoked(asked);
        if calls.late.is_some() {
            self.changed.notify_waiters();
        }
        true
    }

    /// Takes no further calls, and waits until those are over whose callers have said all that they
    /// had to say, and for a moment until those are invoked that have exchanged keys. After that, calls
    /// that are open go on, but nothing is invoked any more.
    pub(super) async fn drain(&self, late: Late) {
        self.calls().late = Some(late);
        let all = self.until_none(|call| call.is_asked() || !call.is_invoked());
        if timeout(INVOCATION_GRACE, all).await.is_err() {
            self.until_none(CallState::is_asked).await;
        }
    }

    /// Waits until there is no such call, and lets none be invoked from that moment on.
    async fn until_none(&self, such: impl Fn(&CallState) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut calls = self.calls();
                if !calls.open.values().any(|call| such(call)) {
                    calls.over = true;
                    return;
                }
            }
            changed.await;
        }
    }

    /// Ends the connection once everything queued has been written. Nothing is invoked any more, as
    /// nobody could be told of it.
    #[cfg(feature = "server")]
    pub(super) fn close(&self) {
        self.calls().over = true;
        self.link.close();
    }

    fn open(self: &Arc<Self>, frame: Frame) {
        let id = frame.call;
        let state = {
            let mut calls = self.calls();
            if let Some(late) = calls.late {
                drop(calls);
                if late == Late::Rejected || frame.kind == FrameKind::LegacyOpening {
                    self.reject(&frame, "this server is shutting down");
                }
                return;
            }
            if calls.open.len() >= self.endpoint.options().max_calls {
                drop(calls);
                return self.reject(&frame, "too many calls are open on this connection");
            }
            let state = Arc::new(CallState::new(self.endpoint.options(), &self.budget));
            calls.open.insert(id, Arc::clone(&state));
            if frame.kind == FrameKind::LegacyOpening {
                // Its first envelope came with it, before whatever comes next.
                state.inbox().push(frame.body.clone(), frame.body.len());
            }
            state
        };
        tokio::spawn(call::run(Arc::clone(self), state, frame));
    }

    /// Turns the call that a frame opens away, in clear.
    pub(super) fn reject(&self, frame: &Frame, reason: &str) {
        let rejection = match frame.kind {
            FrameKind::LegacyOpening => proto::legacy::reject(frame.call, reason),
            _ => proto::call::reject(frame.call, reason),
        };
        match rejection {
            Ok(rejection) => self.link.send(rejection),
            Err(error) => tracing::warn!(%error, "a rejection cannot be written"),
        }
    }
}

/// The driver's view of the calls.
pub(super) struct ServerSide(Arc<Connection>);

impl ServerSide {
    pub(super) fn new(endpoint: Arc<ServiceHost>, link: Arc<Link>) -> Self {
        let budget = Budget::new(endpoint.options().connection_buffer.max(1));
        Self(Arc::new(Connection {
            endpoint,
            link,
            calls: Mutex::default(),
            budget,
            changed: Notify::new(),
            token: Mutex::default(),
            next_answer: Mutex::default(),
        }))
    }

    /// What the side works on.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }

    #[cfg(feature = "fuzzing")]
    pub(super) fn open_calls(&self) -> usize {
        self.0.calls().open.len()
    }
}

impl Side for ServerSide {
    type Call = CallState;

    const ANSWERS: bool = true;

    fn route(&mut self, frame: Frame) -> Option<(Arc<CallState>, Bytes)> {
        let call = self.0.calls().open.get(&frame.call).map(Arc::clone);
        match (frame.kind.opens(), call) {
            (true, None) => self.0.open(frame),
            (true, Some(call)) => call.fail(Error::protocol("a call is opened only once")),
            (false, Some(call)) => {
                if frame.last {
                    call.last_came(&frame.body);
                }
                return Some((call, frame.body));
            }
            // The call has ended.
            (false, None) => {}
        }
        None
    }

    fn lost(&mut self, reason: &Error) {
        let calls = std::mem::take(&mut self.0.calls().open);
        for call in calls.values() {
            call.fail(reason.clone());
        }
    }
}
