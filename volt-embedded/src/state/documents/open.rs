//! A document that calls use.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use serde_json::{Map as Object, Value};
use tokio::sync::watch;
use volt_api::Status;
use yrs::StateVector;

use super::{
    peer::{Peer, lock},
    version::Version,
};
use crate::{
    archive::{Archive, descriptions::Description, log::Logged},
    error::{Fault, Result, internal},
    state::budget::Account,
    sync::{
        document::{Change, Document, Rejected},
        outbox::Outbox,
        path::Step,
        presence::{Presence, State as Present},
        schema::Schemas,
        value,
    },
};

/// The size of a log, in bytes, beyond which it is merged regardless of the number of its updates.
const MAX_LOG: usize = 8 << 20;
/// The number of updates that the last call leaves unmerged.
const FEW: usize = 16;

/// The settings of a database for its documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Set if roots without a schema refuse writes.
    pub(crate) strict: bool,
    /// The number of updates after which they are merged, or `None` to keep all.
    pub(crate) merge_after: Option<usize>,
}

/// The author of a change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Author<'a> {
    pub(crate) identity: &'a str,
    /// The number of the call, which is not sent its own changes.
    pub(crate) call: Option<u64>,
}

/// A document that calls use. Dropping the last reference unloads it.
pub(crate) struct OpenDocument {
    archive: Arc<Archive>,
    name: String,
    /// Held while the document is loaded, changed or encoded.
    content: Mutex<Content>,
    /// Held only briefly. Locked after `content` if both are.
    room: Mutex<Room>,
    calls: AtomicU64,
    /// Counts the changes.
    changes: watch::Sender<u64>,
    ended: OnceLock<Status>,
}

struct Content {
    settings: Settings,
    /// `None` until it is loaded, and after a change has failed in part.
    document: Option<Document>,
    logged: Logged,
    account: Account,
    /// The schemas of the roots, if changes must fit them.
    schemas: Option<Schemas>,
    /// The current version, if it was needed since the last change.
    version: Option<Arc<Version>>,
}

/// The calls that share a document.
#[derive(Default)]
struct Room {
    peers: Vec<Arc<Peer>>,
    presence: Presence,
}

impl OpenDocument {
    pub(super) fn new(
        archive: Arc<Archive>,
        name: &str,
        settings: Settings,
        account: Account,
    ) -> Self {
        Self {
            archive,
            name: name.to_owned(),
            content: Mutex::new(Content {
                settings,
                document: None,
                logged: Logged::default(),
                account,
                schemas: None,
                version: None,
            }),
            room: Mutex::default(),
            calls: AtomicU64::new(0),
            changes: watch::Sender::new(0),
            ended: OnceLock::new(),
        }
    }

