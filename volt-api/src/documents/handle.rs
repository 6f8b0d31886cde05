//! The handle of an attached document.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinHandle};
use volt_runtime::{Error, Result, transport::BoxFuture};
use yrs::{Doc, Uuid};

use super::{
    shared::{Shared, Stop},
    state::{DocumentState, DocumentStateWatch},
    subdocuments::{Subdocument, Subdocuments},
};

/// A document that is kept equal to a Volt's, in the background. Created by
/// [`SyncApiClient::attach`](crate::volt::SyncApiClient::attach).
///
/// Dropping it ends the synchronization at once: edits that the Volt has not accepted stay in the document.
/// [`stop`](Self::stop) sends them first. Neither changes the document.
#[derive(Debug)]
pub struct SyncedDocument {
    pub(super) doc: Doc,
    pub(super) shared: Arc<Shared>,
    pub(super) states: watch::Receiver<DocumentState>,
    pub(super) task: Option<JoinHandle<Result<()>>>,
    pub(super) subdocuments: Option<Subdocuments>,
}

impl SyncedDocument {
    /// Returns the document.
    pub fn doc(&self) -> &Doc {
        &self.doc
    }

    /// Returns the current state.
    pub fn state(&self) -> DocumentState {
        self.states.borrow().clone()
    }

    /// Watches the state.
    pub fn watch_state(&self) -> DocumentStateWatch {
        DocumentStateWatch::new(self.states.clone())
    }

    /// Waits until the document is synced; returns at once if it is. While the Volt cannot be reached, it
    /// waits: use a timeout to limit that.
    ///
    /// # Errors
    ///
    /// Fails if the Volt refused the document, or the client's connection is closed; the error is
    /// the reason.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn synced(&self) -> Result<()> {
        self.watch_state().synced().await
    }

    /// Waits until the Volt has accepted all earlier local edits. The protocol does not acknowledge single
    /// updates, so this makes a further short call, unless nothing was edited since the last one. While the
    /// Volt cannot be reached, it waits: use a timeout to limit that.
    ///
    /// Hold no transaction of the document meanwhile: the task could not read it.
    ///
    /// ```no_run
    /// # async fn example(document: volt_api::documents::SyncedDocument) -> volt_api::Result<()> {
    /// use volt_api::documents::yrs::{Text as _, Transact as _};
    ///
    /// let text = document.doc().get_or_insert_text("notes");
    /// text.push(&mut document.doc().transact_mut(), "buy milk");
    /// document.flush().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Same as [`synced`](Self::synced); also fails if the document is read-only and was edited.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn flush(&self) -> Result<()> {
        let edits = self.shared.with(|exchange| {
            exchange.hurry();
            exchange.edits()
        });
        self.shared.want(edits);
        let mut acknowledged = self.shared.watch_acknowledged();
        let mut states = self.states.clone();
        loop {
            let known = *acknowledged.borrow_and_update();
            if known >= Some(edits) {
                return Ok(());
            }
            if known.is_some() && self.is_read_only() {
                return Err(Error::configuration(
                    "the document is read-only: its edits here are not sent to the Volt",
                ));
            }
            let ended = states.wait_for(|state| matches!(state, DocumentState::Refused { .. }));
            tokio::select! {
                changed = acknowledged.changed() => if changed.is_err() { break },
                _ = ended => break,
            }
        }
        Err(DocumentStateWatch::new(self.states.clone()).ended())
    }

    /// Returns whether local edits are not sent, because of the options or because the Volt permits only
    /// reading.
    pub fn is_read_only(&self) -> bool {
        self.shared.with(|exchange| exchange.is_read_only())
    }

    /// Returns whether the document was edited here since the Volt last acknowledged it. Sent updates are
    /// not acknowledged by themselves: see [`flush`](Self::flush).
    pub fn has_unconfirmed_edits(&self) -> bool {
        self.shared.with(|exchange| exchange.acknowledged().unwrap_or(0) < exchange.edits())
    }

    /// Returns the sub-documents that are synchronized with this one, by their GUIDs. Empty unless
    /// [`subdocuments`](super::AttachDocument::subdocuments) is set.
    pub fn subdocuments(&self) -> Vec<(Uuid, DocumentStateWatch)> {
        self.subdocuments.as_ref().map(Subdocuments::states).unwrap_or_default()
    }

    /// Sends the edits that wait and the removal of the client's awareness state, and waits until the Volt
    /// has accepted them. Then the synchronization ends. The same is done for sub-documents first.
    ///
    /// # Errors
    ///
    /// Fails if the Volt may not have accepted all edits: it cannot be reached, has refused the document,
    /// or did not read them in time. It has 5 seconds, one second more for each 64 KiB that wait, and 30
    /// more if the document is not synced yet. The edits are still in the document, and are sent when it
    /// is attached again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has the same effect as dropping the handle.
    pub async fn stop(mut self) -> Result<()> {
        let children = match self.subdocuments.take() {
            Some(subdocuments) => subdocuments.stop().await,
            None => Ok(()),
        };
        self.shared.stop(Stop::Drained);
        let Some(task) = &mut self.task else { return children };
        let outcome = task.await;
        self.task = None;
        outcome.unwrap_or_else(|error| {
            Err(Error::connection("the synchronization was lost").with_source(error))
        })?;
        children
    }
}

impl Subdocument for SyncedDocument {
    fn watch_state(&self) -> DocumentStateWatch {
        self.watch_state()
    }

    fn stop(self: Box<Self>) -> BoxFuture<Result<()>> {
        Box::pin((*self).stop())
    }
}

impl Drop for SyncedDocument {
    fn drop(&mut self) {
        self.shared.stop(Stop::Now);
    }
}
