//! Bounded buffers, in bytes. [`Buffer`] is plain data for state machines that are locked as a whole;
//! [`Queue`] is a buffer with its own lock, between two tasks.
//!
//! The tests are in `tests/queue.rs`, where loom runs them in every interleaving of their threads.

use std::{
    collections::VecDeque,
    fmt,
    task::{Context, Poll, Waker},
};

use crate::{
    Error,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Wakers to call after the lock has been released. A task that is woken while the lock is held
/// would block on it at once.
///
/// Most changes wake at most two tasks, which needs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    first: Option<Waker>,
    second: Option<Waker>,
    more: Vec<Waker>,
}

impl Wakes {
    pub(crate) fn add(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match (&mut self.first, &mut self.second) {
            (first @ None, _) => *first = Some(waker),
            (_, second @ None) => *second = Some(waker),
            _ => self.more.push(waker),
        }
    }

    /// Wakes them. The caller must not hold the lock.
    pub(crate) fn wake(self) {
        self.first.into_iter().chain(self.second).chain(self.more).for_each(Waker::wake);
    }
}

/// Stores a waker, unless the same one is stored already.
pub(crate) fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    if !slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *slot = Some(cx.waker().clone());
    }
}

/// A queue of items, bounded in bytes, with the wakers of its two sides.
///
/// Bytes are what memory costs: a limit in items would allow a few huge messages or forbid many small
/// ones. A push is never refused, because frames that end or cancel a call must be accepted.
///
/// Producers wait for room before they push, so the buffer holds at most its limit plus one item
/// per producer.
pub(crate) struct Buffer<T> {
    /// In bytes.
    limit: usize,
    /// The items, each with the number of bytes that it counts for.
    items: VecDeque<(T, usize)>,
    /// The sum of these numbers.
    bytes: usize,
    /// Set when nothing more will be pushed. The consumer receives the reason after the last item.
    closed: Option<Option<Error>>,
    consumer: Option<Waker>,
    producers: Vec<Waker>,
}

/// The result of popping from a buffer.
#[derive(Debug)]
pub(crate) enum Popped<T> {
    /// The oldest item.
    Item(T),
    /// Drained and closed.
    Closed(Option<Error>),
}

impl<T> Buffer<T> {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            items: VecDeque::new(),
            bytes: 0,
            closed: None,
            consumer: None,
            producers: Vec::new(),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.limit
    }

    /// Waits until there is room. Returns `Err` after the buffer was closed.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Option<Error>>> {
        if let Some(reason) = &self.closed {
            return Poll::Ready(Err(reason.clone()));
        }
        if self.has_room() {
            return Poll::Ready(Ok(()));
        }
        // A task that polls again must not fill the list with copies of its waker.
        if !self.producers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.producers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Adds an item even if the buffer is full. A closed buffer drops it.
    ///
    /// `bytes` is the size to count for the item. The caller sets it, because an item may be an end
    /// without content.
    pub(crate) fn push(&mut self, item: T, bytes: usize, wakes: &mut Wakes) {
        if self.closed.is_some() {
            return;
        }
        self.items.push_back((item, bytes));
        self.bytes += bytes;
        wakes.add(self.consumer.take());
    }

    /// Waits for the next item. Items that were pushed before the buffer was closed come first.
    pub(crate) fn poll_pop(&mut self, cx: &mut Context<'_>, wakes: &mut Wakes) -> Poll<Popped<T>> {
        if let Some((item, bytes)) = self.items.pop_front() {
            self.bytes -= bytes;
            // Wake producers only when half empty: otherwise they would alternate with the consumer
            // on every item.
            if self.bytes <= self.limit / 2 {
                self.producers.drain(..).for_each(|waker| wakes.add(Some(waker)));
            }
            return Poll::Ready(Popped::Item(item));
        }
        if let Some(reason) = &self.closed {
            return Poll::Ready(Popped::Closed(reason.clone()));
        }
        register(&mut self.consumer, cx);
        Poll::Pending
    }

    /// Waits, as the consumer, until nothing more can be pushed.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.closed.is_some() {
            return Poll::Ready(());
        }
        register(&mut self.consumer, cx);
        Poll::Pending
    }

    /// Closes the buffer. Its items can still be popped, followed by the reason. The first reason
    /// wins.
    pub(crate) fn close(&mut self, reason: Option<Error>, wakes: &mut Wakes) {
        self.closed.get_or_insert(reason);
        self.wake_all(wakes);
    }

    /// Closes the buffer because its consumer was dropped, and returns its items. The caller drops
    /// them outside the lock, because dropping an item may take a lock.
    #[must_use = "drop the items outside of the lock"]
    pub(crate) fn abandon(&mut self, wakes: &mut Wakes) -> VecDeque<(T, usize)> {
        // Producers receive no reason, because the consumer has none.
        self.closed.get_or_insert(None);
        self.bytes = 0;
        self.wake_all(wakes);
        std::mem::take(&mut self.items)
    }

    fn wake_all(&mut self, wakes: &mut Wakes) {
        self.producers.drain(..).chain(self.consumer.take()).for_each(|waker| {
            wakes.add(Some(waker));
        });
    }
}

