//! Sub-documents: each loaded one is attached as well.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use futures_util::future::join_all;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};
use volt_runtime::{Result, transport::BoxFuture};
use yrs::{Doc, Origin, ReadTxn as _, TransactionMut, Uuid};

use super::{shared::lock, state::DocumentStateWatch};

type Children = Arc<Mutex<HashMap<Uuid, Box<dyn Subdocument>>>>;

/// A sub-document that is attached. Dropping it detaches it.
pub(super) trait Subdocument: Send {
    fn watch_state(&self) -> DocumentStateWatch;

    /// Same as [`SyncedDocument::stop`](super::SyncedDocument::stop).
    fn stop(self: Box<Self>) -> BoxFuture<Result<()>>;
}

/// Attaches a sub-document.
pub(super) type Attach = Box<dyn Fn(&Doc) -> BoxFuture<Result<Box<dyn Subdocument>>> + Send>;

/// The attached sub-documents of a document. Dropping it detaches them.
pub(super) struct Subdocuments {
    children: Children,
    changes: mpsc::UnboundedSender<Change>,
    task: JoinHandle<()>,
}

/// A change of the sub-documents.
enum Change {
    Loaded(Doc),
    Removed(Uuid),
    /// The parent is stopped.
    Stopped,
}

impl Subdocuments {
    /// Attaches the sub-documents that are loaded, now and later.
    pub(super) fn start(
        attach: Attach,
        origin: Origin,
        transaction: &mut TransactionMut<'_>,
    ) -> Self {
        let (changes, arriving) = mpsc::unbounded_channel();
        for doc in transaction.subdocs().filter(|doc| doc.should_load()) {
            // The receiver exists, so this cannot fail.
            let _ = changes.send(Change::Loaded(doc.clone()));
        }
        let observed = changes.clone();
        transaction.observe_subdocs(origin, move |_, event| {
            // Sending fails after the parent was detached.
            for doc in event.removed() {
                let _ = observed.send(Change::Removed(doc.guid()));
            }
            for doc in event.loaded() {
                let _ = observed.send(Change::Loaded(doc.clone()));
            }
        });
        let children = Children::default();
        let task = tokio::spawn(follow(attach, arriving, Arc::clone(&children)));
        Self { children, changes, task }
    }

    pub(super) fn states(&self) -> Vec<(Uuid, DocumentStateWatch)> {
        let children = lock(&self.children);
        children.iter().map(|(guid, child)| (guid.clone(), child.watch_state())).collect()
    }

    /// Stops all sub-documents. Returns the first error.
    pub(super) async fn stop(mut self) -> Result<()> {
        // Sub-documents that were loaded before are attached first, because their edits are sent, too.
        let _ = self.changes.send(Change::Stopped);
        let _ = (&mut self.task).await;
        let children: Vec<_> = lock(&self.children).drain().map(|(_, child)| child).collect();
        // Stop them concurrently, so that many take no longer than one.
        let outcomes = join_all(children.into_iter().map(Subdocument::stop)).await;
        outcomes.into_iter().collect()
    }
}

impl Drop for Subdocuments {
    fn drop(&mut self) {
        self.task.abort();
        lock(&self.children).clear();
    }
}

async fn follow(attach: Attach, mut changes: mpsc::UnboundedReceiver<Change>, children: Children) {
    let mut removed = JoinSet::new();
    while let Some(change) = changes.recv().await {
        match change {
            Change::Loaded(doc) => {
                if lock(&children).contains_key(&doc.guid()) {
                    continue;
                }
                // This is a separate statement because the function cannot be shared between
                // threads.
                let attaching = attach(&doc);
                match attaching.await {
                    Ok(child) => drop(lock(&children).insert(doc.guid(), child)),
                    Err(error) => tracing::warn!("a sub-document is not attached: {error:#}"),
                }
            }
            Change::Removed(guid) => {
                let child = lock(&children).remove(&guid);
                if let Some(child) = child {
                    removed.spawn(finish(child));
                }
                while removed.try_join_next().is_some() {}
            }
            Change::Stopped => break,
        }
    }
    while removed.join_next().await.is_some() {}
}

/// Stops a sub-document that was removed, whose last edits may not have been sent.
async fn finish(child: Box<dyn Subdocument>) {
    if let Err(error) = child.stop().await {
        tracing::warn!("a removed sub-document is not stopped: {error:#}");
    }
}

impl fmt::Debug for Subdocuments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(lock(&self.children).keys()).finish()
    }
}
