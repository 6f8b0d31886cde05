//! `Tx`: a change to the store.

use std::{cell::RefCell, ops::Deref};

use rusqlite::{Connection, Transaction};

use super::events::Event;
use crate::error::Result;

/// An atomic change.
pub(crate) struct Tx<'a> {
    transaction: Transaction<'a>,
    events: RefCell<Vec<Event>>,
    afterwards: RefCell<Vec<Box<dyn FnOnce()>>>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(transaction: Transaction<'a>) -> Self {
        Self { transaction, events: RefCell::default(), afterwards: RefCell::default() }
    }

    /// Commits the change. Then runs `committed` and the work passed to
    /// [`afterwards`](Self::afterwards), and returns the events.
    pub(super) fn commit(self, committed: impl FnOnce()) -> Result<Vec<Event>> {
        let Self { transaction, events, afterwards } = self;
        transaction.commit()?;
        committed();
        afterwards.into_inner().into_iter().for_each(|work| work());
        Ok(events.into_inner())
    }

    /// Runs `work` after the change is committed and before the next change. If the change fails,
    /// `work` does not run.
    pub(crate) fn afterwards(&self, work: impl FnOnce() + 'static) {
        self.afterwards.borrow_mut().push(Box::new(work));
    }

    /// Sends an event to subscribers after the change is committed.
    pub(crate) fn emit(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.transaction
    }
}