    pub(crate) fn archive(&self) -> &Archive {
        &self.archive
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Reports each change of the document.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Applies changed settings of the database.
    pub(super) fn configure(&self, settings: Settings) {
        let mut content = lock(&self.content);
        if content.settings.strict != settings.strict {
            // The schemas depend on it: load the document again.
            content.document = None;
        }
        content.settings = settings;
    }

    /// Adds a call, whose copy of the document has this state.
    pub(super) fn join(
        &self,
        state: &StateVector,
        read_only: bool,
        account: Account,
    ) -> Result<Arc<Peer>> {
        self.with(|document| {
            let outbox = Outbox::new(document.missing(state)?, document.encoded_state(), read_only);
            let call = self.calls.fetch_add(1, Ordering::Relaxed);
            let peer = Arc::new(Peer::new(call, outbox, account)?);
            // Added while the document is locked, so that the call receives each change exactly
            // once.
            let mut room = lock(&self.room);
            room.peers.push(Arc::clone(&peer));
            // The document may have been deleted since it was locked.
            if let Some(status) = self.ended.get() {
                peer.outbox(|outbox| outbox.end(status.clone()));
            }
            drop(room);
            Ok(peer)
        })
    }

    /// Acknowledges a call's updates, and sends it the presence states.
    pub(super) fn acknowledge(&self, peer: &Peer) {
        let room = lock(&self.room);
        let present = room.presence.all();
        peer.outbox(|outbox| {
            outbox.done();
            outbox.present(&present);
        });
    }

    /// Removes a call, and the presence states that came from it.
    pub(super) fn leave(&self, call: u64) {
        let mut room = lock(&self.room);
        room.peers.retain(|peer| peer.call() != call);
        let left = room.presence.leave(call);
        room.tell(call, &left);
    }

    /// Passes on presence states.
    pub(super) fn present(&self, call: u64, update: &[u8]) -> Result<(), Status> {
        let mut room = lock(&self.room);
        let changed = room.presence.apply(call, update)?;
        room.tell(call, &changed);
        Ok(())
    }

    /// Applies an update, keeps it, and passes it on.
    pub(crate) fn apply(&self, author: Author<'_>, update: &[u8]) -> Result<()> {
        self.write(author, |document| document.apply(update)).map(drop)
    }

    /// Makes a change, keeps it, and passes it on. Returns whether there was something to change. If it
    /// fails, nothing has changed.
    pub(crate) fn write(
        &self,
        author: Author<'_>,
        work: impl FnOnce(&mut Document) -> Result<Option<Change>, Rejected>,
    ) -> Result<bool> {
        let mut content = self.content()?;
        let old = content.schemas.is_some().then(|| content.version()).transpose()?;
        let Content { document: Some(document), account, schemas, .. } = &mut *content else {
            return Err(unloaded());
        };
        let mut new = None;
        let outcome = match work(document) {
            Ok(None) => return Ok(false),
            Ok(Some(change)) => {
                let keep = || {
                    account.set(document.cost())?;
                    if let (Some(schemas), Some(old)) = (schemas, &old) {
                        let json = document.json()?;
                        schemas.judge(&old.json, &json)?;
                        new = Some(Version::new(json));
                    }
                    self.archive.append(&self.name, author.identity, &change.update)
                };
                keep().map(|()| change)
            }
            Err(Rejected::Refused(status)) => return Err(status.into()),
            Err(Rejected::Broken(status)) => Err(status.into()),
        };
        content.version = new;
        let change = match outcome {
            Ok(change) => change,
            Err(fault) => {
                // The document has changed, but the archive has not: load it again.
                content.document = None;
                return Err(fault);
            }
        };
        content.logged.updates += 1;
        content.logged.bytes += change.update.len();
        lock(&self.room).pass_on(author.call, &change);
        self.changes.send_modify(|count| *count += 1);
        let batch = content.settings.merge_after.unwrap_or(usize::MAX);
        self.merge(&mut content, batch);
        Ok(true)
    }

    /// Describes the document. Later changes must fit the schemas. `initial` writes the content of an empty
    /// document.
    pub(crate) fn describe(
        &self,
        author: Author<'_>,
        description: &Description,
        initial: Option<Value>,
    ) -> Result<()> {
        let schemas = schemas(description)?;
        let is_empty = self.with(|document| Ok(document.json()?))? == Value::Object(Object::new());
        let initial = initial.filter(|_| is_empty);
        if let Some(initial) = &initial {
            schemas.judge(&Value::Null, initial)?;
        }
        let mut content = self.content()?;
        self.archive.describe(&self.name, description)?;
        content.schemas = Some(schemas);
        drop(content);
        self.changes.send_modify(|count| *count += 1);
        let Some(Value::Object(roots)) = initial else { return Ok(()) };
        for (root, value) in roots {
            self.write_at(author, &[Step::Name(root)], &value)?;
        }
        Ok(())
    }

    /// Removes the description of the document.
    pub(crate) fn remove_description(&self) -> Result<()> {
        let mut content = self.content()?;
        self.archive.remove_description(&self.name)?;
        content.schemas = content.settings.strict.then(Schemas::default);
        drop(content);
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Writes a value at a path.
    pub(crate) fn write_at(&self, author: Author<'_>, path: &[Step], value: &Value) -> Result<()> {
        let kind = match path.first() {
            Some(Step::Name(root)) => {
                self.content()?.schemas.as_ref().and_then(|schemas| schemas.kind(root))
            }
            _ => None,
        };
        let write =
            |document: &mut Document| document.change(|txn| value::write(txn, path, value, kind));
        self.write(author, write).map(drop)
    }

    /// Returns the current version of the document.
    pub(crate) fn version(&self) -> Result<Arc<Version>> {
        self.content()?.version()
    }

    /// Reads the document.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Document) -> Result<T>) -> Result<T> {
        work(self.content()?.document.as_ref().ok_or_else(unloaded)?)
    }

    /// Merges the updates of a document that no other call uses.
    pub(crate) fn tidy(&self) {
        if lock(&self.room).peers.is_empty()
            && let Ok(mut content) = self.content()
        {
            self.merge(&mut content, FEW);
        }
    }

    /// Merges the updates in the archive if there are more than `many`, or if they are large.
    fn merge(&self, content: &mut Content, many: usize) {
        let Content { document: Some(document), logged, account, settings, .. } = content else {
            return;
        };
        let large = logged.updates > 1 && logged.bytes > MAX_LOG.max(logged.merged * 2);
        if settings.merge_after.is_none() || (logged.updates <= many && !large) {
            return;
        }
        let merged = document.merged().map_err(Fault::from).and_then(|whole| {
            self.archive.compact(&self.name, &whole)?;
            Ok(whole.len())
        });
        match merged {
            Ok(bytes) => {
                *logged = Logged { updates: 1, bytes, merged: bytes };
                // The document needs less memory than before.
                let _ = account.set(document.cost());
            }
            Err(fault) => {
                tracing::warn!(
                    ?fault,
                    "merging a document's updates failed; it will be retried later"
                );
                *logged = Logged { updates: 0, bytes: 0, merged: logged.bytes };
            }
        }
    }

    /// Locks the content, and loads it if necessary.
    fn content(&self) -> Result<MutexGuard<'_, Content>> {
        let mut content = lock(&self.content);
        if let Some(status) = self.ended.get() {
            return Err(status.clone().into());
        }
        if content.document.is_none() {
            let mut document = Document::new();
            let account = &mut content.account;
            let logged = self.archive.replay(&self.name, |update| match document.apply(update) {
                // Count while it grows, so that many documents that are loaded concurrently are
                // counted too.
                Ok(_) => account.set(document.cost()).map_err(Fault::from),
                Err(Rejected::Refused(status) | Rejected::Broken(status)) => {
                    tracing::error!(document = self.name, %status, "a kept update is damaged");
                    Err(internal("the document is damaged; the operator must restore it").into())
                }
            });
            if logged.is_err() {
                // Returning memory does not fail.
                let _ = content.account.set(0);
            }
            let logged = logged?;
            content.account.set(document.cost())?;
            let description = self.archive.description(&self.name)?;
            content.schemas = match description.filter(|description| !description.deleted) {
                Some(description) => Some(schemas(&description)?),
                None => content.settings.strict.then(Schemas::default),
            };
            content.logged = logged;
            content.version = None;
            content.document = Some(document);
        }
        Ok(content)
    }

