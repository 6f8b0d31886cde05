//! The calls of one connection, whatever carries its frames.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    Endpoint,
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

/// What the driver and the tasks of a connection's calls share.
pub(super) struct Connection {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) link: Arc<Link>,
    calls: Mutex<HashMap<u64, Arc<CallState>>>,
    /// No further calls are taken.
    draining: AtomicBool,
    /// Told of each call that ends.
    ended: Notify,
    /// What the requests that nobody has read yet may take, of all calls together.
    budget: Arc<Budget>,
    /// The token of the last call that was let in: a client may open many with one.
    token: Mutex<Option<Arc<Token>>>,
    /// What answers the next call's key exchange, if it has been made already.
    next_answer: Mutex<Option<Answer>>,
}

impl Connection {
    fn calls(&self) -> MutexGuard<'_, HashMap<u64, Arc<CallState>>> {
        // The map is changed by single operations only, so a poisoned one is still whole.
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
        let removed = self.calls().remove(&id);
        // Dropped here, outside the lock.
        drop(removed);
        self.ended.notify_waiters();
    }

    /// Turns further calls away, and waits until those are over whose callers have said all that
    /// they had to say.
    pub(super) async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if !self.calls().values().any(|call| call.is_half_closed()) {
                return;
            }
            ended.await;
        }
    }

    fn open(self: &Arc<Self>, frame: Frame) {
        if self.draining.load(Ordering::Relaxed) {
            return self.reject(&frame, "this server is shutting down");
        }
        let id = frame.call;
        let state = {
            let mut calls = self.calls();
            if calls.len() >= self.endpoint.options().max_calls {
                drop(calls);
                return self.reject(&frame, "too many calls are open on this connection");
            }
            let state = Arc::new(CallState::new(self.endpoint.options(), &self.budget));
            calls.insert(id, Arc::clone(&state));
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
    pub(super) fn new(endpoint: Arc<Endpoint>, link: Arc<Link>) -> Self {
        let budget = Budget::new(endpoint.options().connection_buffer.max(1));
        Self(Arc::new(Connection {
            endpoint,
            link,
            calls: Mutex::default(),
            budget,
            draining: AtomicBool::new(false),
            ended: Notify::new(),
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
        self.0.calls().len()
    }
}

impl Side for ServerSide {
    type Call = CallState;

    const ANSWERS: bool = true;

    fn route(&mut self, frame: Frame) -> Option<(Arc<CallState>, Bytes)> {
        let call = self.0.calls().get(&frame.call).map(Arc::clone);
        match (frame.kind.opens(), call) {
            (true, None) => self.0.open(frame),
            (true, Some(call)) => call.fail(Error::protocol("a call is opened only once")),
            (false, Some(call)) => return Some((call, frame.body)),
            // The call has ended.
            (false, None) => {}
        }
        None
    }

    fn lost(&mut self, reason: &Error) {
        let calls = std::mem::take(&mut *self.0.calls());
        for call in calls.values() {
            call.fail(reason.clone());
        }
    }
}
