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
    /// Adds an open call of a session. `ends` is the time at which the session ends, or 0 for
    /// never.
    pub(crate) fn join(&self, session: &str, ends: u64) -> LiveSession {
        let ends = if ends == 0 { u64::MAX } else { ends };
        let mut sessions = self.lock();
        if let Some(sender) = sessions.get(session).and_then(Weak::upgrade) {
            return LiveSession(sender);
        }
        sessions.retain(|_, sender| sender.strong_count() > 0);
        let sender = Arc::new(watch::Sender::new(ends));
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
