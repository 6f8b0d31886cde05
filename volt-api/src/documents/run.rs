//! The task of an attached document: one call after another, until it is stopped or refused.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::OptionFuture;
use tokio::{sync::watch, time::sleep};
use volt_runtime::{
    Backoff, Channel, Code, Error, ErrorKind, Reconnect, Result, transport::BoxFuture,
};
use yrs::AsyncTransact as _;

use super::{
    call::{Call, Event, Opening, wait_until},
    exchange::{Exchange, Phase, Settings},
    presence::Presence,
    replica::Replica,
    shared::{Shared, Stop, now},
    state::DocumentState,
};

/// The minimum and maximum pause before a lost call is reopened.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The number of consecutive calls that may fail because of their content.
const TRIES: u32 = 3;
/// The time for the Volt to end a call after the half-close.
const GOODBYE: Duration = Duration::from_secs(5);

/// The task.
pub(super) struct Task {
    pub(super) opening: Opening,
    pub(super) settings: Settings,
    pub(super) shared: Arc<Shared>,
    pub(super) replica: Arc<Replica>,
    pub(super) presence: Option<Presence>,
    pub(super) states: watch::Sender<DocumentState>,
    /// The progress of the call.
    pub(super) progress: Progress,
}

/// The progress of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// The Volt has accepted the call: later refusals are because of the content.
    answered: bool,
    live_since: Option<Instant>,
}

impl Task {
    /// Keeps the document synchronized until it is stopped or refused. Fails if the Volt may lack edits.
    pub(super) async fn run(mut self) -> Result<()> {
        let outcome = self.calls().await;
        if let Some(presence) = &mut self.presence {
            presence.release();
        }
        self.replica.release(&self.replica.doc().transact_mut().await);
        outcome
    }

    async fn calls(&mut self) -> Result<()> {
        let mut policy = Reconnect::default();
        policy.first_delay = FIRST_PAUSE;
        policy.longest_delay = LONGEST_PAUSE;
        let mut backoff = Backoff::new(policy);
        let mut faults = 0;
        loop {
            self.states.send_replace(DocumentState::Connecting);
            self.progress = Progress::default();
            let begin = now();
            let reason = match self.call().await {
                Ok(()) => return self.outcome(None),
                Err(reason) => reason,
            };
            backoff.settle(now() - begin);
            let Progress { answered, live_since } = self.progress;
            // Do not decide this by the duration of the call: a large update that is refused also
            // takes long.
            if live_since.is_some_and(|since| now() - since >= LONGEST_PAUSE) {
                faults = 0;
            }
            let verdict = verdict(&reason, answered, self.settings.read_only_fallback);
            faults += u32::from(verdict == Verdict::Faulty);
            if verdict == Verdict::Final || faults >= TRIES {
                self.states.send_replace(DocumentState::Refused { reason: reason.clone() });
                return Err(reason);
            }
            tracing::debug!("a document is disconnected: {reason:#}");
            self.states.send_replace(DocumentState::Disconnected { reason: reason.clone() });
            if self.is_closed() {
                return Err(reason);
            }
            if self.shared.stopping() == Stop::No {
                tokio::select! {
                    () = sleep(backoff.next_delay()) => {}
                    () = self.shared.stop_requested(Stop::No) => {}
                }
            }
            if self.shared.stopping() != Stop::No {
                return self.outcome(Some(reason));
            }
        }
    }

    fn is_closed(&self) -> bool {
        AsRef::<Channel>::as_ref(&self.opening.client).watch_state().current().is_closed()
    }

    /// The outcome of a document that was stopped.
    fn outcome(&self, reason: Option<Error>) -> Result<()> {
        let taken = self.shared.with(|exchange| {
            exchange.is_read_only() || exchange.acknowledged() >= Some(exchange.edits())
        });
        if taken {
            return Ok(());
        }
        let message = "the document was stopped before the Volt had accepted all edits; they are \
                       still in the document";
        let error = Error::connection(message);
        Err(match reason {
            Some(reason) => error.with_source(reason),
            None => error,
        })
    }

    /// Runs one call. Returns without an error after it was stopped.
    async fn call(&mut self) -> Result<()> {
        let call = tokio::select! {
            call = self.opening.open(&self.shared, &self.replica) => call?,
            () = self.shared.stop_requested(Stop::No) => return Ok(()),
        };
        let ended = self.drive(call).await;
        self.shared.with(|exchange| exchange.closed(matches!(ended, Ok(true))));
        self.shared.publish();
        if let Some(presence) = &mut self.presence {
            presence.end();
        }
        ended.map(drop)
    }

