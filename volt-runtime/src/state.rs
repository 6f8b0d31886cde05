//! The state of a channel's connection.
//!
//! A connection begins `Connected`, or `Reconnecting` if it is made for the first call. A loss leads to `Reconnecting`, a successful attempt back to
//! `Connected`. `Closed` is final: the channel was closed, the peer closed with code 1008, reconnecting is
//! disabled or took too long, or the tokio runtime of the connection has ended.

use std::fmt;

use tokio::sync::watch;

use crate::error::Error;

/// The state of a channel's connection. Observed with
/// [`Channel::watch_state`](crate::Channel::watch_state).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Calls can be made.
    Connected,
    /// The connection was lost and is being re-established; or that of a client from `connect_lazy` has not
    /// been established yet. New calls wait for the connection unless
    /// [`wait_for_ready`](crate::CallOptions::wait_for_ready) is off.
    Reconnecting {
        /// The number of attempts that have failed so far.
        failed_attempts: u32,
        /// The reason why the connection was lost or, after an attempt, why that failed.
        reason: Error,
    },
    /// The channel is closed permanently: it was closed, or reconnecting failed. Every call fails. To
    /// continue, connect again.
    Closed {
        /// The reason.
        reason: Error,
    },
}

impl ConnectionState {
    /// Returns whether calls can be made at once, without waiting for a connection.
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected)
    }

    /// Returns why there is no connection, or `None` while there is one.
    pub fn reason(&self) -> Option<&Error> {
        match self {
            Self::Connected => None,
            Self::Reconnecting { reason, .. } | Self::Closed { reason } => Some(reason),
        }
    }

    /// Returns whether the channel is closed permanently.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }
}

impl fmt::Display for ConnectionState {
    /// Prints the state with its reason: "reconnecting, 2 attempts have failed: …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::Reconnecting { failed_attempts: 0, reason } => {
                write!(f, "reconnecting: {reason}")
            }
            Self::Reconnecting { failed_attempts: 1, reason } => {
                write!(f, "reconnecting, 1 attempt has failed: {reason}")
            }
            Self::Reconnecting { failed_attempts, reason } => {
                write!(f, "reconnecting, {failed_attempts} attempts have failed: {reason}")
            }
            Self::Closed { reason } => write!(f, "closed: {reason}"),
        }
    }
}

/// Watches the state of a channel's connection. Returned by
/// [`Channel::watch_state`](crate::Channel::watch_state). It does not keep the connection open.
/// Each clone remembers independently which states it has seen.
///
/// ```no_run
/// # async fn example(channel: volt_runtime::Channel) -> volt_runtime::Result<()> {
/// use volt_runtime::ConnectionState;
///
/// let mut states = channel.watch_state();
/// while let Some(state) = states.changed().await {
///     match state {
///         ConnectionState::Connected => println!("online"),
///         ConnectionState::Reconnecting { failed_attempts, reason, .. } => {
///             println!("offline, {failed_attempts} attempts so far: {reason:#}");
///         }
///         ConnectionState::Closed { reason, .. } => return Err(reason),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct StateWatch(watch::Receiver<ConnectionState>);

impl StateWatch {
    pub(crate) fn new(states: watch::Receiver<ConnectionState>) -> Self {
        Self(states)
    }

    /// Creates the state of a transport that needs no connection.
    pub fn connected() -> Self {
        // The sender is dropped, so the state never changes.
        Self(watch::channel(ConnectionState::Connected).1)
    }

    /// Returns the current state.
    pub fn current(&self) -> ConnectionState {
        self.0.borrow().clone()
    }

    /// Waits for a state that was not seen yet and returns it; the newest, if there were several. A state
    /// that lasts only a moment may therefore be missed. The state at the time when the watch was created
    /// counts as seen. Returns `None` when the state can no longer change.
    ///
    /// # Cancel safety
    ///
    /// No state is lost when the future is dropped.
    pub async fn changed(&mut self) -> Option<ConnectionState> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }

    /// Waits until there is a connection; returns at once if there is one.
    ///
    /// # Errors
    ///
    /// Fails if the channel is closed permanently; the error is the reason.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn connected_again(&mut self) -> Result<(), Error> {
        let settled =
            self.0.wait_for(|state| !matches!(state, ConnectionState::Reconnecting { .. })).await;
        match settled.as_deref() {
            Ok(ConnectionState::Closed { reason }) => Err(reason.clone()),
            Ok(_) => Ok(()),
            Err(_) => Err(Error::connection("the connection is closed")),
        }
    }
}

impl fmt::Debug for StateWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StateWatch").field(&*self.0.borrow()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_the_state_and_its_reason() {
        let reason = Error::connection("reset");
        let reconnecting = |failed_attempts| {
            ConnectionState::Reconnecting { failed_attempts, reason: reason.clone() }.to_string()
        };
        assert_eq!(ConnectionState::Connected.to_string(), "connected");
        assert_eq!(reconnecting(0), "reconnecting: connection error: reset");
        assert_eq!(
            reconnecting(2),
            "reconnecting, 2 attempts have failed: connection error: reset"
        );
        let closed = ConnectionState::Closed { reason: reason.clone() };
        assert_eq!(closed.to_string(), "closed: connection error: reset");
    }
}
