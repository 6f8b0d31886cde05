//! The network: what is in transit, and the calls that one end has lost.

use std::collections::VecDeque;

use volt_api::{
    Code, Status,
    volt::{SyncDocumentRequest, SyncState, sync_document_request::Payload},
};

use super::{
    provider::{numbers, with},
    volt::Sent,
    world::World,
};

/// A call on the network.
#[derive(Default)]
pub(super) struct Link {
    provider: usize,
    /// The messages that have not arrived.
    pub(super) up: VecDeque<SyncDocumentRequest>,
    pub(super) down: VecDeque<Sent>,
    pub(super) half_closed: bool,
    /// Set when the Volt no longer has the call.
    ended: bool,
    /// Set when the provider no longer has the call, and the Volt may not know.
    pub(super) abandoned: bool,
}

impl World {
    pub(super) fn connect(&mut self, number: usize) -> usize {
        self.calls += 1;
        self.volt.open(self.calls, number);
        self.links.insert(self.calls, Link { provider: number, ..Link::default() });
        self.calls
    }

    /// The calls of a provider end, which the Volt notices later.
    pub(super) fn cut(&mut self, number: usize) {
        let stopping = self.close(number, false);
        if stopping {
            self.saw("a document that stops loses its call");
            self.providers[number].detach();
        }
    }

    /// Ends the calls of a provider. Returns whether its document was being stopped.
    pub(super) fn close(&mut self, number: usize, clean: bool) -> bool {
        let Some(attachment) = &mut self.providers[number].attachment else { return false };
        for id in attachment.closed(clean) {
            let link = self.links.get_mut(&id).unwrap();
            link.abandoned = true;
            link.down.clear();
            if link.ended {
                self.links.remove(&id);
            }
        }
        attachment.stopping
    }

    pub(super) fn restart(&mut self) {
        self.saw("the Volt restarts");
        self.volt.restart();
        let stored = numbers(&self.volt.stored());
        assert!(stored.is_superset(&self.promised), "acknowledged edits are lost");
        self.links.retain(|_, link| !link.abandoned);
        for link in self.links.values_mut().filter(|link| !link.ended) {
            // Messages that were sent before may still arrive.
            link.down.truncate(self.random.below(link.down.len() + 1));
            link.end(Err(Status::new(Code::Unavailable, "the Volt restarts")));
        }
    }

    /// Chooses a call of a provider.
    pub(super) fn link(&mut self, number: usize) -> Option<(bool, usize)> {
        let confirming = self.random.one_in(2);
        let attachment = self.providers[number].attachment.as_ref()?;
        let call = attachment.side(confirming).or_else(|| attachment.side(false))?;
        let confirming = confirming && attachment.confirming.is_some();
        Some((confirming, call.link))
    }

    pub(super) fn transmit(&mut self, number: usize) {
        let Some((confirming, link)) = self.link(number) else { return };
        let link = self.links.get_mut(&link).unwrap();
        let attachment = self.providers[number].attachment.as_ref().unwrap();
        let call = attachment.side(confirming).unwrap();
        if link.up.len() >= self.room || call.half_closed {
            return;
        }
        let message = with(&call.exchange, |exchange| exchange.next_message(self.clock.now()));
        // Messages to a call that the Volt has ended are lost.
        link.up.extend(message.unwrap().filter(|_| !link.ended));
    }

    pub(super) fn arrive_at_volt(&mut self, number: usize) {
        if let Some((_, link)) = self.link(number) {
            self.deliver(link);
        }
    }

    /// Delivers a message to the Volt, or the end of the provider's messages.
    pub(super) fn deliver(&mut self, id: usize) {
        let link = self.links.get_mut(&id).unwrap();
        let provider = link.provider;
        if link.ended {
            return;
        }
        let Some(message) = link.up.pop_front() else {
            if std::mem::take(&mut link.half_closed) {
                self.volt.half_closed(id);
            }
            return;
        };
        if link.abandoned {
            self.saw("a message of a lost call arrives");
        }
        self.note(&message);
        if let Err(status) = self.volt.receive(id, message) {
            assert_eq!(status.code(), Code::PermissionDenied, "{status}");
            assert!(!self.volt.may_write[provider], "{status}");
            self.volt.close(id, false);
            self.links.get_mut(&id).unwrap().end(Err(status));
        } else if self.random.one_in(2) {
            self.volt.work(id);
        }
    }

