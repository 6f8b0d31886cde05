//! The counts of a connection's calls, for its limits and its end.

use std::sync::Arc;

use tokio::sync::watch;

use super::connection::Connection;

/// The calls of a connection.
pub(super) struct Calls {
    counts: watch::Sender<Counts>,
    max_unnamed: usize,
}

#[derive(Debug, Default)]
struct Counts {
    /// The calls whose first message has not arrived.
    unnamed: usize,
    /// The calls whose end is due, because nothing more of their caller is awaited.
    due: usize,
    stage: Stage,
}

/// The stages of a connection's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Open,
    /// No call starts any more.
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
        Self { counts: watch::Sender::default(), max_unnamed }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        let mut result = None;
        self.counts.send_if_modified(|counts| {
            let stage = counts.stage;
            result = Some(change(counts));
            // Nobody else waits for anything, and a notification wakes the tasks of all calls.
            counts.stage != stage || (stage == Stage::Draining && counts.due == 0)
        });
        #[expect(clippy::unwrap_used, reason = "the closure is always called")]
        result.unwrap()
    }

    /// Starts no further calls.
    pub(super) fn drain(&self) {
        self.change(|counts| counts.stage = Stage::Draining);
    }

    /// Waits until the calls whose end is due have ended.
    pub(super) async fn settled(&self) {
        // The sender is not dropped meanwhile.
        let _ = self.counts.subscribe().wait_for(|counts| counts.due == 0).await;
    }

    /// Ends all calls.
    pub(super) fn cut(&self) {
        self.change(|counts| counts.stage = Stage::Cut);
    }
}

/// A call's place in the counts.
pub(super) struct Entry {
    connection: Arc<Connection>,
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
    pub(super) fn new(connection: Arc<Connection>) -> Result<Self, Refusal> {
        let calls = connection.calls();
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
        Ok(Self { connection, phase: Phase::Unnamed })
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Called when the first message has arrived. Returns whether the call may start.
    pub(super) fn named(&mut self) -> bool {
        let draining = self.set(Phase::Open);
        !draining
    }

    /// Called when nothing more of the caller is awaited.
    pub(super) fn due(&mut self) {
        self.set(Phase::Due);
    }

    /// Changes the phase. Returns whether the server is stopping.
    fn set(&mut self, phase: Phase) -> bool {
        let last = std::mem::replace(&mut self.phase, phase);
        self.connection.calls().change(|counts| {
            for (phase, by) in [(last, -1), (phase, 1)] {
                counts.add(phase, by);
            }
            counts.stage != Stage::Open
        })
    }

    /// Waits until no call starts any more.
    pub(super) fn draining(&self) -> impl Future<Output = ()> + Send + 'static {
        self.reached(Stage::Draining)
    }

    /// Waits until all calls end.
    pub(super) fn cut(&self) -> impl Future<Output = ()> + Send + 'static {
        self.reached(Stage::Cut)
    }

    fn reached(&self, stage: Stage) -> impl Future<Output = ()> + Send + 'static {
        let mut counts = self.connection.calls().counts.subscribe();
        async move {
            // The sender lives as long as the call's entry.
            let _ = counts.wait_for(|counts| counts.stage >= stage).await;
        }
    }
}

impl Counts {
    fn add(&mut self, phase: Phase, by: isize) {
        match phase {
            Phase::Unnamed => self.unnamed = self.unnamed.saturating_add_signed(by),
            Phase::Due => self.due = self.due.saturating_add_signed(by),
            Phase::Open => {}
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let phase = self.phase;
        self.connection.calls().change(|counts| counts.add(phase, -1));
    }
}
