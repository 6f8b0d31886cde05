//! Rows on their way from the thread of a query to the task that sends them.
//!
//! A channel would wake the task for each row, and on a busy machine that switches threads for each: it
//! costs more than the row. Here the task is woken for many rows at a time, and no row waits for
//! others for longer than [`PATIENCE`].

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

/// How many items are worth to wake the task for.
const BATCH: usize = 64;
/// And how many bytes, where the items are large.
const BATCH_BYTES: usize = 256 << 10;
/// How many batches wait at most, before whoever puts items in does.
const FULL: usize = 2;
/// How long an item waits for others.
const PATIENCE: Duration = Duration::from_millis(1);

/// Both ends of an outbox.
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
    /// For the taker: there is something, or enough.
    changed: Notify,
    /// For the putter: something was taken, or nobody will take anything.
    room: Condvar,
}

struct State<T> {
    items: Vec<T>,
    /// How large they are together.
    bytes: usize,
    /// Nothing will follow for a while.
    urgent: bool,
    /// One of the ends is gone.
    over: bool,
}

impl<T> State<T> {
    /// Whether there are so many batches.
    fn holds(&self, batches: usize) -> bool {
        self.items.len() >= batches * BATCH || self.bytes >= batches * BATCH_BYTES
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        // It is changed by single operations only, so a poisoned one is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.state().over = true;
        self.changed.notify_one();
        self.room.notify_one();
    }
}

/// The thread's end. What it has put in is taken even after it is gone.
pub(crate) struct Putter<T>(Arc<Shared<T>>);

impl<T> Putter<T> {
    /// Puts something of this size in, and waits for room before that. Gives it back when nobody will
    /// take it.
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

    /// Lets what there is be taken at once, before something is waited for.
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

/// The task's end.
pub(crate) struct Taker<T>(Arc<Shared<T>>);

impl<T> Taker<T> {
    /// All that there is, once it is enough or has waited long enough; `None` once no more can come.
    ///
    /// Nothing is lost when the future is dropped.
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

    /// What is put in comes out, all of it and in order, however the two ends run, and then the end.
    #[tokio::test]
    async fn everything_comes_out_in_order_and_then_the_end() {
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

    /// One row of a slow query does not wait for the next, nor does one that was flushed wait at all.
    #[tokio::test(start_paused = true)]
    async fn an_item_alone_waits_for_its_patience_and_flushed_not_at_all() {
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

    /// A thread that waits for room goes on when the task is gone, and learns of it. Items are counted,
    /// and their bytes are.
    #[tokio::test]
    async fn whoever_waits_for_room_learns_that_nobody_takes() {
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
