//! The place of a call in a document that it uses.

use std::sync::Arc;

use volt_api::Status;
use yrs::StateVector;

use super::{open::OpenDocument, peer::Peer};
use crate::{
    error::Result,
    state::budget::Account,
    sync::outbox::{Next, Outbox},
};

/// The place of a call in a document. Dropping it removes the call.
pub(crate) struct Seat {
    document: Arc<OpenDocument>,
    peer: Arc<Peer>,
}

impl Seat {
    /// Adds a call to a document, of which its copy has this state.
    pub(super) fn join(
        document: Arc<OpenDocument>,
        state: &StateVector,
        read_only: bool,
        account: Account,
    ) -> Result<Self> {
        let peer = document.join(state, read_only, account)?;
        Ok(Self { document, peer })
    }

    pub(crate) fn document(&self) -> &Arc<OpenDocument> {
        &self.document
    }

    /// Returns the number of the call.
    pub(crate) fn call(&self) -> u64 {
        self.peer.call()
    }

    /// Waits for the next step of the call.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub(crate) async fn next(&self) -> Next {
        self.peer.next().await
    }

    /// Sets the size of incomplete updates from the caller, in bytes.
    pub(crate) fn receiving(&self, bytes: usize) -> Result<(), Status> {
        self.peer.receiving(bytes)
    }

    /// Acknowledges the caller's updates. Others' changes follow.
    pub(crate) fn acknowledge(&self) {
        self.document.acknowledge(&self.peer);
    }

    /// Passes on presence states.
    pub(crate) fn present(&self, update: &[u8]) -> Result<(), Status> {
        self.document.present(self.call(), update)
    }

    /// Sends the caller an update with everything that it lacks.
    pub(crate) fn catch_up(&self, update: Vec<u8>) {
        self.peer.outbox(|outbox| outbox.catch_up(update));
    }

    /// Removes the call. Its pending messages are still sent.
    pub(crate) fn finish(&self) {
        self.document.leave(self.call());
        self.peer.outbox(Outbox::finish);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.document.leave(self.call());
    }
}
