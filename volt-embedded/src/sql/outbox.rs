//! A batching channel for rows, from the thread of a query to the task that sends them.
//!
//! An ordinary channel would wake the task for every row. On a busy machine, each wake-up is a
//! thread switch, which costs more than the row itself. This channel wakes the task once per batch,
//! and no row waits longer than [`PATIENCE`] for its batch to fill.

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

/// The number of items in a full batch, for which the task is woken.
const BATCH: usize = 64;
/// The number of bytes in a full batch, in case the items are large.
const BATCH_BYTES: usize = 256 << 10;
/// The number of batches that may be queued before the producer blocks.
const FULL: usize = 2;
/// The maximum time that an item waits for its batch to fill.
const PATIENCE: Duration = Duration::from_millis(1);

/// Creates an outbox and returns both ends.
pub(crate) fn outbox<T>() -> (Putter<T>, Taker<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State { items: Vec::new(), bytes: 0, urgent: false, over: false }),
        changed: Notify::new(),
        room: Condvar::new(),
    });
    (Putter(Arc::clone(&shared)), Taker(shared))
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// Notifies the taker of a first item, a full batch, a flush or the end.
    changed: Notify,
    /// Notifies the putter that items were taken, or that the taker was dropped.
    room: Condvar,
}

struct State<T> {
    items: Vec<T>,
    /// The total size of the items, in bytes.
    bytes: usize,
    /// Set by a flush: the items should be taken immediately.
    urgent: bool,
    /// Set when either end is dropped.
    over: bool,
}

impl<T> State<T> {
    /// Returns whether at least this many batches are queued.
    fn holds(&self, batches: usize) -> bool {
        self.items.len() >= batches * BATCH || self.bytes >= batches * BATCH_BYTES
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Each change is a single operation, so a poisoned state is still consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.state().over = true;
        self.changed.notify_one();
        self.room.notify_one();
    }
}

/// The sending end, used by the thread. Its items can still be taken after it is dropped.
pub(crate) struct Putter<T>(Arc<Shared<T>>);

impl<T> Putter<T> {
    /// Waits for room and queues an item of this size. Returns the item as an error if the taker
    /// was dropped.
    pub(crate) fn put(&self, item: T, bytes: usize) -> Result<(), T> {
        let full = |state: &mut State<T>| state.holds(FULL) && !state.over;
        let state = self.0.room.wait_while(self.0.state(), full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.over {
            return Err(item);
        }
        let had_enough = state.holds(1);
        state.items.push(item);
        state.bytes += bytes;
        let is_news = state.items.len() == 1 || (!had_enough && state.holds(1));
        drop(state);
        if is_news {
            self.0.changed.notify_one();
        }
        Ok(())
    }

    /// Releases the queued items immediately. Call this before blocking on something else.
    pub(crate) fn flush(&self) {
        self.0.state().urgent = true;
        self.0.changed.notify_one();
    }
}

impl<T> Drop for Putter<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The receiving end, used by the task.
pub(crate) struct Taker<T>(Arc<Shared<T>>);

impl<T> Taker<T> {
    /// Returns all queued items once a batch is full, has waited long enough or was flushed.
    /// Returns `None` when the queue is empty and the putter was dropped.
    ///
    /// This method is cancel safe: no items are lost if the future is dropped.
    pub(crate) async fn take(&mut self) -> Option<Vec<T>> {
        let mut waited = false;
        loop {
            let any = {
                let mut state = self.0.state();
                let any = !state.items.is_empty();
                if any && (waited || state.urgent || state.over || state.holds(1)) {
                    state.urgent = false;
                    state.bytes = 0;
                    self.0.room.notify_one();
                    return Some(mem::take(&mut state.items));
                }
                if state.over {
                    return None;
                }
                any
            };
            if any {
                waited = timeout(PATIENCE, self.0.changed.notified()).await.is_err();
            } else {
                self.0.changed.notified().await;
            }
        }
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All items arrive in order, followed by the end, regardless of how the two ends are
    /// scheduled.
    #[tokio::test]
    async fn items_arrive_in_order_before_the_end() {
        let (putter, mut taker) = outbox();
        let thread =
            std::thread::spawn(move || (0..10_000).try_for_each(|item| putter.put(item, 1)));
        let mut all = Vec::new();
        while let Some(items) = taker.take().await {
            assert!(items.len() <= FULL * BATCH);
            all.extend(items);
        }
        assert_eq!(thread.join().unwrap(), Ok(()));
        assert!(all.into_iter().eq(0..10_000));
    }

    /// A single row of a slow query does not wait for the next one, and a flushed row does not wait
    /// at all.
    #[tokio::test(start_paused = true)]
    async fn a_single_item_waits_unless_flushed() {
        let (putter, mut taker) = outbox();
        putter.put("alone", 1).unwrap();
        let start = tokio::time::Instant::now();
        assert_eq!(taker.take().await, Some(vec!["alone"]));
        assert!(start.elapsed() >= PATIENCE);
        putter.put("flushed", 1).unwrap();
        putter.flush();
        let start = tokio::time::Instant::now();
        assert_eq!(taker.take().await, Some(vec!["flushed"]));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    /// A thread that waits for room is unblocked with an error when the task is dropped. Both the
    /// number and the size of the items are limited.
    #[tokio::test]
    async fn a_blocked_sender_notices_a_lost_receiver() {
        for (bytes, count) in [(1, FULL * BATCH), (BATCH_BYTES, FULL)] {
            let (putter, taker) = outbox();
            let put = move || (0..).find_map(|item| putter.put(item, bytes).err());
            let thread = std::thread::spawn(put);
            while !taker.0.state().holds(FULL) {
                tokio::task::yield_now().await;
            }
            drop(taker);
            assert_eq!(thread.join().unwrap(), Some(count));
        }
    }
}
