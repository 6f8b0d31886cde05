//! Sessions with open calls. A call ends when its session does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};
use volt_api::Status;

use crate::{error::unauthenticated, store::now};

/// The longest sleep of a call before it checks the clock again, which may have been adjusted.
const LOOK: Duration = Duration::from_hours(1);

/// The sessions with open calls. The value is the time at which a session ends, in milliseconds
/// since 1970.
#[derive(Default)]
pub(crate) struct LiveSessions(Mutex<HashMap<String, Weak<watch::Sender<u64>>>>);

/// A session with an open call.
pub(crate) struct LiveSession(Arc<watch::Sender<u64>>);

impl LiveSessions {
    /// Adds an open call of a session. Join before checking that the session is live: otherwise it
    /// could end in between, unnoticed.
    pub(crate) fn join(&self, session: &str) -> LiveSession {
        let mut sessions = self.lock();
        if let Some(sender) = sessions.get(session).and_then(Weak::upgrade) {
            return LiveSession(sender);
        }
        sessions.retain(|_, sender| sender.strong_count() > 0);
        let sender = Arc::new(watch::Sender::new(u64::MAX));
        sessions.insert(session.to_owned(), Arc::downgrade(&sender));
        LiveSession(sender)
    }

    /// Changes the time at which a session ends; 1 means immediately, 0 means never.
    pub(crate) fn ends(&self, session: &str, ends: u64) {
        let ends = if ends == 0 { u64::MAX } else { ends };
        if let Some(sender) = self.lock().get(session).and_then(Weak::upgrade) {
            sender.send_replace(ends);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<watch::Sender<u64>>>> {
        // Each change is a single operation, so a poisoned map is still consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LiveSession {
    /// Sets the time at which the session ends, or 0 for never, unless it has already ended or ends
    /// earlier.
    pub(crate) fn expires(&self, time: u64) {
        if time != 0 {
            self.0.send_modify(|ends| *ends = time.min(*ends));
        }
    }

    /// Waits until the session ends.
    pub(crate) async fn ended(&self) -> Status {
        let mut changes = self.0.subscribe();
        loop {
            let left = changes.borrow_and_update().saturating_sub(now());
            if left == 0 {
                return unauthenticated("the session has ended");
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = sleep(Duration::from_millis(left).min(LOOK)) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn joining_an_ending_session_ends_the_call() {
        let sessions = LiveSessions::default();
        let session = sessions.join("a");
        sessions.ends("a", 1);
        // The call read the store before the session ended.
        session.expires(now() + 60_000);
        assert!(session.ended().now_or_never().is_some());
        let other = sessions.join("b");
        other.expires(now() + 60_000);
        assert!(other.ended().now_or_never().is_none());
    }
}
