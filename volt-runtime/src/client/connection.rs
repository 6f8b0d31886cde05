//! One connection: it opens calls and finds them for the driver.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};

use super::{
    ahead,
    call::{CallState, KeyState},
    ends::Ends,
    halves::{Receiver, Sender},
    supervisor::Core,
};
use crate::{
    CallOptions, ConnectOptions, Error, ErrorKind, Executed, Method, Result,
    key::KeyAlgorithm,
    proto::{
        ProtocolError,
        ahead::{Ahead, Progress},
        call::Outgoing,
        frame::{Frame, FrameKind},
    },
    queue::Budget,
    socket::{Link, Side},
    transport::RawCall,
};

/// What the calls of a connection share.
pub(super) struct Shared {
    link: Arc<Link>,
    calls: Mutex<Calls>,
    /// What the responses that nobody has read yet may take, of all calls together.
    budget: Arc<Budget>,
    /// Told of each call that ends.
    ended: Notify,
    /// Told when there is something to do for the calls ahead.
    ahead: Notify,
    key_exchange_timeout: Duration,
}

#[derive(Default)]
struct Calls {
    open: HashMap<u64, Arc<CallState>>,
    /// Calls that nobody has made yet.
    ahead: Ahead,
    /// Calls that were given up before the peer's key came, and how long that is waited for: only
    /// with the key can the peer be told.
    given_up: VecDeque<(Instant, u64)>,
    /// Why there can be no more, once the connection is gone or being closed.
    over: Option<Error>,
    /// The peer has said something.
    answered: bool,
}

impl Calls {
    /// Whether another call may be made.
    fn admit(&mut self, max_calls: usize) -> Result<()> {
        self.sweep();
        if let Some(reason) = &self.over {
            return Err(reason.clone().with_executed(Executed::No));
        }
        if self.open.len() >= max_calls {
            let message = format!("{max_calls} calls are open on this connection");
            return Err(
                Error::new(ErrorKind::ResourceExhausted, message).with_executed(Executed::No)
            );
        }
        Ok(())
    }

    /// Forgets the calls that were given up too long ago.
    fn sweep(&mut self) {
        if self.given_up.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some((until, id)) = self.given_up.front() {
            if *until > now {
                return;
            }
            self.open.remove(id);
            self.given_up.pop_front();
        }
    }
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        // The map is changed by single operations only, so a poisoned one is still whole.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Waits until there is something to do for the calls ahead.
    pub(super) async fn ahead_changed(&self) {
        self.ahead.notified().await;
    }

    pub(super) fn remove(&self, id: u64) {
        let removed = self.calls().open.remove(&id);
        // Dropped here, outside the lock.
        drop(removed);
        self.ended.notify_waiters();
    }

    /// Removes a call that was given up once the peer's key is overdue.
    pub(super) fn forget_in_time(&self, id: u64) {
        let Some(until) = Instant::now().checked_add(self.key_exchange_timeout) else { return };
        self.calls().given_up.push_back((until, id));
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
    ends: Arc<Ends>,
    next_id: AtomicU64,
    max_calls: usize,
    preopened_calls: usize,
}

impl Connection {
    /// A connection, and what its driver needs to know of it.
    pub(super) fn new(
        link: Arc<Link>,
        ends: Arc<Ends>,
        options: &ConnectOptions,
    ) -> (Self, ClientSide) {
        let open = Arc::new(CloseOnDrop(Arc::clone(&link)));
        let shared = Arc::new(Shared {
            link,
            calls: Mutex::new(Calls {
                ahead: Ahead::new(options.preopened_calls, options.preopened_max_age),
                ..Calls::default()
            }),
            budget: Budget::new(options.connection_buffer.max(1)),
            ended: Notify::new(),
            ahead: Notify::new(),
            key_exchange_timeout: options.key_exchange_timeout,
        });
        let side = ClientSide { shared: Arc::clone(&shared), core: None };
        let connection = Self {
            shared,
            open,
            ends,
            next_id: AtomicU64::new(1),
            max_calls: options.max_calls,
            preopened_calls: options.preopened_calls,
        };
        (connection, side)
    }

    pub(super) fn open_calls(&self) -> usize {
        let mut calls = self.shared.calls();
        calls.sweep();
        calls.open.len()
    }

