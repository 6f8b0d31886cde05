//! Sessions that expire under a connected client, and clients that connect before their Volt has started.

use std::{
    error::Error as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use futures_util::future::join_all;
use tokio::{net::TcpListener, sync::Notify};
use volt_runtime::{
    Channel, ClientConfig, Code, ConnectOptions, Error, ErrorKind, Executed, Renewal, Status,
    TransportKind, Update, connect, connect_lazy,
    key::{SigningKey, VerifyingKey},
    server::{Authenticator, Caller, Router, Server, ServiceHost, Token, serve, serve_grpc},
};
use volt_test_support::{Note, soon};

use crate::support::{Notes, NotesClient, Probe, VOLT_ID, Volt, quick};

/// Accepts one session, which a test may change.
struct Sessions {
    accepted: Arc<Mutex<String>>,
    key: VerifyingKey,
}

impl Authenticator for Sessions {
    fn authenticate(&self, token: &Token) -> Result<Caller, Status> {
        let accepted = self.accepted.lock().unwrap().clone();
        if token.verify(&self.key).is_err() || token.claims().sub.as_deref() != Some(&*accepted) {
            return Err(Status::new(Code::Unauthenticated, "session invalid"));
        }
        Ok(Caller::new(accepted, "did:volt:client"))
    }
}

/// A Volt whose sessions expire, with a client that renews them.
struct Expiring {
    _server: Server,
    channel: Channel,
    accepted: Arc<Mutex<String>>,
    /// The number of renewals that have begun.
    renewals: Arc<AtomicU32>,
    /// Lets a renewal end.
    gate: Arc<Notify>,
}

impl Expiring {
    async fn start(options: ConnectOptions) -> Self {
        let accepted = Arc::new(Mutex::new("session 0".to_owned()));
        let (volt_key, key) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let sessions = Sessions { accepted: Arc::clone(&accepted), key: key.verifying_key() };
        let public = volt_key.verifying_key().to_pem();
        let router = Router::new().with(Notes(Probe::default()));
        let host = ServiceHost::new(VOLT_ID, volt_key, router, sessions);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let grpc = options.transport == TransportKind::Grpc;
        let server = if grpc { serve_grpc(listener, host) } else { serve(listener, host) };
        let mut config = ClientConfig::new(VOLT_ID, &url, public)
            .with_credential(key.to_pem().unwrap().as_str(), Some("session 0".to_owned()));
        config.volt.address = Some(url);
        let (renewals, gate) = (Arc::<AtomicU32>::default(), Arc::<Notify>::default());
        let renewal = {
            let (accepted, renewals, gate) =
                (Arc::clone(&accepted), Arc::clone(&renewals), Arc::clone(&gate));
            Renewal::new(move || {
                let (accepted, gate) = (Arc::clone(&accepted), Arc::clone(&gate));
                renewals.fetch_add(1, Ordering::SeqCst);
                async move {
                    gate.notified().await;
                    match accepted.lock().unwrap().clone() {
                        session if session == "none" => Err(Error::configuration("denied")),
                        session => Ok(session),
                    }
                }
            })
        };
        let mut options = options;
        options.renewal = Some(renewal);
        let channel = connect(&config, options).await.unwrap();
        Self { _server: server.unwrap(), channel, accepted, renewals, gate }
    }

    fn client(&self) -> NotesClient {
        NotesClient(self.channel.clone())
    }

    /// Rejects the current session, and accepts `next`. No renewal obtains the session `none`.
    fn expire(&self, next: &str) {
        next.clone_into(&mut self.accepted.lock().unwrap());
    }

    fn renewals(&self) -> u32 {
        self.renewals.load(Ordering::SeqCst)
    }

    /// Waits until a renewal has begun.
    async fn renewing(&self) {
        soon(async {
            while self.renewals() == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

fn over(transport: TransportKind) -> ConnectOptions {
    let mut options = quick();
    options.transport = transport;
    options
}

#[tokio::test]
async fn concurrent_calls_share_one_renewal_and_continue() {
    for transport in [TransportKind::Websocket, TransportKind::Grpc] {
        let volt = Expiring::start(over(transport)).await;
        let client = volt.client();
        assert_eq!(soon(client.get(Note::new("a", 1))).await.unwrap(), Note::new("a", 1));
        volt.expire("session 1");
        let calls = (0..20).map(|number| client.get(Note::new("n", number)).into_future());
        let calls = tokio::spawn(join_all(calls));
        volt.renewing().await;
        volt.gate.notify_one();
        for (number, outcome) in soon(calls).await.unwrap().into_iter().enumerate() {
            assert_eq!(outcome.unwrap().number, u64::try_from(number).unwrap(), "{transport:?}");
        }
        assert_eq!(volt.renewals(), 1, "{transport:?}");
        soon(client.get(Note::default())).await.unwrap();
        assert_eq!(volt.renewals(), 1, "{transport:?}");
    }
}

#[tokio::test]
async fn a_stream_of_responses_and_a_subscription_continue() {
    for transport in [TransportKind::Websocket, TransportKind::Grpc] {
        let volt = Expiring::start(over(transport)).await;
        let client = volt.client();
        volt.expire("session 1");
        volt.gate.notify_one();
        let mut list = soon(client.list(Note::new("n", 2))).await.unwrap();
        assert_eq!(soon(list.message()).await.unwrap(), Some(Note::new("n", 0)));
        assert_eq!(soon(list.message()).await.unwrap(), Some(Note::new("n", 1)));
        assert_eq!(soon(list.message()).await.unwrap(), None);
        let mut updates = soon(client.list(Note::new("n", 1)).subscribe()).await.unwrap();
        assert_eq!(soon(updates.update()).await.unwrap(), Some(Update::Message(Note::new("n", 0))));
        assert_eq!(volt.renewals(), 1);
    }
}

#[tokio::test]
async fn streams_of_requests_are_opened_with_the_new_session() {
    let volt = Expiring::start(quick()).await;
    volt.expire("session 1");
    volt.gate.notify_one();
    let mut sum = soon(volt.client().sum()).await.unwrap();
    soon(sum.send(Note::new("", 4))).await.unwrap();
    assert_eq!(soon(sum.finish()).await.unwrap(), Note::new("sum", 4));
    let mut echo = soon(volt.client().echo()).await.unwrap();
    soon(echo.send(Note::new("e", 1))).await.unwrap();
    assert_eq!(soon(echo.message()).await.unwrap(), Some(Note::new("e", 1)));
    assert_eq!(volt.renewals(), 1);
}

/// Pre-opened calls still have the old session. Each of them must not cause a renewal.
#[tokio::test]
async fn pre_opened_calls_cause_one_renewal() {
    let mut options = quick();
    options.preopened_calls = 4;
    let volt = Expiring::start(options).await;
    let client = volt.client();
    soon(client.get(Note::default())).await.unwrap();
    volt.expire("session 1");
    volt.gate.notify_one();
    for _ in 0..8 {
        soon(client.get(Note::default())).await.unwrap();
    }
    assert!(volt.renewals() <= 1, "{}", volt.renewals());
}

#[tokio::test]
async fn a_failed_renewal_is_reported_to_all_and_not_repeated_immediately() {
    let volt = Expiring::start(quick()).await;
    let client = volt.client();
    volt.expire("none");
    let calls = tokio::spawn(join_all((0..5).map(|_| client.get(Note::default()).into_future())));
    volt.renewing().await;
    volt.gate.notify_one();
    for outcome in soon(calls).await.unwrap() {
        let error = outcome.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Routing, Code::Unauthenticated));
        assert_eq!(error.executed(), Executed::No);
        assert!(error.is_session_invalid());
        assert!(error.to_string().contains("the session could not be renewed: "), "{error}");
        assert!(error.source().unwrap().to_string().contains("denied"), "{error}");
    }
    // No renewal for a while: the next call has the same reason.
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert!(error.to_string().contains("denied"), "{error}");
    assert_eq!(volt.renewals(), 1);
}

#[tokio::test]
async fn a_session_rejected_after_its_renewal_is_an_error_without_a_loop() {
    let volt = Expiring::start(quick()).await;
    let client = volt.client();
    volt.expire("session 1");
    let get = tokio::spawn(client.get(Note::default()).into_future());
    volt.renewing().await;
    volt.gate.notify_one();
    soon(get).await.unwrap().unwrap();
    volt.expire("session 2");
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert_eq!((error.code(), error.executed()), (Code::Unauthenticated, Executed::No));
    assert_eq!(volt.renewals(), 1, "the next renewal follows later");
}

#[tokio::test]
async fn a_dropped_call_does_not_end_the_renewal_that_it_began() {
    let volt = Expiring::start(quick()).await;
    let client = volt.client();
    volt.expire("session 1");
    let first = tokio::spawn(client.get(Note::default()).into_future());
    volt.renewing().await;
    let second = tokio::spawn(client.get(Note::new("b", 2)).into_future());
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    volt.gate.notify_one();
    assert_eq!(soon(second).await.unwrap().unwrap(), Note::new("b", 2));
    assert_eq!(volt.renewals(), 1);
}

#[tokio::test]
async fn a_call_that_waits_for_a_renewal_ends_at_its_deadline_or_with_the_channel() {
    let volt = Expiring::start(quick()).await;
    let client = volt.client();
    volt.expire("session 1");
    let waiting = tokio::spawn(client.get(Note::default()).into_future());
    volt.renewing().await;
    let late = client.get(Note::default()).timeout(std::time::Duration::from_millis(20));
    let error = soon(late).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Deadline, Executed::No), "{error}");
    volt.channel.close().await;
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No), "{error}");
}

