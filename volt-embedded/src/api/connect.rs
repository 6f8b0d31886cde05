//! `Connect`: a long-lived call over which the Volt sends events, and relayed calls to hosts.
//!
//! It starts with the caller's `hello` and ends with a `goodbye` from either side, or when the
//! caller half-closes. A caller that accepts invocations receives the calls to its hosted services.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    sync::{
        broadcast::{Receiver, error::RecvError},
        mpsc,
    },
    time::timeout,
};
use uuid::Uuid;
use volt_api::{
    Code, Status,
    config::VoltConfig,
    key::VerifyingKey,
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
    error::invalid,
    logic::services::Online,
    rights::READ,
    state::hosts::Hosting,
    state::listing::Listed,
    store::events::Event,
    store::{identities, now, sessions},
};

/// The ping interval in the acknowledgement, in milliseconds. The Volt answers each ping.
const PING_INTERVAL: u32 = 60_000;
/// The number of ping intervals, as the caller chose them, after which a silent caller is
/// disconnected.
const MISSED_PINGS: u32 = 3;
/// The maximum number of queued ping responses.
const PINGS: usize = 16;

pub(super) async fn run(
    actor: Actor,
    mut requests: Requests<ConnectRequest>,
    mut responses: Responses<ConnectResponse>,
) -> Result<(), Status> {
    let Some(Payload::Hello(hello)) = requests.message().await?.and_then(|first| first.payload)
    else {
        return Err(invalid("the first message of Connect is `hello`"));
    };
    // Subscribe before the acknowledgement, so that no event after it is missed.
    let wanted = hello.subscribe_resource_events || hello.subscribe_auth_requests;
    let events = wanted.then(|| actor.volt.store.subscribe());
    let is_volt = !hello.address.is_empty();
    let (hosting, invocations) =
        hello.accept_invocation.then(|| actor.volt.hosts.add(&actor.identity, is_volt)).unzip();
    let _online = online(&actor, &hello).await?;
    let _listed = list(&actor, &hello).await?;
    let acknowledge = ConnectAcknowledge::default()
        .with_connection_id(Uuid::new_v4().to_string())
        .with_timestamp(now())
        .with_ping_interval(PING_INTERVAL);
    responses.send(ConnectResponse::default().with_acknowledge(acknowledge)).await?;

    let patience = Duration::from_millis(hello.ping_interval.into()) * MISSED_PINGS;
    let (pings, due) = mpsc::channel(PINGS);
    // Each direction waits only for its own peer: a slow caller of a hosted service delays what the
    // host sends, but neither events nor the requests of other calls.
    tokio::select! {
        outcome = receive(requests, hosting, pings, patience) => outcome,
        outcome = send_events(&actor, &hello, Outbound { events, invocations, due }, responses) => outcome,
    }
}

/// Receives the caller's messages until its goodbye or half-close.
async fn receive(
    mut requests: Requests<ConnectRequest>,
    hosting: Option<Hosting>,
    pings: mpsc::Sender<()>,
    patience: Duration,
) -> Result<(), Status> {
    loop {
        let request = if patience.is_zero() {
            requests.message().await
        } else {
            timeout(patience, requests.message()).await.unwrap_or_else(|_| {
                let message = "no message arrived within three ping intervals";
                Err(Status::new(Code::DeadlineExceeded, message))
            })
        };
        let Some(request) = request? else { return Ok(()) };
        match request.payload {
            Some(Payload::Goodbye(_)) => return Ok(()),
            Some(Payload::Ping(_)) => {
                // Fails only if the other direction has ended, which ends this one as well.
                let _ = pings.send(()).await;
            }
            Some(Payload::InvokeResponse(answer)) => {
                if let Some(hosting) = &hosting {
                    hosting.answer(answer).await;
                }
            }
            Some(Payload::Hello(_)) => return Err(invalid("`hello` was sent twice")),
            // Ignore unsolicited responses, and messages from newer API versions.
            _ => {}
        }
    }
}

/// The sources of the messages that the Volt sends to the caller.
struct Outbound {
    events: Option<Receiver<Event>>,
    invocations: Option<mpsc::Receiver<InvokeRequest>>,
    /// One item for each unanswered ping.
    due: mpsc::Receiver<()>,
}

/// Sends events, invocations and ping responses to the caller.
async fn send_events(
    actor: &Actor,
    hello: &ConnectHello,
    mut outbound: Outbound,
    mut responses: Responses<ConnectResponse>,
) -> Result<(), Status> {
    loop {
        let response = tokio::select! {
            Some(()) = outbound.due.recv() => ConnectResponse::default().with_ping(ConnectPing::default()),
            Some(invocation) = invoked(outbound.invocations.as_mut()) => {
                ConnectResponse::default().with_invoke_request(invocation)
            }
            event = next(outbound.events.as_mut()) => match select(actor, hello, event?).await? {
                Some(event) => ConnectResponse::default().with_evt(event),
                None => continue,
            },
        };
        responses.send(response).await?;
    }
}

