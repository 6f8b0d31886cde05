//! `Connect`: a long call over which the Volt tells what happens.
//!
//! It begins with the caller's `hello` and ends with a `goodbye` of either side, or when the caller
//! has no more to send. A caller that takes invocations gets the calls of services that it hosts.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};
use uuid::Uuid;
use volt_api::{
    Code, Status,
    config::VoltConfig,
    server::{Requests, Responses},
    volt::{
        ConnectAcknowledge, ConnectAuthRequest, ConnectEvent, ConnectHello, ConnectPing,
        ConnectRequest, ConnectResource, ConnectResourceEvent, ConnectResponse, InvokeRequest,
        Resource, connect_request::Payload,
    },
};

use super::on;
use crate::{
    actor::Actor,
    events::Event,
    fault::{exhausted, invalid},
    listing::Listed,
    relay::Hosting,
    rights::READ,
    store::{now, sessions},
};

/// How often the caller is told to expect pings; the Volt answers each of the caller's.
const PING_INTERVAL: u32 = 60_000;
/// How many of its own ping intervals a caller may be silent.
const MISSED_PINGS: u32 = 3;

pub(super) async fn run(
    actor: Actor,
    mut requests: Requests<ConnectRequest>,
    mut responses: Responses<ConnectResponse>,
) -> Result<(), Status> {
    let Some(Payload::Hello(hello)) = requests.message().await?.and_then(|first| first.payload)
    else {
        return Err(invalid("the first message of Connect is `hello`"));
    };
    // Before the acknowledgement, so that whatever happens after it is heard.
    let mut events = actor.volt.store.subscribe();
    let mut hosting = hello.accept_invocation.then(|| actor.volt.hosts.add(&actor.identity));
    let _online = Online::new(&actor, &hello).await?;
    let _listed = list(&actor, &hello).await?;
    let acknowledge = ConnectAcknowledge::default()
        .with_connection_id(Uuid::new_v4().to_string())
        .with_timestamp(now())
        .with_ping_interval(PING_INTERVAL);
    responses.send(ConnectResponse::default().with_acknowledge(acknowledge)).await?;

    let patience = Duration::from_millis(hello.ping_interval.into()) * MISSED_PINGS;
    let mut deadline = Instant::now() + patience;
    loop {
        tokio::select! {
            request = requests.message() => {
                deadline = Instant::now() + patience;
                let Some(request) = request? else { return Ok(()) };
                match request.payload {
                    Some(Payload::Goodbye(_)) => return Ok(()),
                    Some(Payload::Ping(_)) => {
                        let ping = ConnectResponse::default().with_ping(ConnectPing::default());
                        responses.send(ping).await?;
                    }
                    Some(Payload::InvokeResponse(answer)) => {
                        if let Some(hosting) = &hosting {
                            hosting.answer(answer).await;
                        }
                    }
                    Some(Payload::Hello(_)) => return Err(invalid("one `hello` is enough")),
                    // Answers to what was not asked for, and whatever a newer API adds.
                    _ => {}
                }
            }
            Some(invocation) = invoked(hosting.as_mut()) => {
                let invocation = ConnectResponse::default().with_invoke_request(invocation);
                responses.send(invocation).await?;
            }
            event = next(&mut events) => {
                if let Some(event) = select(&actor, &hello, event?).await? {
                    responses.send(ConnectResponse::default().with_evt(event)).await?;
                }
            }
            () = sleep_until(deadline), if !patience.is_zero() => {
                let message = "nothing was heard for three ping intervals";
                return Err(Status::new(Code::DeadlineExceeded, message));
            }
        }
    }
}

/// A Volt that is connected as to its relay is listed for those who look for it. It is the one kind of
/// caller that takes invocations at an address of its own.
async fn list(actor: &Actor, hello: &ConnectHello) -> Result<Option<Listed>, Status> {
    if !hello.accept_invocation || hello.address.is_empty() {
        return Ok(None);
    }
    let session =
        on(actor, |actor| actor.volt.store.read(|store| sessions::get(store, &actor.session)));
    let Some(session) = session.await? else { return Ok(None) };
    let mut volt = VoltConfig::from(actor.identity.as_str());
    volt.display_name = Some(session.origin);
    volt.address = Some(hello.address.clone());
    volt.public_key = Some(session.public_key);
    volt.fingerprint = Some(session.fingerprint);
    Ok(Some(actor.volt.listing.add(volt)))
}

async fn invoked(hosting: Option<&mut Hosting>) -> Option<InvokeRequest> {
    match hosting {
        Some(hosting) => hosting.next().await,
        None => None,
    }
}

async fn next(events: &mut Receiver<Event>) -> Result<Event, Status> {
    events.recv().await.map_err(|error| match error {
        RecvError::Lagged(missed) => {
            exhausted(format!("{missed} events were missed: they come faster than they are taken"))
        }
        RecvError::Closed => Status::new(Code::Unavailable, "the Volt is stopping"),
    })
}

/// The event as the caller gets it, if it wants it and may know.
async fn select(
    actor: &Actor,
    hello: &ConnectHello,
    event: Event,
) -> Result<Option<ConnectEvent>, Status> {
    match event {
        Event::Resource(what, resource) => {
            let wanted = hello.subscribe_resource_events
                && (hello.resource_event_list.is_empty()
                    || hello.resource_event_list.contains(&what.into()));
            if !wanted || !may_know(actor, what, &resource).await? {
                return Ok(None);
            }
            let event =
                ConnectResource::default().with_event(what).with_resource((*resource).clone());
            Ok(Some(ConnectEvent::default().with_connect_resource(event)))
        }
        Event::Session(what, session) => {
            if !hello.subscribe_auth_requests || !actor.is_owner() {
                return Ok(None);
            }
            let request = ConnectAuthRequest::default()
                .with_session((*session).clone())
                .with_request_type(what)
                .with_timestamp(now());
            Ok(Some(ConnectEvent::default().with_connect_auth_request(request)))
        }
    }
}

async fn may_know(
    actor: &Actor,
    what: ConnectResourceEvent,
    resource: &Arc<Resource>,
) -> Result<bool, Status> {
    if actor.is_owner() || resource.owner == actor.identity {
        return Ok(true);
    }
    if what == ConnectResourceEvent::Delete {
        // Its rules went with it, so who else could read it is not known any more.
        return Ok(false);
    }
    let id = resource.id.clone();
    on(actor, move |actor| actor.volt.store.read(|store| actor.may(store, &id, READ))).await
}

/// Keeps the caller's services online until the call ends, however it ends.
struct Online(Option<Actor>);

impl Online {
    async fn new(actor: &Actor, hello: &ConnectHello) -> Result<Self, Status> {
        if !hello.online_services {
            return Ok(Self(None));
        }
        on(actor, |actor| actor.set_own_services(true)).await?;
        Ok(Self(Some(actor.clone())))
    }
}

impl Drop for Online {
    fn drop(&mut self) {
        let Some(actor) = self.0.take() else { return };
        tokio::task::spawn_blocking(move || {
            if let Err(fault) = actor.set_own_services(false) {
                tracing::warn!(?fault, "services stay online although their host has gone");
            }
        });
    }
}