    /// Drives a call to its end. Returns whether the Volt ended it after it had been stopped.
    async fn drive(&mut self, mut call: Call) -> Result<bool> {
        let mut stop = Stop::No;
        // The deadlines for the Volt to accept everything, and to end the call.
        let mut drained: Option<Instant> = None;
        let mut half_closed: Option<Instant> = None;
        let mut confirming: OptionFuture<BoxFuture<Result<Option<u64>>>> = None.into();
        let mut confirms = false;
        loop {
            self.report();
            if call.phase() == Phase::Live {
                if !confirms && stop == Stop::No && self.shared.is_wanted() {
                    confirming = Some(self.confirm()).into();
                    confirms = true;
                }
                if half_closed.is_none() && self.shared.with(|exchange| exchange.is_drained()) {
                    call.half_close();
                    half_closed = Some(now() + GOODBYE);
                }
            }
            let check_at = self.presence.as_ref().map(Presence::check_at);
            let check_at = check_at.filter(|_| call.phase() == Phase::Live);
            let event = tokio::select! {
                event = call.next() => event?,
                confirmed = &mut confirming, if confirms => {
                    confirms = false;
                    confirming = None.into();
                    let edits = confirmed.transpose()?.flatten();
                    self.shared.with(|exchange| exchange.acknowledge(edits));
                    continue;
                }
                () = wait_until(check_at) => {
                    self.presence.iter_mut().for_each(Presence::check);
                    continue;
                }
                () = self.shared.stop_requested(stop) => {
                    stop = self.shared.stopping();
                    if stop == Stop::Now {
                        return Ok(false);
                    }
                    let farewell = self.presence.as_ref().and_then(Presence::farewell);
                    let time = self.shared.with(|exchange| {
                        exchange.stop(farewell);
                        exchange.drain_time()
                    });
                    drained = Some(now() + GOODBYE + time);
                    continue;
                }
                () = wait_until(half_closed.or(drained)) => {
                    let missed =
                        if half_closed.is_some() { "end the call" } else { "read the edits" };
                    return Err(Error::deadline(format!("the Volt did not {missed} in time")));
                }
            };
            match event {
                Event::End if half_closed.is_some() => return Ok(true),
                Event::End => return Err(Error::connection("the Volt ended the call")),
                event => {
                    for update in call.handle(event).await? {
                        self.presence.iter_mut().for_each(|presence| presence.receive(&update));
                    }
                }
            }
        }
    }

    /// Reports the phase of the call.
    fn report(&mut self) {
        let (phase, answered) =
            self.shared.with(|exchange| (exchange.phase(), exchange.is_answered()));
        let state = match phase {
            Phase::Live => DocumentState::Synced,
            _ if answered => DocumentState::Syncing,
            _ => DocumentState::Connecting,
        };
        let same =
            |old: &DocumentState| std::mem::discriminant(old) == std::mem::discriminant(&state);
        self.progress.answered |= answered;
        if phase == Phase::Live {
            self.progress.live_since.get_or_insert_with(now);
        }
        let changed = !same(&self.states.borrow());
        // Report this before the state, so that observers of the state see the acknowledged edits.
        self.shared.publish();
        if changed {
            let synced = state.is_synced();
            self.states.send_replace(state);
            if synced {
                self.presence.iter_mut().for_each(Presence::begin);
            }
        }
    }

    /// Makes sure that the Volt has all edits. No message acknowledges an update, but each call begins with
    /// an acknowledged exchange of the missing updates: a further call confirms the edits, while this one
    /// continues. Returns the number of edits.
    fn confirm(&self) -> BoxFuture<Result<Option<u64>>> {
        let (opening, replica) = (self.opening.clone(), Arc::clone(&self.replica));
        let own = Arc::new(Shared::new(Exchange::new(self.settings.clone())));
        let counting = Arc::clone(&self.shared);
        Box::pin(async move {
            let mut call = opening.open(&own, &replica).await?.counting(&counting);
            while call.phase() != Phase::Live {
                match call.next().await? {
                    Event::End => return Err(Error::connection("the Volt ended the call")),
                    event => drop(call.handle(event).await?),
                }
            }
            call.half_close();
            if own.with(|exchange| exchange.is_read_only()) {
                return Err(Error::connection("the document has become read-only"));
            }
            Ok(own.with(|exchange| exchange.acknowledged()))
        })
    }
}

/// The effect of an error on the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The call was lost, and another may succeed.
    Lost,
    /// The Volt rejects a sent message, or the document a received one. Another call may succeed.
    Faulty,
    /// The next call would fail as well.
    Final,
}

/// `answered` is set if the Volt had accepted the call, `falls_back` if the document may become read-only.
fn verdict(error: &Error, answered: bool, falls_back: bool) -> Verdict {
    match error.kind() {
        ErrorKind::Configuration => return Verdict::Final,
        ErrorKind::Protocol => return Verdict::Faulty,
        ErrorKind::Routing => {}
        _ if error.status().is_none() => return Verdict::Lost,
        _ => {}
    }
    match error.code() {
        // The next call is read-only. If the right to read was revoked too, the Volt does not accept it.
        Code::PermissionDenied if answered && falls_back => Verdict::Faulty,
        Code::PermissionDenied
        | Code::NotFound
        | Code::Unauthenticated
        | Code::Unimplemented
        | Code::FailedPrecondition => Verdict::Final,
        Code::Unavailable | Code::Aborted | Code::DeadlineExceeded | Code::Cancelled => {
            Verdict::Lost
        }
        // Otherwise the updates are too large, and will be in the next call, too.
        Code::ResourceExhausted if !answered => Verdict::Lost,
        _ => Verdict::Faulty,
    }
}
