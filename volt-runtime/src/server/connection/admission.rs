//! Bounds the memory and the number of connections that have no session yet.
//!
//! Each connection has its own limits, but clients without a session may open thousands. These
//! connections share one limit, so that all of them together cost no more than a few callers would. A
//! connection leaves the count when the first call with a session is admitted on it.

use std::{
    net::IpAddr,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::addresses::Place;
use crate::queue::register;

/// The limits that all connections of a server without a session share.
#[derive(Debug)]
pub(in crate::server) struct Newcomers {
    /// The maximum number of bytes held for them.
    limit: usize,
    /// Changed with a compare-and-swap, so that two connections cannot exceed the limit together.
    held: AtomicUsize,
    /// The permits for their key exchanges, one for each processor. Others wait apart from the
    /// tasks that can run, so that they do not delay the calls of clients with a session.
    exchanges: Semaphore,
}

impl Newcomers {
    pub(in crate::server) fn new(limit: usize) -> Arc<Self> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let exchanges = Semaphore::new(processors);
        Arc::new(Self { limit, held: AtomicUsize::new(0), exchanges })
    }

    /// Changes the bytes of one connection. Returns whether all are within the limit.
    fn change(&self, from: usize, to: usize) -> bool {
        let change = |held: usize| {
            let held = (held - from).saturating_add(to);
            (to <= from || held <= self.limit).then_some(held)
        };
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

/// The admission of a connection: the bytes held for it until a caller with a session is admitted.
#[derive(Debug)]
pub(in crate::server) struct Admission {
    /// `None` if no limit applies.
    newcomers: Option<Arc<Newcomers>>,
    /// This is read for each frame, so it needs no lock.
    admitted: AtomicBool,
    /// The bytes in the connection's queues.
    queued: AtomicUsize,
    /// One key exchange at a time, so that no connection delays the others.
    exchange: Semaphore,
    /// Notifies the calls that wait because there is no session.
    news: Notify,
    /// The admission of the connection, if this is the admission of a stream within it.
    outer: Option<Arc<Self>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The bytes that this connection has in the shared count.
    held: usize,
    /// The bytes of the message that is arriving.
    arriving: usize,
    /// The connection's place among those of its address.
    place: Option<Place>,
    /// The stream that waits for a session, with a large message.
    reader: Option<Waker>,
}

impl Admission {
    /// The state of a new connection.
    pub(in crate::server) fn new(newcomers: Arc<Newcomers>, place: Place) -> Arc<Self> {
        Arc::new(Self::of(Some(newcomers), Some(place), None))
    }

    /// The state of a stream within a connection. A caller with a session on either admits both.
    #[cfg(feature = "grpc")]
    pub(in crate::server) fn within(outer: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self::of(outer.newcomers.clone(), None, Some(Arc::clone(outer))))
    }

    /// The state of a connection whose bytes another server bounds, such as a tunnel.
    pub(super) fn uncounted() -> Arc<Self> {
        Arc::new(Self::of(None, None, None))
    }

    fn of(
        newcomers: Option<Arc<Newcomers>>,
        place: Option<Place>,
        outer: Option<Arc<Self>>,
    ) -> Self {
        Self {
            admitted: AtomicBool::new(newcomers.is_none()),
            newcomers,
            queued: AtomicUsize::new(0),
            exchange: Semaphore::new(1),
            news: Notify::new(),
            outer,
            state: Mutex::new(State { place, ..State::default() }),
        }
    }

    pub(in crate::server) fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::Acquire)
            || self.outer.as_ref().is_some_and(|outer| outer.is_admitted())
    }

    /// Called when a call was admitted with a session.
    pub(in crate::server) fn admit(&self) {
        if let Some(outer) = &self.outer {
            outer.admit();
        }
        if self.admitted.load(Ordering::Acquire) {
            return;
        }
        let (reader, place) = {
            // Set under the lock, so that a reader that is about to register sees it or is woken.
            let mut state = self.state();
            self.admitted.store(true, Ordering::Release);
            self.set(&mut state, 0);
            (state.reader.take(), state.place.take())
        };
        drop(place);
        self.news.notify_waiters();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Waits until a call is admitted with a session.
    pub(super) async fn admitted(&self) {
        // Admitting a stream admits its connection.
        let connection = self.outer.as_deref().unwrap_or(self);
        let mut news = pin!(connection.news.notified());
        // Before the check, so that no notification is missed.
        news.as_mut().enable();
        if !self.is_admitted() {
            news.await;
        }
    }

    /// Returns the address of a client without a session, if it is counted.
    pub(super) fn address(&self) -> Option<IpAddr> {
        let connection = self.outer.as_deref().unwrap_or(self);
        connection.state().place.as_ref()?.address()
    }

    /// Waits for the key exchange's turn. Returns `None` if the connection has a session. The turn
    /// ends when the permits are dropped.
    pub(super) async fn turn(&self) -> Option<[SemaphorePermit<'_>; 2]> {
        let newcomers = self.newcomers.as_ref()?;
        if self.is_admitted() {
            return None;
        }
        // The semaphores are never closed.
        // Streams within a connection wait in that connection's queue.
        let own = self.outer.as_deref().unwrap_or(self).exchange.acquire().await.ok()?;
        if self.is_admitted() {
            return None;
        }
        Some([own, newcomers.exchanges.acquire().await.ok()?])
    }

    /// Sets the bytes in the connection's queues. Bytes are counted from the next message on.
    pub(super) fn queued(&self, bytes: usize) {
        self.queued.store(bytes, Ordering::Relaxed);
    }

    /// Releases the bytes of a call that has ended at once: the client may not send another
    /// message.
    pub(super) fn released(&self, queued: usize) {
        let mut state = self.state();
        if !self.is_admitted() {
            self.queued(queued);
            let bytes = state.arriving.saturating_add(queued).min(state.held);
            self.set(&mut state, bytes);
        }
    }

    /// Sets the bytes of the message that is arriving. Returns whether the bytes of all connections
    /// without a session are within their limit.
    pub(in crate::server) fn arriving(&self, bytes: usize) -> bool {
        let mut state = self.state();
        state.arriving = bytes;
        if self.is_admitted() {
            // The connection may have been admitted by another stream.
            return self.set(&mut state, 0);
        }
        self.set(&mut state, bytes.saturating_add(self.queued.load(Ordering::Relaxed)))
    }

    /// Waits until a call is admitted with a session.
    pub(in crate::server) fn poll_admitted(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if self.is_admitted() {
            return Poll::Ready(());
        }
        register(&mut state.reader, cx);
        Poll::Pending
    }

    /// Sets the bytes that are held for this connection. If that would exceed the limit, nothing
    /// changes and the connection ends.
    fn set(&self, state: &mut State, bytes: usize) -> bool {
        let Some(newcomers) = &self.newcomers else { return true };
        let within = newcomers.change(state.held, bytes);
        if within {
            state.held = bytes;
        }
        within
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.set(&mut self.state(), 0);
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;

    fn admission(newcomers: &Arc<Newcomers>) -> Arc<Admission> {
        Admission::new(Arc::clone(newcomers), Place::uncounted())
    }

    /// A flood of key exchanges waits in its connection's queue.
    #[tokio::test]
    async fn key_exchanges_take_turns_until_there_is_a_session() {
        let newcomers = Newcomers::new(usize::MAX);
        let (first, second) = (admission(&newcomers), admission(&newcomers));
        let processors = newcomers.exchanges.available_permits();
        let turn = first.turn().await;
        assert!(turn.is_some());
        let mut waiting = Box::pin(first.turn());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        assert_eq!(newcomers.exchanges.available_permits(), processors - 1);
        // Other connections get their turn unless all processors are busy.
        let all = newcomers.exchanges.acquire_many(u32::try_from(processors - 1).unwrap()).await;
        assert!(Box::pin(second.turn()).as_mut().poll(&mut cx).is_pending());
        drop(all);
        if processors > 1 {
            assert!(second.turn().await.is_some());
        }
        // With a session, no call waits.
        first.admit();
        assert!(first.turn().await.is_none());
        drop(turn);
        assert!(waiting.await.is_none());
    }
}
