//! The state of an attached document.
//!
//! `Connecting` leads to `Syncing` with the Volt's first answer, and that to `Synced`. A lost call leads to
//! `Disconnected`, and after a pause to `Connecting` again. `Refused` is final.

use std::fmt;

use tokio::sync::watch;
use volt_runtime::{Error, Result};

/// The state of an attached document. Observed with
/// [`SyncedDocument::watch_state`](super::SyncedDocument::watch_state).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DocumentState {
    /// The call is being opened, and the Volt has not answered yet.
    Connecting,
    /// Each side sends the updates that the other lacks.
    Syncing,
    /// Both sides were equal when this state began, and have sent each change since then.
    Synced,
    /// The call was lost. It is opened again after a pause, unless the client's connection is closed.
    Disconnected {
        /// The reason.
        reason: Error,
    },
    /// The Volt refuses the document, its edits or this client. To continue, attach the document again.
    Refused {
        /// The reason.
        reason: Error,
    },
}

impl DocumentState {
    /// Returns whether both sides send each change.
    pub fn is_synced(&self) -> bool {
        matches!(self, Self::Synced)
    }

    /// Returns why the document is not synchronized, or `None` while it is or is about to be.
    pub fn reason(&self) -> Option<&Error> {
        match self {
            Self::Disconnected { reason } | Self::Refused { reason } => Some(reason),
            _ => None,
        }
    }
}

impl fmt::Display for DocumentState {
    /// Prints the state with its reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting"),
            Self::Syncing => f.write_str("syncing"),
            Self::Synced => f.write_str("synced"),
            Self::Disconnected { reason } => write!(f, "disconnected: {reason}"),
            Self::Refused { reason } => write!(f, "refused: {reason}"),
        }
    }
}

/// Watches the state of an attached document. Each clone tracks separately which states it has returned.
///
/// ```no_run
/// # async fn example(document: volt_api::documents::SyncedDocument) {
/// let mut states = document.watch_state();
/// while let Some(state) = states.changed().await {
///     println!("{state}");
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct DocumentStateWatch(watch::Receiver<DocumentState>);

impl DocumentStateWatch {
    pub(super) fn new(states: watch::Receiver<DocumentState>) -> Self {
        Self(states)
    }

    /// Returns the current state.
    pub fn current(&self) -> DocumentState {
        self.0.borrow().clone()
    }

    /// Waits for a state that was not returned before, and returns it: the newest, if there were several.
    /// The state at the time when the watch was created counts as seen. Returns `None` when the state can
    /// no longer change: the document was refused or stopped, or the client's connection was closed.
    ///
    /// # Cancel safety
    ///
    /// No state is lost when the future is dropped.
    pub async fn changed(&mut self) -> Option<DocumentState> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }

    /// Waits until the document is synced; returns at once if it is.
    ///
    /// # Errors
    ///
    /// Fails if the state can no longer become `Synced`; the error is the reason.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn synced(&mut self) -> Result<()> {
        // Fails when the state can no longer change; `Refused` may be the last one.
        let settled = self.0.wait_for(DocumentState::is_synced).await.is_ok();
        if settled {
            return Ok(());
        }
        Err(self.ended())
    }

    /// Returns the reason for which the state no longer changes.
    pub(super) fn ended(&self) -> Error {
        let stopped = || Error::connection("the document is no longer attached");
        self.0.borrow().reason().cloned().unwrap_or_else(stopped)
    }
}

impl fmt::Debug for DocumentStateWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DocumentStateWatch").field(&*self.0.borrow()).finish()
    }
}