    pub(super) fn note(&mut self, message: &SyncDocumentRequest) {
        let Some(Payload::Update(piece)) = &message.payload else { return };
        if !piece.complete && message.sync_state() != SyncState::Awareness {
            self.saw("a provider sends an update in pieces");
        }
    }

    pub(super) fn leave_volt(&mut self, number: usize) {
        if let Some((_, link)) = self.link(number) {
            self.send(link);
        }
    }

    /// Sends a message of the Volt. Returns whether there was one.
    pub(super) fn send(&mut self, id: usize) -> bool {
        let link = self.links.get_mut(&id).unwrap();
        if link.ended || link.down.len() >= self.room {
            return false;
        }
        let was_busy = self.volt.is_busy(id);
        let Some(sent) = self.volt.next(id) else {
            let is_busy = self.volt.is_busy(id);
            if is_busy && !was_busy {
                self.saw("a slow caller needs a difference");
            }
            // Sometimes others change the document before the difference is sent.
            if was_busy || self.random.one_in(2) {
                self.volt.work(id);
            }
            return is_busy;
        };
        match sent {
            Sent::Message(message) => {
                if message.update.as_ref().is_some_and(|update| !update.complete) {
                    self.saw("the Volt sends an update in pieces");
                }
                if message.is_read_only {
                    self.saw("a provider may only read");
                }
                self.links.get_mut(&id).unwrap().down.push_back(Sent::Message(message));
            }
            Sent::End(outcome) => {
                let tidy = self.random.one_in(2);
                self.volt.close(id, tidy);
                self.links.get_mut(&id).unwrap().end(outcome);
            }
        }
        true
    }

    pub(super) fn arrive_at_provider(&mut self, number: usize) {
        let Some((confirming, id)) = self.link(number) else { return };
        let Some(sent) = self.links.get_mut(&id).unwrap().down.pop_front() else { return };
        let now = self.clock.now();
        let attachment = self.providers[number].attachment.as_mut().unwrap();
        let call = attachment.side(confirming).unwrap();
        match sent {
            Sent::Message(message) => {
                with(&call.exchange, |exchange| exchange.receive(now, message)).unwrap();
                // Edits can be made before the actions are carried out.
                if !self.random.one_in(3) {
                    self.act(number);
                }
            }
            Sent::End(Ok(())) => {
                assert!(call.half_closed, "the Volt ends a call on its own");
                self.act(number);
                self.close(number, true);
                self.check_acknowledged(number);
                let all = self.providers[number].detach();
                self.saw(if all { "a document stops" } else { "a document stops too early" });
            }
            Sent::End(Err(status)) => {
                let stopping = self.close(number, false);
                let refused = status.code() == Code::PermissionDenied;
                if refused {
                    self.saw("a provider is refused");
                }
                if stopping || refused {
                    self.providers[number].detach();
                }
            }
        }
    }

    /// Lets messages of a call that its provider has lost arrive, or lets the Volt notice that.
    pub(super) fn abandoned(&mut self) {
        let lost: Vec<_> =
            self.links.iter().filter(|(_, link)| link.abandoned).map(|(id, _)| *id).collect();
        if lost.is_empty() {
            return;
        }
        let id = self.random.one(&lost);
        if self.random.one_in(3) {
            let tidy = self.random.one_in(2);
            self.volt.close(id, tidy);
            self.links.remove(&id);
        } else {
            self.deliver(id);
            if self.links[&id].ended {
                self.links.remove(&id);
            }
        }
    }
}

impl Link {
    /// The Volt has ended the call.
    fn end(&mut self, outcome: Result<(), Status>) {
        self.ended = true;
        self.up.clear();
        self.down.push_back(Sent::End(outcome));
    }
}
