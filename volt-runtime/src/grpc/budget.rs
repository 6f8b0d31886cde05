//! The memory of the answers that a connection's client has not read.
//!
//! Each call buffers little, but a client may have a thousand calls. Their answers are counted from the
//! handler until HTTP/2 has written them.

use std::{
    collections::HashMap,
    mem, ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

/// The answers of all calls of a connection.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    held: AtomicUsize,
    /// The tasks that wait for room, by the address of their account: one task polls each.
    waiting: Mutex<HashMap<usize, Waker>>,
}

impl Budget {
    /// Creates the budget of a connection, in bytes.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicUsize::new(0), waiting: Mutex::default() })
    }

    fn is_within(&self, limit: usize) -> bool {
        self.held.load(Ordering::Relaxed) < limit
    }

    fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        if self.is_within(self.limit.saturating_mul(2)) {
            // Woken without the lock: a task may be polled at once.
            let waiting = mem::take(&mut *self.waiting());
            waiting.into_values().for_each(Waker::wake);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<usize, Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers of one call.
#[derive(Debug)]
pub(crate) struct Account {
    budget: Arc<Budget>,
    held: AtomicUsize,
}

impl Account {
    pub(crate) fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { budget, held: AtomicUsize::new(0) })
    }

    /// Waits until another answer may be held. A call without unread answers has twice the limit,
    /// so that unread answers of other calls delay it last.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        let mut waiting = self.budget.waiting();
        // Check again under the lock, which a release takes before it wakes the calls that wait.
        if self.has_room() {
            return Poll::Ready(());
        }
        waiting.insert(ptr::from_ref(self).addr(), cx.waker().clone());
        Poll::Pending
    }

    fn has_room(&self) -> bool {
        let limit = match self.held.load(Ordering::Relaxed) {
            0 => self.budget.limit.saturating_mul(2),
            _ => self.budget.limit,
        };
        self.budget.is_within(limit)
    }

    /// Counts an answer until its bytes are dropped.
    pub(super) fn hold(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        self.held.fetch_add(bytes.len(), Ordering::Relaxed);
        self.budget.held.fetch_add(bytes.len(), Ordering::Relaxed);
        Bytes::from_owner(Held { bytes, account: Arc::clone(self) })
    }
}

/// Bytes that are counted.
struct Held {
    bytes: Bytes,
    account: Arc<Account>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.account.held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        self.account.budget.release(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_room(account: &Account) -> bool {
        account.poll_room(&Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn unread_answers_block_their_own_call_first() {
        let budget = Budget::new(100);
        let [first, second] = [(); 2].map(|()| Account::new(Arc::clone(&budget)));
        let answer = || Bytes::from_static(&[0; 60]);
        let one = first.hold(answer());
        assert!(has_room(&first) && has_room(&second));
        let two = first.hold(answer());
        assert!(!has_room(&first), "the limit is reached");
        assert!(has_room(&second), "another call continues");
        let three = second.hold(answer());
        let four = first.hold(answer());
        let third = Account::new(Arc::clone(&budget));
        assert!(!has_room(&third), "twice the limit is reached");
        drop((one.slice(..10), two));
        assert!(has_room(&third) && !has_room(&first));
        drop((one, three, four));
        assert!(has_room(&first) && has_room(&second));
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }
}