    #[cfg(feature = "fuzzing")]
    pub(super) fn open_ids(&self) -> Vec<u64> {
        self.shared.calls().open.keys().copied().collect()
    }

    /// Whether the peer has said anything yet.
    pub(super) fn answered(&self) -> bool {
        self.shared.calls().answered
    }

    /// Refuses further calls, and waits until those are over whose answer is due: all that was to
    /// be said has been said, and one answer is expected.
    pub(super) async fn drain(&self, reason: &Error) {
        self.shared.calls().over.get_or_insert_with(|| reason.clone());
        loop {
            let mut ended = std::pin::pin!(self.shared.ended.notified());
            ended.as_mut().enable();
            let open: Vec<_> = self.shared.calls().open.values().map(Arc::clone).collect();
            if !open.iter().any(|call| call.awaits_answer()) {
                return;
            }
            ended.await;
        }
    }

    /// Ends the connection once everything queued has been written.
    pub(super) fn close(&self) {
        self.shared.link.close();
    }

    pub(super) fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        if let Some(state) = self.take_ahead(method, options)? {
            return Ok(self.halves(state));
        }
        let route = self.ends.route(options)?;
        let service_id = options.target.as_ref().and_then(|target| target.service_id.as_deref());
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (frame, key, outgoing) = match self.ends.key.algorithm() {
            KeyAlgorithm::Ed25519 => {
                let pass = self.ends.pass(&route, options.fresh_key).map_err(cannot_open)?;
                let (handshake, frame) = pass.open(id).map_err(cannot_open)?;
                let outgoing = Outgoing::client(id, method.path, service_id);
                (Some(frame), KeyState::Waiting(handshake), outgoing)
            }
            KeyAlgorithm::Rsa => {
                let (key, opening) = self.ends.open_legacy(&route).map_err(cannot_open)?;
                let outgoing = Outgoing::legacy_client(id, method.path, service_id, opening);
                (None, KeyState::Ready(Arc::new(key)), outgoing)
            }
        };
        let shared = Arc::clone(&self.shared);
        let state = CallState::new(id, shared, key, outgoing, method.kind, options);
        {
            let mut calls = self.shared.calls();
            calls.admit(self.max_calls)?;
            calls.open.insert(id, Arc::clone(&state));
        }
        if let Some(frame) = frame {
            self.shared.link.send(frame);
        }
        Ok(self.halves(state))
    }

    fn halves(&self, state: Arc<CallState>) -> RawCall {
        let (open, patience) = (&self.open, self.shared.key_exchange_timeout);
        RawCall {
            sender: Box::new(Sender::new(Arc::clone(&state), Arc::clone(open), patience)),
            receiver: Box::new(Receiver::new(state, Arc::clone(open), patience)),
        }
    }

    /// A call whose keys were exchanged ahead, if it may be one and there is one.
    fn take_ahead(
        &self,
        method: &'static Method,
        options: &CallOptions,
    ) -> Result<Option<Arc<CallState>>> {
        if !self.keeps_ahead() || options.target.is_some() || options.fresh_key {
            return Ok(None);
        }
        let taken = self.move_ahead(method, options)?;
        // Taken or missed, there is something to replace.
        self.shared.ahead.notify_one();
        Ok(taken)
    }

    /// Moves a call from the one list to the other, under one lock, so that no answer is lost.
    fn move_ahead(
        &self,
        method: &'static Method,
        options: &CallOptions,
    ) -> Result<Option<Arc<CallState>>> {
        let mut calls = self.shared.calls();
        calls.admit(self.max_calls)?;
        let Some((id, progress)) = calls.ahead.take(Instant::now().into_std()) else {
            return Ok(None);
        };
        let key = match progress {
            Progress::Waiting(handshake) => KeyState::Waiting(handshake),
            Progress::Replied(handshake, body) => KeyState::Replied(handshake, body),
            Progress::Ready(key) => KeyState::Ready(key),
        };
        let (shared, outgoing) =
            (Arc::clone(&self.shared), Outgoing::client(id, method.path, None));
        let state = CallState::new(id, shared, key, outgoing, method.kind, options);
        calls.open.insert(id, Arc::clone(&state));
        Ok(Some(state))
    }

