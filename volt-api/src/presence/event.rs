//! Events that a Volt sends to online clients, and notices about the connection itself.

use crate::volt::{
    ConnectAcknowledge, ConnectAuthRequest, ConnectDidRegistryUpdate, ConnectEvent,
    ConnectResourceEvent, Resource, connect_event::Event as Payload,
};

/// Something that happened on the Volt. Delivery is at most once: after [`Resumed`](Self::Resumed) or
/// [`Missed`](Self::Missed), read the state of what you follow again.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A change of a resource, with its state after the change, or before it if the resource was
    /// removed.
    Resource(ConnectResourceEvent, Box<Resource>),
    /// A client requests access, or its session has changed.
    Authentication(Box<ConnectAuthRequest>),
    /// A DID registry has changed.
    DidRegistry(Box<ConnectDidRegistryUpdate>),
    /// The connection was lost and the client is online again, on a new call that the Volt has
    /// acknowledged. Events in between were not delivered.
    Resumed(Box<ConnectAcknowledge>),
    /// This number of events was dropped, because the program did not read them in time.
    Missed(u64),
    /// An event that this version of the API does not know.
    Other(Box<ConnectEvent>),
}

impl From<ConnectEvent> for Event {
    fn from(event: ConnectEvent) -> Self {
        match event.event {
            Some(Payload::ConnectResource(mut changed)) => {
                let resource = changed.resource.take().unwrap_or_default();
                Self::Resource(changed.event(), Box::new(resource))
            }
            Some(Payload::ConnectAuthRequest(request)) => Self::Authentication(Box::new(request)),
            Some(Payload::DidRegistryUpdate(update)) => Self::DidRegistry(Box::new(update)),
            event => Self::Other(Box::new(ConnectEvent { event, ..ConnectEvent::default() })),
        }
    }
}
