//! Presence: how the SDK keeps the `Connect` call alive, with well-behaved and misbehaving Volts.

use std::{future::pending, time::Duration};

use tokio::sync::mpsc;
use volt_api::{
    Channel, Client, Code, ErrorKind, Event, Status,
    server::{Context, Requests, Responses, Router},
    volt::{
        ConnectAcknowledge, ConnectAuthRequest, ConnectEvent, ConnectGoodbye, ConnectHello,
        ConnectRequest, ConnectResourceEvent as What, ConnectResponse, VoltApi, VoltApiServer,
        connect_request::Payload,
    },
};

use crate::support::{make, start};

/// A Volt that answers `Connect` as the test specifies, and reports what the client sends.
struct Mock<F> {
    answers: F,
    /// The response to a ping.
    at_ping: Option<ConnectResponse>,
    heard: mpsc::UnboundedSender<Payload>,
}

impl<F> VoltApi for Mock<F>
where
    F: Fn(ConnectHello) -> Result<Vec<ConnectResponse>, Status> + Send + Sync + 'static,
{
    async fn connect(
        &self,
        _: Context,
        mut requests: Requests<ConnectRequest>,
        mut responses: Responses<ConnectResponse>,
    ) -> Result<(), Status> {
        let Some(Payload::Hello(hello)) = requests.message().await?.and_then(|hello| hello.payload)
        else {
            panic!("no hello");
        };
        for answer in (self.answers)(hello)? {
            responses.send(answer).await?;
        }
        while let Some(request) = requests.message().await? {
            if let Some(answer) = &self.at_ping {
                responses.send(answer.clone()).await?;
            }
            self.heard.send(request.payload.unwrap()).ok();
        }
        pending().await
    }
}

fn mock<F>(answers: F) -> (Client, mpsc::UnboundedReceiver<Payload>)
where
    F: Fn(ConnectHello) -> Result<Vec<ConnectResponse>, Status> + Send + Sync + 'static,
{
    mock_that_answers_pings(None, answers)
}

fn mock_that_answers_pings<F>(
    at_ping: Option<ConnectResponse>,
    answers: F,
) -> (Client, mpsc::UnboundedReceiver<Payload>)
where
    F: Fn(ConnectHello) -> Result<Vec<ConnectResponse>, Status> + Send + Sync + 'static,
{
    let (sender, heard) = mpsc::unbounded_channel();
    let server = VoltApiServer::new(Mock { answers, at_ping, heard: sender });
    (Client::from_channel(Channel::in_process(Router::new().with(server))), heard)
}

fn acknowledged(ping_interval: u32) -> ConnectResponse {
    let acknowledge =
        ConnectAcknowledge::default().with_connection_id("c").with_ping_interval(ping_interval);
    ConnectResponse::default().with_acknowledge(acknowledge)
}

#[tokio::test]
async fn events_are_typed_and_in_order() {
    let (_volt, client) = start().await;
    let going = client.presence().resource_events([What::Create]).authentication_requests();
    let mut presence = going.await.unwrap();
    assert!(!presence.acknowledge().connection_id.is_empty());
    for name in ["one", "two"] {
        make(&client, name, "volt:folder").await;
    }
    for name in ["one", "two"] {
        let Some(Event::Resource(What::Create, resource)) = presence.event().await.unwrap() else {
            panic!("something else happened");
        };
        assert_eq!(resource.name, name);
    }
    presence.close().await.unwrap();
}

#[tokio::test]
async fn a_refusal_precedes_all_events() {
    let (client, _) = mock(|_| Err(Status::new(Code::PermissionDenied, "not you")));
    let error = client.presence().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Code::PermissionDenied));
    let (client, _) = mock(|_| {
        let goodbye = ConnectResponse::default().with_goodbye(ConnectGoodbye::default());
        Ok(vec![goodbye])
    });
    assert_eq!(client.presence().await.unwrap_err().kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn hello_has_the_chosen_options_and_pings_follow() {
    let (client, mut heard) = mock(|hello| {
        assert_eq!(hello.ping_interval, 5_000);
        assert!(hello.online_services && hello.subscribe_did_registry_updates);
        assert!(!hello.accept_invocation && hello.timestamp > 0);
        assert_eq!(hello.did_registry, ["https://registry.example"]);
        Ok(vec![acknowledged(60_000)])
    });
    let _presence = client
        .presence()
        .ping_interval(Duration::from_secs(5))
        .online_services()
        .did_registries(["https://registry.example"])
        .await
        .unwrap();
    let begin = tokio::time::Instant::now();
    for _ in 0..3 {
        assert!(matches!(heard.recv().await, Some(Payload::Ping(_))));
    }
    assert_eq!(begin.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_silent_volt_is_lost() {
    let (client, _heard) = mock(|_| Ok(vec![acknowledged(30_000)]));
    let mut presence = client.presence().resume(false).await.unwrap();
    let begin = tokio::time::Instant::now();
    for _ in 0..2 {
        let error = presence.event().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "the error stays");
    }
    assert_eq!(begin.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn unread_events_are_counted_and_do_not_block() {
    let event = ConnectEvent::default().with_connect_auth_request(ConnectAuthRequest::default());
    let event = ConnectResponse::default().with_evt(event);
    let at_ping = Some(event.clone());
    let (client, mut heard) = mock_that_answers_pings(at_ping, move |_| {
        Ok([acknowledged(0)].into_iter().chain(vec![event.clone(); 1500]).collect())
    });
    let mut presence = client.presence().await.unwrap();
    // Pings continue although no events are read.
    for _ in 0..3 {
        assert!(matches!(heard.recv().await, Some(Payload::Ping(_))));
    }
    let mut taken = 0;
    let missed = loop {
        match presence.event().await.unwrap() {
            Some(Event::Missed(missed)) => break missed,
            Some(Event::Authentication(_)) => taken += 1,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(taken, 1024);
    // The remaining events, and those sent in response to the first pings.
    assert!(missed >= 1500 - 1024, "{missed}");
    assert!(matches!(presence.event().await.unwrap(), Some(Event::Authentication(_))));
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_from_the_volt_is_a_clean_end() {
    let (client, _heard) = mock(|_| {
        let goodbye = ConnectResponse::default().with_goodbye(ConnectGoodbye::default());
        Ok(vec![acknowledged(0), goodbye])
    });
    let mut presence = client.presence().await.unwrap();
    assert_eq!(presence.event().await.unwrap(), None);
    assert_eq!(presence.event().await.unwrap(), None);
}
