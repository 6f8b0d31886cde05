//! Attaches a document.

use std::{
    fmt,
    future::IntoFuture,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::watch;
use volt_runtime::{Error, Result, Target, transport::BoxFuture};
use yrs::{AsyncTransact as _, Doc, sync::Awareness};

use super::{
    call::Opening,
    exchange::{CHUNK, Exchange, Settings},
    handle::SyncedDocument,
    presence::Presence,
    replica::Replica,
    run::{Progress, Task},
    shared::{Shared, now},
    state::DocumentState,
    subdocuments::{Attach, Subdocument, Subdocuments},
};
use crate::volt::SyncApiClient;

/// The maximum nesting of sub-documents.
const MAX_DEPTH: usize = 32;
/// The default time for which updates are collected.
const BATCH: Duration = Duration::from_millis(50);
/// The largest update that is accepted by default, in bytes.
const MAX_UPDATE: usize = 256 << 20;

/// A document that is not attached yet. Set its options, then await it for the [`SyncedDocument`].
/// Created by [`SyncApiClient::attach`].
#[derive(Clone)]
#[must_use = "nothing happens until it is awaited"]
pub struct AttachDocument {
    opening: Opening,
    doc: Doc,
    settings: Settings,
    awareness: Option<Arc<Mutex<Awareness>>>,
    subdocuments: bool,
    /// The ids of the documents that contain this one.
    above: Vec<String>,
}

impl SyncApiClient {
    /// Keeps a document equal to the one with this id in a sync database or synapse of the Volt, in the
    /// background.
    ///
    /// The SDK never clears or destroys the document. It can be edited at any time, even while the Volt
    /// cannot be reached: both sides later exchange the missing updates. By convention the id is the
    /// document's GUID, which other clients use.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// use volt_api::documents::yrs::{Doc, Text as _, Transact as _};
    ///
    /// let doc = Doc::new();
    /// let document = client.sync().attach(&doc, "@notes", "shopping").await?;
    /// document.synced().await?;
    /// let text = doc.get_or_insert_text("text");
    /// text.push(&mut doc.transact_mut(), "milk, ");
    /// document.stop().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Positions in texts count bytes of UTF-8 by default, those of clients in JavaScript count UTF-16:
    /// create the document with [`doc_with_guid`](super::doc_with_guid), or with `OffsetKind::Utf16`, to
    /// exchange positions with them.
    pub fn attach(
        &self,
        doc: &Doc,
        database: impl Into<String>,
        document: impl Into<String>,
    ) -> AttachDocument {
        AttachDocument {
            opening: Opening { client: self.clone(), target: None, own_connection: None },
            doc: doc.clone(),
            settings: Settings {
                database: database.into(),
                document: document.into(),
                read_only: false,
                read_only_fallback: false,
                batch: BATCH,
                max_update: MAX_UPDATE,
                chunk: CHUNK,
            },
            awareness: None,
            subdocuments: false,
            above: Vec::new(),
        }
    }
}

impl AttachDocument {
    /// Sends no edits. Local edits stay in the document.
    pub fn read_only(mut self) -> Self {
        self.settings.read_only = true;
        self
    }

    /// Makes the document read-only if the Volt does not permit writing, also when it revokes the right
    /// later. By default it then refuses the document.
    pub fn read_only_fallback(mut self) -> Self {
        self.settings.read_only_fallback = true;
        self
    }

    /// Also exchanges awareness states, such as the names and cursors of the clients present. The client's
    /// own state is sent when it changes and every 15 seconds. States of others are removed after 30
    /// seconds of silence, and while the document is disconnected.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// use std::sync::{Arc, Mutex};
    /// use volt_api::documents::yrs::{Doc, sync::Awareness};
    ///
    /// let doc = Doc::new();
    /// let awareness = Arc::new(Mutex::new(Awareness::new(doc.clone())));
    /// let document = client
    ///     .sync()
    ///     .attach(&doc, "@notes", "shopping")
    ///     .awareness(Arc::clone(&awareness))
    ///     .await?;
    /// awareness.lock().unwrap().set_local_state_raw(r#"{"name":"Ada"}"#);
    /// # Ok(())
    /// # }
    /// ```
    pub fn awareness(mut self, awareness: Arc<Mutex<Awareness>>) -> Self {
        self.awareness = Some(awareness);
        self
    }

    /// Attaches each sub-document that is loaded too, with the same options except the awareness. Its id is
    /// its GUID. A document that contains itself is attached once. Default: false.
    pub fn subdocuments(mut self, attach: bool) -> Self {
        self.subdocuments = attach;
        self
    }

    /// Sets how long edits are collected before they are sent. Zero sends each edit immediately.
    /// Default: 50 milliseconds.
    pub fn batch(mut self, delay: Duration) -> Self {
        self.settings.batch = delay;
        self
    }

    /// Sets the largest update that is accepted from the Volt, in bytes. Default: 256 MiB. Updates
    /// that are larger end the synchronization.
    pub fn max_update_size(mut self, bytes: usize) -> Self {
        self.settings.max_update = bytes;
        self
    }

    /// Calls a service other than the Volt's own.
    pub fn service(mut self, target: impl Into<Target>) -> Self {
        self.opening.target = Some(target.into());
        self
    }

    /// Sets whether the calls run on their own connection; see
    /// [`CallOptions::own_connection`](crate::CallOptions::own_connection).
    pub fn own_connection(mut self, own: bool) -> Self {
        self.opening.own_connection = Some(own);
        self
    }

    /// Attaches a sub-document with the same options.
    fn subdocument(&self, doc: &Doc) -> BoxFuture<Result<Box<dyn Subdocument>>> {
        let mut child = self.clone();
        child.doc = doc.clone();
        child.settings.document = doc.guid().to_string();
        child.awareness = None;
        child.above.push(self.settings.document.clone());
        // Otherwise a document that contains itself would be attached indefinitely.
        let circular = child.above.contains(&child.settings.document);
        let too_deep = child.above.len() > MAX_DEPTH;
        Box::pin(async move {
            if circular || too_deep {
                let fault = if circular { "contains itself" } else { "is nested too deeply" };
                let message = format!("the document `{}` {fault}", child.settings.document);
                return Err(Error::configuration(message));
            }
            let child: Box<dyn Subdocument> = Box::new(child.start().await?);
            Ok(child)
        })
    }

    async fn start(self) -> Result<SyncedDocument> {
        for (name, id) in
            [("database", &self.settings.database), ("document", &self.settings.document)]
        {
            if id.is_empty() {
                return Err(Error::configuration(format!("the id of the {name} is empty")));
            }
        }
        let shared = Arc::new(Shared::new(Exchange::new(self.settings.clone())));
        let weak = Arc::downgrade(&shared);
        let changed = move |update| {
            if let Some(shared) = weak.upgrade() {
                shared.change(|exchange| exchange.changed(now(), update));
            }
        };
        let (replica, subdocuments) = {
            let mut transaction = self.doc.transact_mut().await;
            let replica = Replica::observe(&self.doc, &mut transaction, changed);
            let subdocuments = self.subdocuments.then(|| {
                let parent = self.clone();
                let attach: Attach = Box::new(move |doc| parent.subdocument(doc));
                Subdocuments::start(attach, replica.origin(), &mut transaction)
            });
            (Arc::new(replica), subdocuments)
        };
        let presence =
            self.awareness.map(|awareness| Presence::observe(awareness, replica.origin(), &shared));
        let (states_sender, states) = watch::channel(DocumentState::Connecting);
        let task = Task {
            opening: self.opening,
            settings: self.settings,
            shared: Arc::clone(&shared),
            replica,
            presence,
            states: states_sender,
            progress: Progress::default(),
        };
        let task = Some(tokio::spawn(task.run()));
        Ok(SyncedDocument { doc: self.doc, shared, states, task, subdocuments })
    }
}

impl IntoFuture for AttachDocument {
    type Output = Result<SyncedDocument>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// Waits only for an open transaction of the document, not for the Volt. A refusal is reported by
    /// [`SyncedDocument::synced`].
    ///
    /// # Errors
    ///
    /// Fails if an id is empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing attached.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

impl fmt::Debug for AttachDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachDocument")
            .field("client", &self.opening.client)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
