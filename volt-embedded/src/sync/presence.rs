//! The presence of clients in a document: the awareness states of y-protocols, on the Volt's side.
//!
//! An update is a count, followed by the client id, the clock and the JSON text of each state. A state that
//! is `null` means that the client has left.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use serde::de::IgnoredAny;
use volt_api::{
    Status,
    documents::updates::{Bytes, Malformed},
};

use crate::error::{exhausted, invalid, unavailable};

/// The maximum number of clients present in a document.
pub(super) const MAX_CLIENTS: usize = 4096;
/// The maximum number of clients whose state one call may introduce.
const MAX_OF_ONE: usize = 256;
/// The total size of the states of a document, in bytes.
const MAX_BYTES: usize = 4 << 20;
/// The maximum number of clients that have left whose clocks are kept.
pub(super) const MAX_LEFT: usize = 4096;

/// The state of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Increases with each change.
    pub(crate) clock: u32,
    /// JSON, or `None` if the client has left.
    pub(crate) json: Option<Arc<str>>,
}

/// The states of the clients present in a document.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    clients: HashMap<u64, Entry>,
    bytes: usize,
    /// The clocks of clients that have left, so that a late message does not bring them back.
    left: HashMap<u64, u32>,
    left_order: VecDeque<u64>,
}

#[derive(Debug)]
struct Entry {
    clock: u32,
    json: Arc<str>,
    /// The call that the state came from.
    call: u64,
}

impl Presence {
    /// Applies an update that came from a call. Returns the states that are new.
    pub(crate) fn apply(&mut self, call: u64, update: &[u8]) -> Result<Vec<(u64, State)>, Status> {
        let mut changed = Vec::new();
        for (client, state) in decode(update)? {
            if self.apply_one(call, client, &state)? {
                changed.push((client, state));
            }
        }
        Ok(changed)
    }

    fn apply_one(&mut self, call: u64, client: u64, state: &State) -> Result<bool, Status> {
        let known = self.clients.get(&client);
        let newer = match (known, self.left.get(&client)) {
            (Some(known), _) => {
                state.clock > known.clock || (state.clock == known.clock && state.json.is_none())
            }
            (None, Some(left)) => state.clock > *left && state.json.is_some(),
            (None, None) => state.json.is_some(),
        };
        if !newer {
            return Ok(false);
        }
        let Some(json) = &state.json else {
            self.remove(client, state.clock);
            return Ok(true);
        };
        let (had, is_new) = known.map_or((0, true), |known| (known.json.len(), known.call != call));
        let of_call = || self.clients.values().filter(|entry| entry.call == call).count();
        if is_new && of_call() >= MAX_OF_ONE {
            let message = format!("a call may introduce the states of {MAX_OF_ONE} clients");
            return Err(exhausted(message));
        }
        if self.bytes - had + json.len() > MAX_BYTES
            || (known.is_none() && self.clients.len() >= MAX_CLIENTS)
        {
            return Err(unavailable("the document has too many clients with too large states"));
        }
        self.bytes = self.bytes - had + json.len();
        self.left.remove(&client);
        let entry = Entry { clock: state.clock, json: Arc::clone(json), call };
        self.clients.insert(client, entry);
        Ok(true)
    }

    fn remove(&mut self, client: u64, clock: u32) {
        if let Some(entry) = self.clients.remove(&client) {
            self.bytes -= entry.json.len();
        }
        if self.left.insert(client, clock).is_none() {
            self.left_order.push_back(client);
        }
        while self.left_order.len() > MAX_LEFT {
            if let Some(oldest) = self.left_order.pop_front() {
                self.left.remove(&oldest);
            }
        }
    }

    /// Removes the states that came from a call. Returns them as those of clients that have left.
    pub(crate) fn leave(&mut self, call: u64) -> Vec<(u64, State)> {
        let theirs = self.clients.iter().filter(|(_, entry)| entry.call == call);
        let theirs: Vec<_> = theirs.map(|(client, entry)| (*client, entry.clock)).collect();
        for (client, clock) in &theirs {
            self.remove(*client, *clock);
        }
        theirs.into_iter().map(|(client, clock)| (client, State { clock, json: None })).collect()
    }

    /// Returns the states of all clients present.
    pub(crate) fn all(&self) -> Vec<(u64, State)> {
        let state = |entry: &Entry| State { clock: entry.clock, json: Some(entry.json.clone()) };
        self.clients.iter().map(|(client, entry)| (*client, state(entry))).collect()
    }
}

/// Encodes an update with these states.
pub(crate) fn encode(states: &BTreeMap<u64, State>) -> Vec<u8> {
    let mut update = Vec::new();
    write_number(&mut update, states.len() as u64);
    for (client, state) in states {
        let json = state.json.as_deref().unwrap_or("null");
        write_number(&mut update, *client);
        write_number(&mut update, state.clock.into());
        write_number(&mut update, json.len() as u64);
        update.extend_from_slice(json.as_bytes());
    }
    update
}

fn decode(update: &[u8]) -> Result<Vec<(u64, State)>, Status> {
    let unreadable = |_| invalid("an awareness update cannot be decoded");
    let mut bytes = Bytes::new(update);
    let mut states = Vec::new();
    for _ in 0..bytes.number().map_err(unreadable)? {
        let client = bytes.number().map_err(unreadable)?;
        let clock = bytes.small().map_err(unreadable)?;
        let text = bytes.text().map_err(unreadable)?;
        // Published clients pass the text to a parser that throws.
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| unreadable(Malformed))?;
        let json = (text.trim() != "null").then(|| text.into());
        states.push((client, State { clock, json }));
    }
    Ok(states)
}

fn write_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}
