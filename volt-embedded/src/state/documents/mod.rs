//! The documents that callers have open.
//!
//! A document is in memory while a call uses it. The next call loads it again. All calls share it:
//! each change is kept in the archive, then passed on to the others.

mod open;
mod peer;
mod seat;
#[cfg(test)]
mod simulation;
mod version;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use volt_api::Status;
use yrs::StateVector;

use self::peer::lock;
pub(crate) use self::{
    open::{Author, OpenDocument, Settings},
    seat::Seat,
    version::Watched,
};
use crate::{
    archive::Archive,
    error::{Result, exhausted, not_found},
    state::budget::{Account, Budget},
};

/// The maximum number of sync databases in use. Each database keeps files open.
const MAX_ARCHIVES: usize = 256;
/// The maximum number of those that one identity was the first to use.
const MAX_ARCHIVES_OF_ONE: usize = 64;

/// The documents in use, by their database and their name.
pub(crate) struct Documents {
    /// Each database, with the identity that was the first to use it.
    archives: Mutex<HashMap<String, (String, Weak<Archive>)>>,
    open: Mutex<HashMap<(String, String), Weak<OpenDocument>>>,
    budget: Arc<Budget>,
    calls: Arc<Budget>,
    watches: Arc<Budget>,
}

impl Default for Documents {
    fn default() -> Self {
        Self {
            archives: Mutex::default(),
            open: Mutex::default(),
            budget: Budget::of_documents(),
            calls: Budget::of_calls(),
            watches: Budget::of_watches(),
        }
    }
}

impl Documents {
    /// Returns the archive of a database, which `open` opens if it is not in use.
    pub(crate) fn archive(
        &self,
        database: &str,
        identity: &str,
        open: impl FnOnce() -> Result<Archive>,
    ) -> Result<Arc<Archive>> {
        let mut archives = lock(&self.archives);
        if let Some(archive) = archives.get(database).and_then(|(_, one)| one.upgrade()) {
            return Ok(archive);
        }
        archives.retain(|_, (_, archive)| archive.strong_count() > 0);
        let theirs = archives.values().filter(|(first, _)| first == identity).count();
        if archives.len() >= MAX_ARCHIVES || theirs >= MAX_ARCHIVES_OF_ONE {
            return Err(exhausted("too many sync databases are in use: close others first").into());
        }
        let archive = Arc::new(open()?);
        archives.insert(database.to_owned(), (identity.to_owned(), Arc::downgrade(&archive)));
        Ok(archive)
    }

    /// Returns a document. Its memory counts for the identity that opens it first.
    pub(crate) fn document(
        &self,
        archive: &Arc<Archive>,
        database: &str,
        name: &str,
        settings: Settings,
        identity: &str,
    ) -> Arc<OpenDocument> {
        let key = (database.to_owned(), name.to_owned());
        let mut open = lock(&self.open);
        if let Some(document) = open.get(&key).and_then(Weak::upgrade) {
            drop(open);
            document.configure(settings);
            return document;
        }
        open.retain(|_, document| document.strong_count() > 0);
        let account = self.budget.account(identity);
        let document = OpenDocument::new(Arc::clone(archive), name, settings, account);
        let document = Arc::new(document);
        open.insert(key, Arc::downgrade(&document));
        document
    }

    /// Adds a call of an identity to a document, of which its copy has this state.
    pub(crate) fn join(
        &self,
        document: Arc<OpenDocument>,
        identity: &str,
        state: &StateVector,
        read_only: bool,
    ) -> Result<Seat> {
        Seat::join(document, state, read_only, self.calls.account(identity))
    }

    /// Returns the current version of a document for a call of this identity that watches it.
    pub(crate) fn watch(&self, document: &OpenDocument, identity: &str) -> Result<Watched> {
        Ok(document.version()?.watch(&self.watches, identity)?)
    }

    /// Opens an account for the changes that a call of this identity has not read.
    pub(crate) fn unread(&self, identity: &str) -> Account {
        self.watches.account(identity)
    }

    /// Applies changed settings of a database.
    pub(crate) fn configure(&self, database: &str, settings: Settings) {
        let documents: Vec<_> = {
            let open = lock(&self.open);
            let theirs = open.iter().filter(|((of, _), _)| of == database);
            theirs.filter_map(|(_, document)| document.upgrade()).collect()
        };
        for document in documents {
            document.configure(settings);
        }
    }

    /// Ends the use of a deleted database.
    pub(crate) fn delete(&self, database: &str) {
        if let Some(archive) =
            lock(&self.archives).remove(database).and_then(|(_, one)| one.upgrade())
        {
            archive.close();
        }
        let mut theirs = Vec::new();
        lock(&self.open).retain(|(of, _), document| {
            if of == database {
                theirs.extend(document.upgrade());
            }
            of != database
        });
        for document in theirs {
            document.end(&deleted(database));
        }
    }

    /// Returns the number of documents in memory.
    #[cfg(test)]
    pub(crate) fn in_memory(&self) -> usize {
        lock(&self.open).values().filter(|document| document.strong_count() > 0).count()
    }
}

fn deleted(database: &str) -> Status {
    not_found("database", database)
}
