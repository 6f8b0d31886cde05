//! `Connect`: a long call over which the Volt tells what happens.
//!
//! It begins with the caller's `hello` and ends with a `goodbye` of either side, or when the caller
//! has no more to send. A caller that takes invocations gets the calls of services that it hosts.

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
    fault::invalid,
    listing::Listed,
    logic::services::Online,
    relay::Hosting,
    rights::READ,
    store::{now, sessions},
};

/// How often the caller is told to expect pings; the Volt answers each of the caller's.
const PING_INTERVAL: u32 = 60_000;
/// How many of its own ping intervals a caller may be silent.
const MISSED_PINGS: u32 = 3;
/// How many answers to pings may wait to be sent.
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
    // Before the acknowledgement, so that whatever happens after it is heard.
    let wanted = hello.subscribe_resource_events || hello.subscribe_auth_requests;
    let events = wanted.then(|| actor.volt.store.subscribe());
    let (hosting, invocations) =
        hello.accept_invocation.then(|| actor.volt.hosts.add(&actor.identity)).unzip();
    let _online = online(&actor, &hello).await?;
    let _listed = list(&actor, &hello).await?;
    let acknowledge = ConnectAcknowledge::default()
        .with_connection_id(Uuid::new_v4().to_string())
        .with_timestamp(now())
        .with_ping_interval(PING_INTERVAL);
    responses.send(ConnectResponse::default().with_acknowledge(acknowledge)).await?;

    let patience = Duration::from_millis(hello.ping_interval.into()) * MISSED_PINGS;
    let (pings, due) = mpsc::channel(PINGS);
    // Each direction waits for its own end only: a caller of a hosted service that takes nothing holds
    // up what the host sends, but neither events nor other calls' requests.
    tokio::select! {
        outcome = listen(requests, hosting, pings, patience) => outcome,
        outcome = tell(&actor, &hello, Told { events, invocations, due }, responses) => outcome,
    }
}

/// Takes what the caller sends, until it says goodbye or nothing more.
async fn listen(
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
                let message = "nothing was heard for three ping intervals";
                Err(Status::new(Code::DeadlineExceeded, message))
            })
        };
        let Some(request) = request? else { return Ok(()) };
        match request.payload {
            Some(Payload::Goodbye(_)) => return Ok(()),
            Some(Payload::Ping(_)) => {
                // An error means that the other direction is at its end, and this one with it.
                let _ = pings.send(()).await;
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
}

/// What there is to tell the caller.
struct Told {
    events: Option<Receiver<Event>>,
    invocations: Option<mpsc::Receiver<InvokeRequest>>,
    /// Pings to be answered.
    due: mpsc::Receiver<()>,
}

/// Tells the caller what happens, for as long as it wants to hear it.
async fn tell(
    actor: &Actor,
    hello: &ConnectHello,
    mut told: Told,
    mut responses: Responses<ConnectResponse>,
) -> Result<(), Status> {
    loop {
        let response = tokio::select! {
            Some(()) = told.due.recv() => ConnectResponse::default().with_ping(ConnectPing::default()),
            Some(invocation) = invoked(told.invocations.as_mut()) => {
                ConnectResponse::default().with_invoke_request(invocation)
            }
            event = next(told.events.as_mut()) => match select(actor, hello, event?).await? {
                Some(event) => ConnectResponse::default().with_evt(event),
                None => continue,
            },
        };
        responses.send(response).await?;
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
            // The API has no way to tell, and whoever is behind has more use for the rest than for none.
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "events come faster than a caller of Connect takes them");
            }
            Err(RecvError::Closed) => {
                return Err(Status::new(Code::Unavailable, "the Volt is stopping"));
            }
        }
    }
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
            InvokeResponse,
            connect_event::Event,
            connect_response::Payload as Answer,
            volt_api::{VoltApi, VoltApiServer},
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
    async fn a_caller_that_takes_nothing_does_not_hold_up_what_its_host_is_told() {
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
        // Long enough for the answer to be on its way to the caller.
        tokio::task::yield_now().await;
        tests::make(&actor, "", "news", "volt:folder");
        let Some(Answer::Evt(event)) = call.message().await.unwrap().unwrap().payload else {
            panic!("no event");
        };
        assert!(matches!(event.event, Some(Event::ConnectResource(_))));
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}
