//! Connections that are lost on demand.
//!
//! A transport around another one. It follows the rules of a real connection: a loss is published before
//! its calls fail, they fail with the same reason, and calls that were made meanwhile wait.

use std::{
    fmt,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

use tokio::sync::watch;

use crate::{
    CallOptions, Channel, ConnectionState, Error, Executed, Method, Result, StateWatch, Status,
    message::{Body, Payload},
    transport::{BoxFuture, RawCall, ReceiveHalf, SendHalf, ServerAddress, Transport},
};

/// Loses and restores the connection of a channel on demand.
///
/// [`Outage::of`] wraps a channel: that of a [`Mock`](crate::testing::Mock), or a real one. To the client the
/// connection then behaves like a real lost one: open calls fail with
/// [`ErrorKind::Connection`](crate::ErrorKind), calls that have sent nothing with [`Executed::No`]; further
/// calls wait; subscriptions reopen when it is restored. The calls are cancelled at the other end.
///
/// ```
/// use volt_runtime::{
///     Method, MethodKind, TypedMethod, UnaryCall,
///     call::Unary,
///     json::Empty,
///     testing::{Mock, Outage},
/// };
///
/// static METHOD: Method = Method { path: "/shop.v1.ShopAPI/Open", kind: MethodKind::Unary };
/// const OPEN: TypedMethod<Unary<Empty, Empty>> = TypedMethod::new(&METHOD);
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> volt_runtime::Result<()> {
/// let mock = Mock::new().on(OPEN, |_: Empty| async { Ok(Empty::default()) });
/// let (channel, outage) = Outage::of(mock.channel());
/// outage.lose();
/// let call = UnaryCall::<Empty, Empty>::new(&channel, &METHOD, Empty::default());
/// assert!(call.wait_for_ready(false).await.unwrap_err().is_connection());
/// outage.restore();
/// UnaryCall::<Empty, Empty>::new(&channel, &METHOD, Empty::default()).await?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "fault")]
#[doc(alias = "chaos")]
#[derive(Clone, Debug)]
pub struct Outage(Arc<Line>);

impl Outage {
    /// Wraps a channel. Only calls of the returned channel are affected.
    pub fn of(channel: Channel) -> (Channel, Self) {
        let line = Arc::new(Line {
            states: watch::channel(ConnectionState::Connected).0,
            state: Mutex::default(),
        });
        let wrap = |inner| Lossy { inner, line: Arc::clone(&line) };
        (channel.wrap(wrap), Self(line))
    }

    /// Loses the connection: the state is `Reconnecting` until [`restore`](Self::restore).
    pub fn lose(&self) {
        self.lose_with(Error::connection("the connection was lost on demand"));
    }

    /// Like [`lose`](Self::lose), with a reason.
    pub fn lose_with(&self, reason: Error) {
        let state = ConnectionState::Reconnecting { failed_attempts: 0, reason: reason.clone() };
        self.0.lose(reason, state);
    }

    /// Restores the connection. Calls that wait for it continue.
    ///
    /// A connection that was lost with [`close`](Self::close) stays closed.
    pub fn restore(&self) {
        if self.0.states.borrow().is_closed() {
            return;
        }
        self.0.state().lost = None;
        self.0.set(ConnectionState::Connected);
    }

    /// Loses the connection permanently: the state is `Closed`.
    pub fn close(&self) {
        let reason = Error::connection("the connection was closed on demand");
        self.0.lose(reason.clone(), ConnectionState::Closed { reason });
    }
}

/// The state of the connection, shared by its calls.
struct Line {
    states: watch::Sender<ConnectionState>,
    state: Mutex<LineState>,
}

#[derive(Default)]
struct LineState {
    /// The number of losses. A call belongs to the connection that had this number when the call
    /// was opened.
    losses: u64,
    /// The reason for the last loss, until the connection is restored.
    lost: Option<Error>,
    reason: Option<Error>,
    waiting: Vec<Waker>,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, LineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a state, unless the last one is final.
    fn set(&self, state: ConnectionState) {
        self.states.send_if_modified(|current| {
            let changes = !current.is_closed();
            if changes {
                *current = state;
            }
            changes
        });
    }

    fn lose(&self, reason: Error, state: ConnectionState) {
        self.set(state);
        let waiting = {
            let mut state = self.state();
            state.losses += 1;
            state.lost = Some(reason.clone());
            state.reason = Some(reason);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Returns the number of losses so far.
    ///
    /// # Errors
    ///
    /// Fails while the connection is lost.
    fn losses(&self) -> Result<u64> {
        let state = self.state();
        match &state.lost {
            Some(reason) => Err(reason.clone().with_executed(Executed::No)),
            None => Ok(state.losses),
        }
    }

    /// Returns why a call that was opened after this number of losses has failed.
    fn poll_lost(&self, opened: u64, cx: &Context<'_>) -> Poll<Error> {
        let mut state = self.state();
        if state.losses == opened {
            if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        let reason = state.reason.clone();
        Poll::Ready(reason.unwrap_or_else(|| Error::connection("the connection was lost")))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Line").field(&*self.states.borrow()).finish()
    }
}

/// A transport whose connection can be lost.
#[derive(Debug)]
struct Lossy {
    inner: Arc<dyn Transport>,
    line: Arc<Line>,
}

/// Returns a call that fails with the next loss of the line. `opened` is the number of earlier losses.
fn lossy(line: Arc<Line>, opened: u64, call: RawCall) -> RawCall {
    let RawCall { sender, receiver } = call;
    let call = Arc::new(Call { line, opened, sent: Mutex::default() });
    RawCall {
        sender: Box::new(LossySender { inner: sender, call: Arc::clone(&call) }),
        receiver: Box::new(LossyReceiver { inner: Some(receiver), call }),
    }
}

impl Transport for Lossy {
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        let opened = self.line.losses()?;
        let call = self.inner.open(method, options)?;
        Ok(lossy(Arc::clone(&self.line), opened, call))
    }

    fn open_apart(
        &self,
        method: &'static Method,
        options: &CallOptions,
    ) -> Option<BoxFuture<Result<RawCall>>> {
        let opened = match self.line.losses() {
            Ok(opened) => opened,
            Err(reason) => return Some(Box::pin(ready(Err(reason)))),
        };
        let (opening, line) = (self.inner.open_apart(method, options)?, Arc::clone(&self.line));
        Some(Box::pin(async move { Ok(lossy(line, opened, opening.await?)) }))
    }

    fn ready(&self) -> Option<BoxFuture<Result<()>>> {
        if self.line.states.borrow().is_connected() {
            return self.inner.ready();
        }
        let mut states = self.state();
        let inner = Arc::clone(&self.inner);
        Some(Box::pin(async move {
            states.connected_again().await.map_err(|reason| reason.with_executed(Executed::No))?;
            match inner.ready() {
                Some(ready) => ready.await,
                None => Ok(()),
            }
        }))
    }

    fn state(&self) -> StateWatch {
        StateWatch::new(self.line.states.subscribe())
    }

    fn server(&self) -> Option<&ServerAddress> {
        self.inner.server()
    }

    fn close(&self) -> BoxFuture<()> {
        let reason = Error::connection("the channel was closed");
        self.line.set(ConnectionState::Closed { reason });
        self.inner.close()
    }

    fn open_calls(&self) -> usize {
        self.inner.open_calls()
    }
}

/// One call, shared by its halves.
struct Call {
    line: Arc<Line>,
    /// The number of losses before it.
    opened: u64,
    sent: Mutex<bool>,
}

impl Call {
    fn sent(&self) -> MutexGuard<'_, bool> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready once the connection of the call is lost.
    fn poll_lost(&self, cx: &Context<'_>) -> Poll<Error> {
        self.line.poll_lost(self.opened, cx).map(|reason| {
            let executed = if *self.sent() { Executed::Maybe } else { Executed::No };
            reason.with_executed(executed)
        })
    }
}

struct LossySender {
    inner: Box<dyn SendHalf>,
    call: Arc<Call>,
}

impl SendHalf for LossySender {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Poll::Ready(reason) = self.call.poll_lost(cx) {
            return Poll::Ready(Err(reason));
        }
        self.inner.poll_ready(cx)
    }

    fn send(&mut self, message: &dyn Payload) -> Result<()> {
        *self.call.sent() = true;
        self.inner.send(message)
    }

    fn send_first(&mut self, message: Arc<dyn Payload>, last: bool, deadline: Option<Instant>) {
        *self.call.sent() = true;
        self.inner.send_first(message, last, deadline);
    }

    fn end(&mut self, failure: Option<&Status>) {
        self.inner.end(failure);
    }
}

struct LossyReceiver {
    /// `None` after the loss, which cancels the call at the other end.
    inner: Option<Box<dyn ReceiveHalf>>,
    call: Arc<Call>,
}

impl ReceiveHalf for LossyReceiver {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>> {
        if let Poll::Ready(reason) = self.call.poll_lost(cx) {
            self.inner = None;
            return Poll::Ready(Err(reason));
        }
        match &mut self.inner {
            Some(inner) => inner.poll_message(cx),
            None => Poll::Ready(Ok(None)),
        }
    }
}
