//! What a Volt tells those who are online.

use crate::volt::{
    ConnectAcknowledge, ConnectAuthRequest, ConnectDidRegistryUpdate, ConnectEvent,
    ConnectResourceEvent, Resource, connect_event::Event as Payload,
};

/// Something that happened on the Volt.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// To a resource, which is as it was just after; just before, if it is gone.
    Resource(ConnectResourceEvent, Box<Resource>),
    /// A client asks to be let in, or its session has changed.
    Authentication(Box<ConnectAuthRequest>),
    /// A DID registry has changed.
    DidRegistry(Box<ConnectDidRegistryUpdate>),
    /// The connection was lost and the client is online again, on a new call that the Volt has
    /// acknowledged. What happened in between was not told.
    Resumed(Box<ConnectAcknowledge>),
    /// So many events were lost here, because nobody took them in time.
    Missed(u64),
    /// Something that this version of the API does not know.
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
            event => Self::Other(Box::new(ConnectEvent { event })),
        }
    }
}
