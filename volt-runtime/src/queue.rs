//! A queue that is bounded in bytes, between tasks: the way into a call, and out of a connection.
//!
//! Its tests are in `tests/queue.rs`, where loom runs them in every order of their threads.

use std::{
    collections::VecDeque,
    fmt,
    task::{Context, Poll, Waker},
};

use crate::{
    Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Many producers, one consumer. Producers ask for room before they push, so that the queue holds
/// at most its limit and one item of each producer.
pub(crate) struct Queue<T> {
    limit: usize,
    budget: Option<Arc<Budget>>,
    state: Mutex<State<T>>,
}

struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    /// Set once nothing more will be pushed: `Some(error)` says why, for whoever drains the queue.
    closed: Option<Option<Error>>,
    consumer: Option<Waker>,
    producers: Vec<Waker>,
}

impl<T> State<T> {
    /// Wakes the consumer when something changes.
    fn wait(&mut self, cx: &mut Context<'_>) {
        if !self.consumer.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.consumer = Some(cx.waker().clone());
        }
    }
}

/// What a consumer finds.
#[derive(Debug)]
pub(crate) enum Popped<T> {
    Item(T),
    /// Drained and closed.
    Closed(Option<Error>),
}

/// What several queues, which one producer fills, may hold together.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    bytes: usize,
    producer: Option<Waker>,
}

impl Budget {
    #[cfg(feature = "socket")]
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, spent: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut spent = self.lock();
        if spent.bytes < self.limit {
            return Poll::Ready(());
        }
        spent.producer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn spend(&self, bytes: usize) {
        self.lock().bytes += bytes;
    }

    fn free(&self, bytes: usize) {
        let mut spent = self.lock();
        spent.bytes -= bytes;
        let producer = if spent.bytes < self.limit { spent.producer.take() } else { None };
        drop(spent);
        if let Some(producer) = producer {
            producer.wake();
        }
    }
}

impl<T> Queue<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self::with(limit, None)
    }

    /// One of the queues that share a budget.
    #[cfg(feature = "socket")]
    pub(crate) fn within(limit: usize, budget: &Arc<Budget>) -> Self {
        Self::with(limit, Some(Arc::clone(budget)))
    }

    fn with(limit: usize, budget: Option<Arc<Budget>>) -> Self {
        let state = State {
            items: VecDeque::new(),
            bytes: 0,
            closed: None,
            consumer: None,
            producers: Vec::new(),
        };
        Self { limit, budget, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here can panic between two changes, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room. `Err` once the queue is closed.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), Option<Error>>> {
        let mut state = self.lock();
        if let Some(reason) = &state.closed {
            return Poll::Ready(Err(reason.clone()));
        }
        if state.bytes < self.limit {
            return match &self.budget {
                Some(budget) => budget.poll_room(cx).map(Ok),
                None => Poll::Ready(Ok(())),
            };
        }
        if !state.producers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.producers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Adds an item whether there is room or not; dropped silently once the queue is closed.
    pub(crate) fn push(&self, item: T, bytes: usize) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        state.items.push_back((item, bytes));
        state.bytes += bytes;
        if let Some(budget) = &self.budget {
            budget.spend(bytes);
        }
        let consumer = state.consumer.take();
        drop(state);
        if let Some(consumer) = consumer {
            consumer.wake();
        }
    }

    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Popped<T>> {
        let mut state = self.lock();
        if let Some((item, bytes)) = state.items.pop_front() {
            state.bytes -= bytes;
            // Half empty: waking producers for each item would only make them take turns.
            let producers = if state.bytes <= self.limit / 2 {
                std::mem::take(&mut state.producers)
            } else {
                Vec::new()
            };
            drop(state);
            self.free(bytes);
            producers.into_iter().for_each(Waker::wake);
            return Poll::Ready(Popped::Item(item));
        }
        if let Some(reason) = &state.closed {
            return Poll::Ready(Popped::Closed(reason.clone()));
        }
        state.wait(cx);
        Poll::Pending
    }

    /// Waits, for the consumer, until nothing more can be pushed.
    pub(crate) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.closed.is_some() {
            return Poll::Ready(());
        }
        state.wait(cx);
        Poll::Pending
    }

    /// Ends the queue: what is in it can still be taken, then the reason shows. The first wins.
    pub(crate) fn close(&self, reason: Option<Error>) {
        self.finish(reason, false);
    }

    /// The consumer is gone: drops what is queued, and everything pushed later.
    pub(crate) fn abandon(&self) {
        self.finish(None, true);
    }

    fn finish(&self, reason: Option<Error>, clear: bool) {
        let mut state = self.lock();
        state.closed.get_or_insert(reason);
        let (cleared, bytes) = if clear {
            (std::mem::take(&mut state.items), std::mem::take(&mut state.bytes))
        } else {
            (VecDeque::new(), 0)
        };
        let producers = std::mem::take(&mut state.producers);
        let consumer = state.consumer.take();
        drop(state);
        // Items may own what locks other queues when dropped.
        drop(cleared);
        self.free(bytes);
        producers.into_iter().chain(consumer).for_each(Waker::wake);
    }

    fn free(&self, bytes: usize) {
        if let Some(budget) = &self.budget {
            budget.free(bytes);
        }
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
        self.free(bytes);
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Queue")
            .field("items", &state.items.len())
            .field("bytes", &state.bytes)
            .field("limit", &self.limit)
            .field("closed", &state.closed.is_some())
            .finish()
    }
}
