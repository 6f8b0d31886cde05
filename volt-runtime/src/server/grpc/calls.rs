//! The counts of a connection's calls, for its limits and its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

/// The calls of a connection.
pub(super) struct Calls {
    counts: Mutex<Counts>,
    max_unnamed: usize,
    /// Notified when no call is due.
    settled: Notify,
    /// The stage, for the calls that wait for it.
    stage: watch::Sender<Stage>,
}

#[derive(Debug, Default)]
struct Counts {
    /// The calls whose first message has not arrived.
    unnamed: usize,
    /// The calls whose end is due, because their callers send nothing more.
    due: usize,
    stage: Stage,
}

/// The stages of a connection's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Open,
    /// No further call starts.
    Draining,
    /// All calls end.
    Cut,
}

/// The reason why a call is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The server stops.
    Stopping,
    /// Too many calls have no message yet.
    TooMany,
}

impl Calls {
    pub(super) fn new(max_unnamed: usize) -> Self {
        Self {
            counts: Mutex::default(),
            max_unnamed,
            settled: Notify::new(),
            stage: watch::Sender::default(),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        let mut counts = self.counts();
        let result = change(&mut counts);
        let settled = counts.due == 0;
        drop(counts);
        if settled {
            self.settled.notify_one();
        }
        result
    }

    /// Starts no further calls.
    pub(super) fn drain(&self) {
        self.enter(Stage::Draining);
    }

    /// Waits until the calls whose end is due have ended. One task may wait.
    pub(super) async fn settled(&self) {
        while self.counts().due > 0 {
            self.settled.notified().await;
        }
    }

    /// Ends all calls.
    pub(super) fn cut(&self) {
        self.enter(Stage::Cut);
    }

    fn enter(&self, stage: Stage) {
        self.counts().stage = stage;
        self.stage.send_replace(stage);
    }
}

/// A call's place in the counts.
pub(super) struct Entry {
    calls: Arc<Calls>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Unnamed,
    Open,
    Due,
}

impl Entry {
    /// Counts a new call.
    pub(super) fn new(calls: Arc<Calls>) -> Result<Self, Refusal> {
        calls.change(|counts| {
            if counts.stage != Stage::Open {
                return Err(Refusal::Stopping);
            }
            if counts.unnamed >= calls.max_unnamed {
                return Err(Refusal::TooMany);
            }
            counts.unnamed += 1;
            Ok(())
        })?;
        Ok(Self { calls, phase: Phase::Unnamed })
    }

    /// Called when the first message has arrived; `only_one` if the caller sends nothing more. Returns
    /// false if the call may not start, because the server stops.
    pub(super) fn named(&mut self, only_one: bool) -> bool {
        let phase = if only_one { Phase::Due } else { Phase::Open };
        self.set(phase) == Stage::Open
    }

    /// Called when the caller sends nothing more.
    pub(super) fn due(&mut self) {
        self.set(Phase::Due);
    }

    /// Changes the phase. Returns the connection's stage.
    fn set(&mut self, phase: Phase) -> Stage {
        let last = std::mem::replace(&mut self.phase, phase);
        self.calls.change(|counts| {
            counts.remove(last);
            counts.add(phase);
            counts.stage
        })
    }

    /// Waits until no further call starts.
    pub(super) fn draining(&self) -> impl Future<Output = ()> + Send + 'static {
        self.reached(Stage::Draining)
    }

    /// Waits until all calls end.
    pub(super) fn cut(&self) -> impl Future<Output = ()> + Send + 'static {
        self.reached(Stage::Cut)
    }

    fn reached(&self, stage: Stage) -> impl Future<Output = ()> + Send + 'static {
        let mut reached = self.calls.stage.subscribe();
        async move {
            // The sender lives as long as the connection.
            let _ = reached.wait_for(|reached| *reached >= stage).await;
        }
    }
}

impl Counts {
    fn add(&mut self, phase: Phase) {
        match phase {
            Phase::Unnamed => self.unnamed += 1,
            Phase::Due => self.due += 1,
            Phase::Open => {}
        }
    }

    fn remove(&mut self, phase: Phase) {
        match phase {
            Phase::Unnamed => self.unnamed -= 1,
            Phase::Due => self.due -= 1,
            Phase::Open => {}
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let phase = self.phase;
        self.calls.change(|counts| counts.remove(phase));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stop between the message and the start of its handler would otherwise cut the call.
    #[test]
    fn a_call_with_one_request_is_due_when_it_arrives() {
        let calls = Arc::new(Calls::new(9));
        let (mut single, mut stream) =
            (Entry::new(Arc::clone(&calls)).unwrap(), Entry::new(Arc::clone(&calls)).unwrap());
        assert!(stream.named(false));
        assert_eq!(calls.counts().due, 0);
        assert!(single.named(true));
        assert_eq!(calls.counts().due, 1);
        drop(single);
        assert_eq!(calls.counts().due, 0);
    }
}