/// Operations used only by state machines.
#[cfg_attr(not(feature = "socket"), expect(dead_code, reason = "only connections need it"))]
impl<T> Buffer<T> {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Returns why the buffer was closed, if it was closed with a reason.
    pub(crate) fn reason(&self) -> Option<&Error> {
        self.closed.as_ref()?.as_ref()
    }

    /// Wakes the consumer although the buffer may be empty.
    pub(crate) fn wake_consumer(&mut self, wakes: &mut Wakes) {
        wakes.add(self.consumer.take());
    }

    /// Registers the consumer without popping.
    pub(crate) fn register(&mut self, cx: &Context<'_>) {
        register(&mut self.consumer, cx);
    }
}

impl<T> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("items", &self.items.len())
            .field("bytes", &self.bytes)
            .field("limit", &self.limit)
            .field("closed", &self.closed.is_some())
            .finish()
    }
}

/// A buffer between tasks: many producers, one consumer.
pub(crate) struct Queue<T>(Mutex<Buffer<T>>);

impl<T> Queue<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Mutex::new(Buffer::new(limit)))
    }

    fn lock(&self) -> MutexGuard<'_, Buffer<T>> {
        // No operation can panic halfway, so the buffer is consistent even if the lock is poisoned.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the buffer, and wakes the waiting tasks after releasing the lock.
    fn with<R>(&self, change: impl FnOnce(&mut Buffer<T>, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let result = change(&mut self.lock(), &mut wakes);
        wakes.wake();
        result
    }

    /// Waits until there is room. Returns `Err` after the queue was closed.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), Option<Error>>> {
        self.lock().poll_room(cx)
    }

    /// Adds an item even if the queue is full. A closed queue drops it.
    pub(crate) fn push(&self, item: T, bytes: usize) {
        self.with(|buffer, wakes| buffer.push(item, bytes, wakes));
    }

    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Popped<T>> {
        self.with(|buffer, wakes| buffer.poll_pop(cx, wakes))
    }

    /// Waits, as the consumer, until nothing more can be pushed.
    pub(crate) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.lock().poll_closed(cx)
    }

    /// Closes the queue. Its items can still be popped, followed by the reason. The first reason
    /// wins.
    pub(crate) fn close(&self, reason: Option<Error>) {
        self.with(|buffer, wakes| buffer.close(reason, wakes));
    }

    /// Called when the consumer is dropped. Drops the queued items, and all that are pushed later.
    pub(crate) fn abandon(&self) {
        // Dropped here, outside the lock.
        drop(self.with(Buffer::abandon));
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().fmt(f)
    }
}