#[tokio::test]
async fn a_lazy_client_connects_with_its_first_call() {
    let volt = Volt::start().await;
    let stopped = volt.stop().await;
    let mut config = Volt::start().await.config;
    config.volt.http_address = Some(format!("http://{}", stopped.address));
    // There is no Volt, and creating the client needs none.
    let client = NotesClient(connect_lazy(&config, quick()).unwrap());
    let state = client.0.watch_state().current();
    assert!(state.to_string().contains("has not connected yet"), "{state}");
    let refused = client.get(Note::default()).wait_for_ready(false);
    assert_eq!(soon(refused).await.unwrap_err().executed(), Executed::No);
    client.0.close().await;
    assert!(client.0.watch_state().current().is_closed());

    let (volt, client) = {
        let config = stopped.config().clone();
        let client = NotesClient(connect_lazy(&config, quick()).unwrap());
        let waiting = tokio::spawn(client.get(Note::new("early", 1)).into_future());
        let volt = stopped.start().await;
        assert_eq!(soon(waiting).await.unwrap().unwrap(), Note::new("early", 1));
        (volt, client)
    };
    assert!(client.0.watch_state().current().is_connected());
    drop(volt);
}

#[tokio::test]
async fn a_lazy_client_without_reconnecting_tries_once() {
    let stopped = Volt::start().await.stop().await;
    let mut options = quick();
    options.reconnect = None;
    let client = NotesClient(connect_lazy(stopped.config(), options).unwrap());
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No), "{error}");
    assert!(client.0.watch_state().current().is_closed());
}

#[test]
fn a_lazy_client_outside_of_a_runtime_is_an_error() {
    let (volt, client) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let config = ClientConfig::new(VOLT_ID, "http://127.0.0.1:1", volt.verifying_key().to_pem())
        .with_credential(client.to_pem().unwrap().as_str(), None);
    let error = connect_lazy(&config, ConnectOptions::default()).unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[tokio::test]
async fn the_first_connection_is_retried_on_request() {
    let stopped = Volt::start().await.stop().await;
    let config = stopped.config().clone();
    let mut options = quick();
    let error = soon(connect(&config, options.clone())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    options.retry_first = true;
    if let Some(reconnect) = &mut options.reconnect {
        reconnect.give_up_after = Some(std::time::Duration::from_millis(1));
    }
    let error = soon(connect(&config, options.clone())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    options.reconnect = quick().reconnect;
    let connecting = tokio::spawn(async move { connect(&config, options).await });
    tokio::task::yield_now().await;
    let _volt = stopped.start().await;
    let client = NotesClient(soon(connecting).await.unwrap().unwrap());
    soon(client.get(Note::default())).await.unwrap();
}
