//! Operations: helpers that make one or more calls, with the options of a call.

use std::time::Duration;

use tokio::time::Instant;
use volt_runtime::{Target, call::CallBuilder};

/// An operation that has not been started yet. Set its options, then await it, or the method that
/// its documentation names.
///
/// `K` is the kind of operation. An operation makes one or more calls, all with the options set
/// here. It makes plain calls only, so it works over every transport.
#[derive(Debug)]
#[must_use = "an operation does nothing until it is awaited"]
pub struct Operation<K> {
    pub(crate) settings: Settings,
    pub(crate) kind: K,
}

impl<K> Operation<K> {
    pub(crate) fn new(kind: K) -> Self {
        Self { settings: Settings::default(), kind }
    }

    /// Limits the duration of the whole operation, with all its calls and retries. If a deadline is
    /// set too, the earlier of the two applies.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Cancels the operation at this moment.
    pub fn deadline(mut self, deadline: std::time::Instant) -> Self {
        self.settings.deadline = Some(Instant::from_std(deadline));
        self
    }

    /// Calls a service other than the Volt's own.
    pub fn service(mut self, target: impl Into<Target>) -> Self {
        self.settings.target = Some(target.into());
        self
    }

    /// Sets whether the calls run on their own connection; see
    /// [`CallOptions::own_connection`](crate::CallOptions::own_connection).
    pub fn own_connection(mut self, own: bool) -> Self {
        self.settings.own_connection = Some(own);
        self
    }

    /// Sets whether calls that are made while the client reconnects wait for the connection (the
    /// default) or fail at once.
    pub fn wait_for_ready(mut self, wait: bool) -> Self {
        self.settings.wait_for_ready = Some(wait);
        self
    }
}

/// The options that an operation passes to each of its calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    target: Option<Target>,
    own_connection: Option<bool>,
    wait_for_ready: Option<bool>,
}

impl Settings {
    /// Converts the timeout into a deadline when the operation starts.
    pub(crate) fn start(mut self) -> Self {
        // A timeout beyond the clock's range never expires.
        let by_timeout =
            self.timeout.take().and_then(|timeout| Instant::now().checked_add(timeout));
        self.deadline = by_timeout.into_iter().chain(self.deadline).min();
        self
    }

    /// Sets the options on one of the calls.
    pub(crate) fn apply<C>(&self, mut call: CallBuilder<C>) -> CallBuilder<C> {
        if let Some(timeout) = self.timeout {
            call = call.timeout(timeout);
        }
        if let Some(deadline) = self.deadline {
            call = call.deadline(deadline.into_std());
        }
        if let Some(target) = &self.target {
            call = call.service(target.clone());
        }
        if let Some(own) = self.own_connection {
            call = call.own_connection(own);
        }
        if let Some(wait) = self.wait_for_ready {
            call = call.wait_for_ready(wait);
        }
        call
    }

    /// Waits for work that is not a call, until the deadline of a [started](Self::start) operation.
    #[cfg(any(feature = "file", feature = "sqlite-database", feature = "sync"))]
    pub(crate) async fn until<T>(
        &self,
        work: impl Future<Output = volt_runtime::Result<T>>,
    ) -> volt_runtime::Result<T> {
        let Some(deadline) = self.deadline else { return work.await };
        let late = |_| volt_runtime::Error::deadline("the operation took too long");
        tokio::time::timeout_at(deadline, work).await.map_err(late)?
    }

    /// Waits for a while, or fails at the deadline.
    #[cfg(any(
        feature = "file",
        all(feature = "sqlite-database", feature = "volt", feature = "wire")
    ))]
    pub(crate) async fn sleep(&self, delay: Duration) -> volt_runtime::Result<()> {
        let sleep = async {
            tokio::time::sleep(delay).await;
            Ok(())
        };
        self.until(sleep).await
    }
}
