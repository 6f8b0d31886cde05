//! What happens on the Volt, told to whoever holds a `Connect` call.

use std::sync::Arc;

use tokio::sync::broadcast;
use volt_api::volt::{ConnectAuthRequestType, ConnectResourceEvent, Resource, Session};

/// How many events a subscriber may be behind before it is given up.
const CAPACITY: usize = 4096;

/// Something that happened. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// To a resource, which is as it was just after, or just before if it is gone.
    Resource(ConnectResourceEvent, Arc<Resource>),
    /// To a session.
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

/// Where events go.
pub(crate) struct Events(broadcast::Sender<Event>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(CAPACITY).0)
    }

    pub(crate) fn send(&self, event: Event) {
        // An error means that nobody listens.
        let _ = self.0.send(event);
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
