//! Volts that stop and restart while their clients keep running.

use std::net::SocketAddr;

use futures_util::future::join_all;
use tempfile::{TempDir, tempdir};
use volt_api::{
    Client, Code, ConnectOptions, ErrorKind, Event, Reconnect, TransportKind, Update,
    volt::{
        ConnectResourceEvent as What, GetResourceRequest, PublishWireRequest, SaveSessionRequest,
        Session, SessionStatus, SubscribeWireRequest, subscribe_wire_response::Payload,
    },
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

use crate::support::{TRANSPORTS, connect_over, make};

/// A Volt that can be restarted at the same addresses.
struct Lives {
    folder: TempDir,
    address: SocketAddr,
    grpc: SocketAddr,
    volt: Option<EmbeddedVolt>,
}

impl Lives {
    async fn start() -> Self {
        let folder = tempdir().unwrap();
        let volt = EmbeddedVolt::builder().data_dir(folder.path()).start().await.unwrap();
        let address = volt.url().trim_start_matches("http://").parse().unwrap();
        let grpc = volt.grpc_address().unwrap();
        Self { folder, address, grpc, volt: Some(volt) }
    }

    async fn client(&self, transport: TransportKind) -> Client {
        let mut reconnect = Reconnect::default();
        reconnect.longest_delay = std::time::Duration::from_millis(50);
        let mut options = ConnectOptions::default();
        options.reconnect = Some(reconnect);
        options.transport = transport;
        let config = self.volt.as_ref().unwrap().config();
        Client::connect_with(config, options).await.unwrap()
    }

    /// Stops without waiting, like a crash.
    fn kill(&mut self) {
        self.volt = None;
    }

    async fn shut_down(&mut self) {
        soon(self.volt.take().unwrap().shutdown()).await;
    }

    async fn start_again(&mut self) {
        self.kill();
        let builder = EmbeddedVolt::builder()
            .data_dir(self.folder.path())
            .listen(self.address)
            .grpc(self.grpc);
        // Retry until the previous Volt has released the addresses.
        self.volt = Some(
            soon(async {
                loop {
                    if let Ok(volt) = builder.clone().start().await {
                        break volt;
                    }
                    tokio::task::yield_now().await;
                }
            })
            .await,
        );
    }
}

async fn wire(client: &Client) -> String {
    make(client, "news", "volt:wire").await.id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_end_once_and_later_ones_succeed() {
    for transport in TRANSPORTS {
        end_a_thousand_calls(transport).await;
    }
}

async fn end_a_thousand_calls(transport: TransportKind) {
    let mut lives = Lives::start().await;
    let client = lives.client(transport).await;
    let wire = wire(&client).await;
    // Half of the calls wait for messages that never arrive; the others are short.
    let subscriptions: Vec<_> = join_all((0..500).map(async |_| {
        let mut call = client.wire().subscribe_wire().await.unwrap();
        call.send(SubscribeWireRequest::default().with_wire_id(&wire)).await.unwrap();
        call
    }))
    .await;
    let (busy, mut all_busy) = tokio::sync::mpsc::channel::<()>(1);
    let loops: Vec<_> = (0..500)
        .map(|_| {
            let (client, wire, busy) = (client.clone(), wire.clone(), busy.clone());
            tokio::spawn(async move {
                // Dropped after the first response.
                let mut _busy = Some(busy);
                loop {
                    let request = GetResourceRequest::default().with_resource_id(&wire);
                    match client.volt().get_resource(request).wait_for_ready(false).await {
                        Ok(answer) => assert_eq!(answer.resource.unwrap().id, wire),
                        Err(error) => break error,
                    }
                    _busy = None;
                }
            })
        })
        .collect();
    drop(busy);
    // Nothing is sent on this channel: it closes when each loop has received its first response.
    soon(all_busy.recv()).await;
    lives.kill();
    for error in soon(join_all(loops)).await {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Connection, "{transport:?}: {error}");
    }
    for mut call in subscriptions {
        for _ in 0..2 {
            // The call ends once, and the error persists.
            let error = soon(call.message()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Connection, "{transport:?}: {error}");
        }
    }
    let later = {
        let (client, wire) = (client.clone(), wire.clone());
        tokio::spawn(async move {
            let request = GetResourceRequest::default().with_resource_id(wire);
            client.volt().get_resource(request).await
        })
    };
    lives.start_again().await;
    assert_eq!(soon(later).await.unwrap().unwrap().resource.unwrap().id, wire);
    assert_eq!(client.channel().open_calls(), 0);
}

#[tokio::test]
async fn a_subscription_and_a_presence_survive_restarts() {
    for transport in TRANSPORTS {
        survive_restarts(transport).await;
    }
}

async fn survive_restarts(transport: TransportKind) {
    let mut lives = Lives::start().await;
    let client = lives.client(transport).await;
    let wire = wire(&client).await;
    let mut presence = client.presence().resource_events([What::Create]).await.unwrap();
    let mut news = client
        .wire()
        .subscribe_wire()
        .subscribe(SubscribeWireRequest::default().with_wire_id(&wire))
        .await
        .unwrap();
    for life in 0..3 {
        if life > 0 {
            // Once without warning, and once with a notice to the clients.
            match life {
                1 => lives.kill(),
                _ => lives.shut_down().await,
            }
            lives.start_again().await;
            // The messages that were published while waiting for the first come before.
            let resumed = soon(async {
                loop {
                    match news.update().await.unwrap() {
                        Some(Update::Message(_)) => {}
                        other => break other,
                    }
                }
            });
            assert_eq!(resumed.await, Some(Update::Resumed), "{transport:?}");
            let event = soon(presence.event()).await.unwrap();
            assert!(matches!(event, Some(Event::Resumed(_))), "{transport:?}: {event:?}");
        }
        // There is no signal that a subscription has started: publish until a message arrives.
        let mut publisher = client.wire().publish_wire().await.unwrap();
        publisher.send(PublishWireRequest::default().with_wire_id(&wire)).await.unwrap();
        let heard = soon(async {
            loop {
                publisher.send(PublishWireRequest::default().with_chunk("hello")).await.unwrap();
                tokio::select! {
                    biased;
                    update = news.update() => break update.unwrap(),
                    () = tokio::task::yield_now() => {}
                }
            }
        })
        .await;
        let Some(Update::Message(message)) = heard else { panic!("{heard:?}") };
        assert_eq!(message.payload, Some(Payload::Chunk(b"hello".to_vec())));
        publisher.half_close();
        while soon(publisher.message()).await.unwrap().is_some() {}
        let name = format!("life {life}");
        make(&client, &name, "volt:folder").await;
        let Some(Event::Resource(What::Create, made)) = soon(presence.event()).await.unwrap()
        else {
            panic!("no event");
        };
        assert_eq!(made.name, name);
    }
    soon(presence.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presence_whose_session_was_revoked_ends_with_the_rejection() {
    for transport in TRANSPORTS {
        end_with_the_rejection(transport).await;
    }
}

async fn end_with_the_rejection(transport: TransportKind) {
    let mut lives = Lives::start().await;
    let owner = lives.client(transport).await;
    let config = lives.volt.as_ref().unwrap().guest("guest").unwrap();
    let guest = connect_over(config.clone(), transport).await;
    let mut presence = guest.presence().await.unwrap();
    let revoked = Session::default()
        .with_id(config.session_id().unwrap())
        .with_status(SessionStatus::Revoked);
    owner.volt().save_session(SaveSessionRequest::default().with_session(revoked)).await.unwrap();
    lives.start_again().await;
    let error = soon(async {
        loop {
            match presence.event().await {
                Ok(Some(Event::Resumed(_)) | None) => panic!("the Volt accepted the session"),
                Ok(Some(_)) => {}
                Err(error) => break error,
            }
        }
    })
    .await;
    assert_eq!(error.code(), Code::Unauthenticated, "{transport:?}: {error}");
}
