//! Change events, broadcast to the subscribers of `Connect`.

use std::sync::Arc;

use tokio::sync::broadcast;
use volt_api::volt::{
    ConnectAuthRequestType, ConnectResourceEvent, Resource, Session, attribute_value::Value,
};

/// The number of events that a subscriber may lag behind before it misses some.
const CAPACITY: usize = 4096;
/// The largest resource, in bytes, that an event contains completely. Events are kept for the
/// slowest subscriber, so they are bounded in size as well as in number.
const MAX_RESOURCE: usize = 16 << 10;

/// A change to a resource or a session. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A resource changed. Holds its new state, or its last state if it was deleted. A large
    /// resource is sent without its description, aliases, attributes and service.
    Resource(ConnectResourceEvent, Arc<Resource>),
    /// A session changed.
    Session(ConnectAuthRequestType, Arc<Session>),
}

impl Event {
    pub(crate) fn resource(event: ConnectResourceEvent, resource: &Resource) -> Self {
        let resource = if size(resource) <= MAX_RESOURCE {
            resource.clone()
        } else {
            Resource {
                description: String::new(),
                kind: resource.kind.iter().take(16).cloned().collect(),
                alias: Vec::new(),
                attribute: Vec::new(),
                service_description: None,
                ..resource.clone()
            }
        };
        Self::Resource(event, Arc::new(resource))
    }

    pub(crate) fn session(event: ConnectAuthRequestType, session: &Session) -> Self {
        Self::Session(event, Arc::new(session.clone()))
    }
}

/// Returns the approximate size of the parts of a resource that can be large.
fn size(resource: &Resource) -> usize {
    let texts = |list: &[String]| list.iter().map(String::len).sum::<usize>();
    let attributes = resource.attribute.iter().map(|attribute| {
        let values = attribute.value.iter().map(|value| match &value.value {
            Some(Value::String(text)) => text.len(),
            Some(Value::Bytes(bytes)) => bytes.len(),
            _ => 8,
        });
        attribute.attribute_id.len() + values.sum::<usize>()
    });
    let service = resource.service_description.as_ref().map_or(0, |service| {
        let files = service.proto_file.iter().map(|file| file.protobuf.len());
        texts(&service.service_api) + files.sum::<usize>()
    });
    resource.description.len()
        + texts(&resource.kind)
        + texts(&resource.alias)
        + attributes.sum::<usize>()
        + service
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

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;
    use volt_api::volt::{AttributeValue, ResourceAttribute};

    use super::*;

    /// A subscriber that reads nothing holds a limited number of events of limited size.
    #[test]
    fn events_without_a_reader_are_bounded() {
        let events = Events::new();
        let mut subscriber = events.subscribe();
        let value = AttributeValue::default().with_string("x".repeat(1 << 20));
        let large = Resource::default()
            .with_name("n".repeat(1024))
            .with_description("x".repeat(1 << 20))
            .with_kind(vec!["k".repeat(1024); 1000])
            .with_alias(vec!["a".repeat(1024); 1000])
            .with_attribute([ResourceAttribute::default().with_value([value])]);
        for _ in 0..CAPACITY + 1000 {
            events.send(Event::resource(ConnectResourceEvent::Update, &large));
        }
        assert_eq!(subscriber.try_recv().unwrap_err(), TryRecvError::Lagged(1000));
        let mut kept = 0;
        while let Ok(Event::Resource(_, resource)) = subscriber.try_recv() {
            assert!(size(&resource) <= MAX_RESOURCE);
            kept += 1;
        }
        assert_eq!(kept, CAPACITY);
    }
}