    fn keeps_ahead(&self) -> bool {
        self.preopened_calls > 0 && self.ends.key.algorithm() == KeyAlgorithm::Ed25519
    }

    /// Keeps calls open and keyed ahead for as long as the connection lives, if it is to.
    pub(super) fn keep_ahead(self: &Arc<Self>) {
        if self.keeps_ahead() {
            let (connection, shared) = (Arc::downgrade(self), Arc::clone(&self.shared));
            tokio::spawn(ahead::keep(connection, shared));
        }
    }

    /// Does what is to be done for the calls ahead. Gives when to look again at the latest, or
    /// nothing once there are to be none any more.
    pub(super) fn tend_ahead(&self) -> Option<Option<std::time::Instant>> {
        // Each lock is held for a moment only: the cryptography is done between them.
        loop {
            let reply = self.shared.calls().ahead.reply();
            let Some(reply) = reply else { break };
            let key = reply.key();
            if let Err(error) = &key {
                tracing::warn!(%error, "a key exchange ahead of its call failed");
            }
            self.shared.calls().ahead.complete(&reply, key.ok());
        }
        let missing = {
            let mut calls = self.shared.calls();
            let now = Instant::now().into_std();
            for frame in calls.ahead.expire(now) {
                self.shared.link.send(frame);
            }
            if calls.over.is_some() {
                return None;
            }
            calls.ahead.missing()
        };
        for _ in 0..missing {
            if let Err(error) = self.open_ahead() {
                tracing::warn!(%error, "a call cannot be opened ahead");
                break;
            }
        }
        Some(self.shared.calls().ahead.next_expiry())
    }

    fn open_ahead(&self) -> Result<()> {
        let route = self.ends.route(&CallOptions::default())?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let opened = self.ends.pass(&route, false).and_then(|pass| pass.open(id));
        let (handshake, frame) = opened.map_err(cannot_open)?;
        self.shared.calls().ahead.add(id, handshake, Instant::now().into_std());
        self.shared.link.send(frame);
        Ok(())
    }
}

/// The driver's view of the calls.
pub(super) struct ClientSide {
    shared: Arc<Shared>,
    core: Option<Arc<Core>>,
}

impl ClientSide {
    /// Sets who is told first that the connection is lost.
    pub(super) fn attach(&mut self, core: &Arc<Core>) {
        self.core = Some(Arc::clone(core));
    }
}

impl Side for ClientSide {
    type Call = CallState;

    const ANSWERS: bool = false;

    fn route(&mut self, frame: Frame) -> Option<(Arc<CallState>, Bytes)> {
        // Calls that are unknown have ended here; what still comes for them is of no interest.
        let call = {
            let mut calls = self.shared.calls();
            calls.answered = true;
            let Some(call) = calls.open.get(&frame.call).map(Arc::clone) else {
                if calls.ahead.take_frame(frame) {
                    self.shared.ahead.notify_one();
                }
                return None;
            };
            call
        };
        match frame.kind {
            FrameKind::KeyExchange => {
                call.key_replied(frame.body);
                None
            }
            // Only a client opens calls.
            FrameKind::LegacyOpening => None,
            FrameKind::Invoke | FrameKind::Payload => {
                call.frame_came(frame.last);
                Some((call, frame.body))
            }
        }
    }

    fn lost(&mut self, reason: &Error) {
        if let Some(core) = self.core.take() {
            core.lost(reason);
        }
        let open = {
            let mut calls = self.shared.calls();
            calls.over.get_or_insert_with(|| reason.clone());
            calls.ahead.clear();
            std::mem::take(&mut calls.open)
        };
        self.shared.ahead.notify_one();
        // One error for all of a kind, so that a thousand calls share one cause.
        let maybe = reason.clone().with_executed(Executed::Maybe);
        let never = reason.clone().with_executed(Executed::No);
        for call in open.values() {
            call.lost(if call.is_invoked() { &maybe } else { &never });
        }
        self.shared.ended.notify_waiters();
    }
}

fn cannot_open(error: ProtocolError) -> Error {
    Error::protocol("the call cannot be opened").with_source(error).with_executed(Executed::No)
}