/// Lists the caller if it is a Volt that uses this one as its relay. Only such callers accept
/// invocations and have their own address.
async fn list(actor: &Actor, hello: &ConnectHello) -> Result<Option<Listed>, Status> {
    if !hello.accept_invocation || hello.address.is_empty() {
        return Ok(None);
    }
    let session = on(actor, |actor| {
        actor.read(|store| {
            let session = sessions::get(store, &actor.session)?;
            // A DID keeps its first key: another key of the identity cannot take over its address.
            let first =
                identities::keys(store, &actor.identity)?.first().map(VerifyingKey::fingerprint);
            Ok(session.filter(|session| Some(&session.fingerprint) == first.as_ref()))
        })
    });
    let Some(session) = session.await? else { return Ok(None) };
    let mut volt = VoltConfig::from(actor.identity.as_str());
    volt.display_name = Some(session.origin);
    volt.address = Some(hello.address.clone());
    volt.public_key = Some(session.public_key);
    volt.fingerprint = Some(session.fingerprint);
    Ok(Some(actor.volt.listing.add(volt)))
}

async fn invoked(invocations: Option<&mut mpsc::Receiver<InvokeRequest>>) -> Option<InvokeRequest> {
    match invocations {
        Some(invocations) => invocations.recv().await,
        None => pending().await,
    }
}

async fn next(events: Option<&mut Receiver<Event>>) -> Result<Event, Status> {
    let Some(events) = events else { return pending().await };
    loop {
        match events.recv().await {
            Ok(event) => return Ok(event),
            // The API cannot report missed events, and the remaining ones are still useful.
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(
                    missed,
                    "events arrive faster than a subscriber of Connect reads them"
                );
            }
            Err(RecvError::Closed) => {
                return Err(Status::new(Code::Unavailable, "the Volt is stopping"));
            }
        }
    }
}

/// Returns the event's message if the caller subscribed to it and may see it.
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
        // The rules were deleted with the resource, so its readers can no longer be determined.
        return Ok(false);
    }
    let id = resource.id.clone();
    on(actor, move |actor| actor.read(|store| actor.may(store, &id, READ))).await
}

/// Keeps the caller's services online until the call ends.
async fn online(actor: &Actor, hello: &ConnectHello) -> Result<Option<Online>, Status> {
    if !hello.online_services {
        return Ok(None);
    }
    on(actor, |actor| Online::new(actor).map(Some)).await
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use volt_api::{
        Channel, Client,
        server::{Context, Router},
        volt::{
            InvokeResponse, VoltApi, VoltApiServer, connect_event::Event,
            connect_response::Payload as Answer,
        },
    };

    use super::*;
    use crate::logic::tests;

    /// `Connect` for an actor, without a network.
    struct Direct(Actor);

    impl VoltApi for Direct {
        async fn connect(
            &self,
            _: Context,
            requests: Requests<ConnectRequest>,
            responses: Responses<ConnectResponse>,
        ) -> Result<(), Status> {
            run(self.0.clone(), requests, responses).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn stuck_caller_does_not_delay_events_to_its_host() {
        let actor = tests::owner(&tests::volt());
        let server = VoltApiServer::new(Direct(actor.clone()));
        let client = Client::from_channel(Channel::in_process(Router::new().with(server)));
        let hello = ConnectHello::default()
            .with_accept_invocation(true)
            .with_subscribe_resource_events(true)
            .with_resource_event_list([ConnectResourceEvent::Create]);
        let mut call = client.volt().connect().await.unwrap();
        call.send(ConnectRequest::default().with_hello(hello)).await.unwrap();
        assert!(call.message().await.unwrap().is_some());
        let _caller = actor.volt.hosts.add_stuck_caller(&actor.identity);

        let begin = Instant::now();
        let answer = InvokeResponse::default().with_invoke_id(1);
        call.send(ConnectRequest::default().with_invoke_response(answer)).await.unwrap();
        // Let the answer start waiting for its caller.
        tokio::task::yield_now().await;
        tests::make(&actor, "", "news", "volt:folder");
        let Some(Answer::Evt(event)) = call.message().await.unwrap().unwrap().payload else {
            panic!("no event");
        };
        assert!(matches!(event.event, Some(Event::ConnectResource(_))));
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}
