//! A call that uses a document, as others see it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use volt_api::Status;

use crate::{
    error::unavailable,
    state::budget::Account,
    sync::outbox::{Next, Outbox},
};

/// The granularity at which the memory of a call is counted, in bytes. Less is not counted.
const STEP: usize = 64 << 10;

/// A call that uses a document, as others see it.
pub(super) struct Peer {
    call: u64,
    state: Mutex<State>,
    wake: Notify,
}

/// The memory of a call.
struct State {
    outbox: Outbox,
    /// The size of incomplete updates from the caller, in bytes.
    incoming: usize,
    account: Account,
}

impl Peer {
    /// Adds a call.
    ///
    /// # Errors
    ///
    /// Fails if the calls of the same identity have too many unread bytes.
    pub(super) fn new(call: u64, outbox: Outbox, account: Account) -> Result<Self, Status> {
        let mut state = State { outbox, incoming: 0, account };
        state.account.set(state.held())?;
        Ok(Self { call, state: Mutex::new(state), wake: Notify::new() })
    }

    pub(super) fn call(&self) -> u64 {
        self.call
    }

    /// Changes the call's outgoing messages.
    pub(super) fn outbox(&self, work: impl FnOnce(&mut Outbox)) {
        let mut state = lock(&self.state);
        work(&mut state.outbox);
        state.settle();
        drop(state);
        self.wake.notify_one();
    }

    /// Sets the size of incomplete updates from the caller.
    ///
    /// # Errors
    ///
    /// Fails if the calls of the same identity have too many unread bytes.
    pub(super) fn receiving(&self, bytes: usize) -> Result<(), Status> {
        let mut state = lock(&self.state);
        state.incoming = bytes;
        let held = state.held();
        state.account.set(held).map_err(|status| later(&status))
    }

    /// Waits for the next step of the call.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub(super) async fn next(&self) -> Next {
        loop {
            let next = {
                let mut state = lock(&self.state);
                let next = state.outbox.next();
                state.settle();
                next
            };
            match next {
                Some(next) => return next,
                None => self.wake.notified().await,
            }
        }
    }
}

impl State {
    fn held(&self) -> u64 {
        let bytes = self.incoming + self.outbox.held().0;
        (bytes - bytes % STEP) as u64
    }

    /// Counts what the call holds now. A copy for which there is no room ends the call.
    fn settle(&mut self) {
        let (held, (_, is_copy)) = (self.held(), self.outbox.held());
        if !is_copy {
            return self.account.force(held);
        }
        if let Err(status) = self.account.set(held) {
            self.outbox.end(later(&status));
            self.account.force(self.held());
        }
    }
}

/// There may be room for the next call.
fn later(status: &Status) -> Status {
    unavailable(status.message())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is a single operation, or leaves the document unloaded, so a poisoned lock protects
    // consistent data.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use volt_api::{Code, volt::SyncState};

    use super::*;
    use crate::state::budget::Budget;

    fn outbox(bytes: usize) -> Outbox {
        Outbox::new(vec![0; bytes], Vec::new(), false)
    }

    #[tokio::test]
    async fn calls_that_do_not_read_are_counted_together() {
        let budget = Budget::new(1 << 30, 1 << 20, "read");
        let peer = |bytes| Peer::new(1, outbox(bytes), budget.account("one"));
        let first = peer(768 << 10).unwrap();
        let error = peer(512 << 10).map(drop).unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted);
        let small = peer(1000).unwrap();
        // A copy that a call needs later counts too, and so do incomplete updates from its caller.
        assert!(matches!(small.next().await, Next::Message(_)));
        small.outbox(Outbox::done);
        assert!(matches!(small.next().await, Next::Message(_)));
        assert_eq!(small.receiving(512 << 10).unwrap_err().code(), Code::Unavailable);
        small.receiving(0).unwrap();
        small.outbox(|outbox| outbox.catch_up(vec![0; 512 << 10]));
        let Next::End(status) = small.next().await else { panic!("not ended") };
        assert_eq!(status.code(), Code::Unavailable);
        // There is room again after the first has been read.
        let Next::Message(message) = first.next().await else { panic!("not a message") };
        assert_eq!(message.sync_state(), SyncState::Syncing);
        let second = peer(512 << 10).unwrap();
        // A change that all callers share is sent regardless.
        second.outbox(Outbox::done);
        while matches!(second.next().await, Next::Message(message) if message.update.is_some()) {}
        let update: Arc<[u8]> = vec![0; 2 << 20].into();
        second.outbox(|outbox| outbox.change(&update, &Arc::default()));
        assert!(matches!(second.next().await, Next::Message(_)));
        assert!(peer(64 << 10).is_err());
        drop(second);
        peer(64 << 10).unwrap();
    }
}
