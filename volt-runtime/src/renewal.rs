//! Renewal of a client's session, once for all calls that need it.
//!
//! A call that the Volt rejects for its session requests a renewal, and is then retried once. Calls that
//! request a renewal while one runs wait for the same one. A generation number counts the sessions: a
//! call that was opened with an older one needs no renewal, only another attempt.
//!
//! A renewal runs in its own task, so that it survives the call that began it. It ends with the channel.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::watch, task::AbortHandle, time::Instant};

use crate::{
    error::{Error, ErrorKind, Executed, Result},
    status::{Code, Status},
    transport::BoxFuture,
};

/// The minimum time between the end of a renewal and the next one. Within it, calls share the outcome
/// of the last renewal, so a Volt that rejects every session is not queried for each call.
const PAUSE: Duration = Duration::from_secs(10);

/// A function that obtains a new session after the Volt has rejected the current one. Set it as
/// `ConnectOptions::renewal`; `volt_api::Client::authenticate(…).renew()` does so automatically.
///
/// The function returns the id of the new session, which must belong to the same key. It runs once for all
/// calls that wait for it, in its own task, and at most every ten seconds. Further calls then share its
/// outcome.
///
/// ```
/// use volt_runtime::{ConnectOptions, Error, Renewal};
///
/// let mut options = ConnectOptions::default();
/// options.renewal = Some(Renewal::new(|| async {
///     // Such as from a vault.
///     std::env::var("VOLT_SESSION")
///         .map_err(|error| Error::configuration("`VOLT_SESSION` is not set").with_source(error))
/// }));
/// ```
#[doc(alias = "refresh")]
#[doc(alias = "reauthenticate")]
#[derive(Clone)]
pub struct Renewal(Arc<dyn Fn() -> BoxFuture<Result<String>> + Send + Sync>);

impl Renewal {
    /// Creates a renewal from a function.
    pub fn new<R, F>(renew: R) -> Self
    where
        R: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(renew())))
    }
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewal")
    }
}

/// Renews the session of one channel.
pub(crate) struct Renewer {
    renewal: Renewal,
    /// Passes the new session to the transport.
    store: Box<dyn Fn(String) + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Counts the sessions.
    generation: u64,
    running: Option<Running>,
    /// The time and the outcome of the last renewal.
    last: Option<(Instant, Result<()>)>,
}

/// A renewal that has begun.
struct Running {
    /// Set at its end. The sender is dropped without a value if its runtime has ended.
    outcome: watch::Receiver<Option<Result<()>>>,
    task: AbortHandle,
}

impl Renewer {
    #[cfg(feature = "client")]
    pub(crate) fn new(renewal: Renewal, store: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self { renewal, store: Box::new(store), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is complete before the lock is released.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the current session.
    pub(crate) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Waits until the session differs from that of `generation`, with which a call was rejected.
    ///
    /// # Errors
    ///
    /// Fails if the renewal failed. The error is marked as not executed and unauthenticated, and
    /// has the failure as its source.
    ///
    /// # Cancel safety
    ///
    /// The renewal continues if the future is dropped.
    pub(crate) async fn renew(self: &Arc<Self>, generation: u64) -> Result<()> {
        let mut outcome = {
            let mut state = self.lock();
            if state.generation != generation {
                return Ok(());
            }
            match state.recent() {
                Some(outcome) => return outcome,
                None => state.running(self),
            }
        };
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err(failed(&Error::connection("the renewal was interrupted"))),
        }
    }

    fn finish(&self, outcome: Result<String>) -> Result<()> {
        let outcome = match outcome {
            Ok(session) => {
                tracing::info!("the session was renewed");
                (self.store)(session);
                Ok(())
            }
            Err(error) => {
                tracing::warn!("the session could not be renewed: {error:#}");
                Err(failed(&error))
            }
        };
        let mut state = self.lock();
        if outcome.is_ok() {
            state.generation += 1;
        }
        state.running = None;
        state.last = Some((Instant::now(), outcome.clone()));
        outcome
    }
}

impl State {
    /// Returns the outcome of the last renewal, if that ended a moment ago.
    ///
    /// After a success, the rejected call may have been opened in advance, with the previous session.
    fn recent(&self) -> Option<Result<()>> {
        let (ended, outcome) = self.last.as_ref()?;
        (ended.elapsed() < PAUSE).then(|| outcome.clone())
    }

    /// Returns the outcome of the running renewal. Begins one if none is running.
    fn running(&mut self, renewer: &Arc<Renewer>) -> watch::Receiver<Option<Result<()>>> {
        if let Some(running) = &self.running
            && running.outcome.has_changed().is_ok()
        {
            return running.outcome.clone();
        }
        let (sender, outcome) = watch::channel(None);
        let renewal = renewer.renewal.clone();
        // The task must not keep the channel's renewer alive: dropping the renewer aborts the task.
        let renewer = Arc::downgrade(renewer);
        let task = tokio::spawn(async move {
            let session = (renewal.0)().await;
            if let Some(renewer) = Weak::upgrade(&renewer) {
                sender.send_replace(Some(renewer.finish(session)));
            }
        });
        self.running = Some(Running { outcome: outcome.clone(), task: task.abort_handle() });
        outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Renewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewer").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

/// Returns whether a call failed because of its session and can be retried with another one.
pub(crate) fn is_due(error: &Error) -> bool {
    error.executed() == Executed::No && error.code() == Code::Unauthenticated
}

/// The error of the calls that waited for a renewal.
fn failed(cause: &Error) -> Error {
    let message = format!("the session could not be renewed: {cause}");
    // A Volt that cannot be reached has not rejected the client: another attempt may succeed.
    if cause.is_transient() || cause.code() == Code::Unavailable {
        return Error::connection(message).with_executed(Executed::No).with_source(cause.clone());
    }
    Error::new(ErrorKind::Routing, message)
        .with_status(Status::new(Code::Unauthenticated, "session invalid"))
        .with_source(cause.clone())
}