    /// Ends all calls.
    pub(super) fn end(&self, status: &Status) {
        let _ = self.ended.set(status.clone());
        for peer in &lock(&self.room).peers {
            peer.outbox(|outbox| outbox.end(status.clone()));
        }
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Content {
    fn version(&mut self) -> Result<Arc<Version>> {
        if let Some(version) = &self.version {
            return Ok(Arc::clone(version));
        }
        let version = Version::new(self.document.as_ref().ok_or_else(unloaded)?.json()?);
        Ok(Arc::clone(self.version.insert(version)))
    }
}

impl Room {
    /// Passes a change on to all calls except its author.
    fn pass_on(&self, from: Option<u64>, change: &Change) {
        for peer in self.peers.iter().filter(|peer| Some(peer.call()) != from) {
            peer.outbox(|outbox| outbox.change(&change.update, &change.before));
        }
    }

    fn tell(&self, from: u64, states: &[(u64, Present)]) {
        if states.is_empty() {
            return;
        }
        for peer in self.peers.iter().filter(|peer| peer.call() != from) {
            peer.outbox(|outbox| outbox.present(states));
        }
    }
}

/// Returns the schemas of a description.
fn schemas(description: &Description) -> Result<Schemas, Status> {
    let mut schemas = Schemas::default();
    for root in &description.roots {
        schemas.add(&root.name, &root.r#type, &root.json_schema)?;
    }
    Ok(schemas)
}

/// The document is loaded whenever it is locked.
fn unloaded() -> Fault {
    internal("the document is not loaded").into()
}
