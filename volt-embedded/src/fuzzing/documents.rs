//! The calls of one document, without a store and without a network.

use std::{collections::BTreeMap, fmt};

use volt_api::{
    Status,
    volt::{SyncDocumentRequest, SyncDocumentResponse},
};

use crate::{
    error::invalid,
    sync::{
        document::{Document, Rejected, decode_state},
        incoming::{Event, Incoming},
        outbox::{Next, Outbox},
        presence::Presence,
    },
};

/// A document, and the calls of `SyncDocument` that use it.
pub struct Documents {
    document: Document,
    presence: Presence,
    calls: BTreeMap<u64, Call>,
    next: u64,
}

#[derive(Default)]
struct Call {
    incoming: Incoming,
    /// Set when the call has started.
    outbox: Option<Outbox>,
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents").finish_non_exhaustive()
    }
}

impl Default for Documents {
    fn default() -> Self {
        Self {
            document: Document::new(),
            presence: Presence::default(),
            calls: BTreeMap::new(),
            next: 0,
        }
    }
}

impl Documents {
    /// Begins a call. Returns its number.
    pub fn begin(&mut self) -> u64 {
        self.next += 1;
        self.calls.insert(self.next, Call::default());
        self.next
    }

    /// Handles a message of a call.
    ///
    /// # Errors
    ///
    /// Returns the status with which the call ends.
    pub fn receive(&mut self, number: u64, request: SyncDocumentRequest) -> Result<(), Status> {
        let Some(call) = self.calls.get_mut(&number) else { return Err(invalid("no such call")) };
        let outcome = match call.incoming.receive(request) {
            Ok(None) => return Ok(()),
            Ok(Some(event)) => self.handle(number, event),
            Err(status) => Err(status),
        };
        if outcome.is_err() {
            self.end(number);
        }
        outcome
    }

    fn handle(&mut self, number: u64, event: Event) -> Result<(), Status> {
        match event {
            Event::Start(start) => {
                let missing = self.document.missing(&decode_state(&start.state_vector)?)?;
                let outbox = Outbox::new(missing, self.document.encoded_state(), false);
                if let Some(call) = self.calls.get_mut(&number) {
                    call.outbox = Some(outbox);
                }
            }
            Event::Done(update) => {
                if !update.is_empty() {
                    self.apply(number, &update)?;
                }
                let present = self.presence.all();
                if let Some(Call { outbox: Some(outbox), .. }) = self.calls.get_mut(&number) {
                    outbox.done();
                    outbox.present(&present);
                }
            }
            Event::Update(update) => self.apply(number, &update)?,
            Event::Presence(update) => {
                let changed = self.presence.apply(number, &update)?;
                self.others(number).for_each(|outbox| outbox.present(&changed));
            }
        }
        Ok(())
    }

    fn apply(&mut self, number: u64, update: &[u8]) -> Result<(), Status> {
        let whole = self.document.whole()?;
        match self.document.apply(update) {
            Ok(None) => Ok(()),
            Ok(Some(change)) => {
                self.others(number)
                    .for_each(|outbox| outbox.change(&change.update, &change.before));
                Ok(())
            }
            Err(Rejected::Refused(status)) => Err(status),
            Err(Rejected::Broken(status)) => {
                // The Volt loads the document again.
                self.document = Document::new();
                match self.document.apply(&whole) {
                    Ok(_) => Err(status),
                    Err(Rejected::Refused(status) | Rejected::Broken(status)) => {
                        panic!("the document cannot be loaded again: {status}")
                    }
                }
            }
        }
    }

    fn others(&mut self, number: u64) -> impl Iterator<Item = &mut Outbox> {
        let others = self.calls.iter_mut().filter(move |(other, _)| **other != number);
        others.filter_map(|(_, call)| call.outbox.as_mut())
    }

    /// Returns the next message to the caller, if there is one.
    pub fn next(&mut self, number: u64) -> Option<SyncDocumentResponse> {
        loop {
            let outbox = self.calls.get_mut(&number)?.outbox.as_mut()?;
            match outbox.next()? {
                Next::Message(message) => return Some(message),
                Next::Diff(state) => {
                    let missing = self.document.missing(&state).ok()?;
                    self.calls.get_mut(&number)?.outbox.as_mut()?.catch_up(missing);
                }
                Next::End(_) | Next::Finished => return None,
            }
        }
    }

    /// Ends a call.
    pub fn end(&mut self, number: u64) {
        self.calls.remove(&number);
        let left = self.presence.leave(number);
        self.others(number).for_each(|outbox| outbox.present(&left));
    }

    /// Returns the whole document as one update.
    ///
    /// # Errors
    ///
    /// Fails if the document cannot be encoded.
    pub fn whole(&self) -> Result<Vec<u8>, Status> {
        // The document is read as paths are.
        self.document.json()?;
        self.document.whole()
    }
}
