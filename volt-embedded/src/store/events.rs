//! Change events, broadcast to the subscribers of `Connect`.

use std::sync::Arc;

use tokio::sync::broadcast;
use volt_api::volt::{ConnectAuthRequestType, ConnectResourceEvent, Resource, Session};

/// How many events a subscriber may lag behind before it misses some.
const CAPACITY: usize = 4096;

/// A change to a resource or a session. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A resource changed. Holds its new state, or its last state if it was deleted.
    Resource(ConnectResourceEvent, Arc<Resource>),
    /// A session changed.
    Session(ConnectAuthRequestType, Arc<Session>),
}

impl Event {
    pub(crate) fn resource(event: ConnectResourceEvent, resource: &Resource) -> Self {
        Self::Resource(event, Arc::new(resource.clone()))
    }

    pub(crate) fn session(event: ConnectAuthRequestType, session: &Session) -> Self {
        Self::Session(event, Arc::new(session.clone()))
    }
}

/// The broadcast channel of events.
pub(crate) struct Events(broadcast::Sender<Event>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(CAPACITY).0)
    }

    pub(crate) fn send(&self, event: Event) {
        // Fails only without subscribers.
        let _ = self.0.send(event);
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
