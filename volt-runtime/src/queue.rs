//! A queue that is bounded in bytes, between tasks: the way into a call, and out of a connection.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::Error;

/// Many producers, one consumer. Producers ask for room before they push, so that the queue holds
/// at most its limit and one item of each producer.
pub(crate) struct Queue<T> {
    limit: usize,
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

impl<T> Queue<T> {
    pub(crate) fn new(limit: usize) -> Self {
        let state = State {
            items: VecDeque::new(),
            bytes: 0,
            closed: None,
            consumer: None,
            producers: Vec::new(),
        };
        Self { limit, state: Mutex::new(state) }
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
            return Poll::Ready(Ok(()));
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
        let cleared = if clear {
            state.bytes = 0;
            std::mem::take(&mut state.items)
        } else {
            VecDeque::new()
        };
        let producers = std::mem::take(&mut state.producers);
        let consumer = state.consumer.take();
        drop(state);
        // Items may own what locks other queues when dropped.
        drop(cleared);
        producers.into_iter().chain(consumer).for_each(Waker::wake);
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
