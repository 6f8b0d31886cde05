//! Long-lived clients: sessions that expire, and Volts that start later.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use futures_util::future::join_all;
use volt_api::{
    Client, ClientConfig, Code, ConnectOptions, TransportKind,
    volt::{GetSessionsRequest, SaveSessionRequest, Session, SessionStatus},
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

use crate::support::{TRANSPORTS, over};

/// Ends the session of a client in this way.
async fn end(owner: &Client, config: &ClientConfig, status: SessionStatus) {
    let session = Session::default().with_id(config.session_id().unwrap()).with_status(status);
    let request = SaveSessionRequest::default().with_session(session);
    owner.volt().save_session(request).await.unwrap();
}

/// The number of live sessions of identities with this name.
async fn live(owner: &Client, name: &str) -> usize {
    let request = GetSessionsRequest::default().with_status(SessionStatus::Live);
    let sessions = owner.volt().get_sessions(request).await.unwrap().session;
    sessions.iter().filter(|session| session.identity_name == name).count()
}

#[tokio::test]
async fn an_expired_session_is_renewed_once_for_all_calls_and_saved() {
    for transport in TRANSPORTS {
        renew_once(transport).await;
    }
}

async fn renew_once(transport: TransportKind) {
    let authenticate = |config| {
        soon(Client::authenticate(config).renew().connect_options(over(transport)).into_future())
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("volt.config.json");
    let volt = EmbeddedVolt::start().await.unwrap();
    let owner = Client::connect(volt.config()).await.unwrap();
    volt.stranger("lasting").unwrap().write(&path).unwrap();
    let config = ClientConfig::from_file(&path).unwrap();
    let client = authenticate(config).await.unwrap();
    let first = client.config().unwrap().clone();
    let home = first.credential.as_ref().unwrap().identity_did.clone().unwrap();
    assert!(client.volt().exists(&home).await.unwrap());

    end(&owner, &first, SessionStatus::Expired).await;
    let volt_client = client.volt();
    let calls = (0..10).map(|_| volt_client.exists(&home).into_future());
    for outcome in soon(join_all(calls)).await {
        assert!(outcome.unwrap());
    }
    assert_eq!(live(&owner, "lasting").await, 1, "one renewal for all");
    let saved = ClientConfig::from_file(&path).unwrap();
    assert_ne!(saved.session_id(), first.session_id());
    // A client that is started with the saved file needs no further session.
    authenticate(saved).await.unwrap();
    assert_eq!(live(&owner, "lasting").await, 1);
}

#[tokio::test]
async fn a_revoked_client_learns_why_its_session_cannot_be_renewed() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let owner = Client::connect(volt.config()).await.unwrap();
    let config = volt.stranger("revoked").unwrap();
    let client = soon(Client::authenticate(config).renew()).await.unwrap();
    end(&owner, client.config().unwrap(), SessionStatus::Revoked).await;
    for _ in 0..3 {
        let error = soon(client.volt().exists("@anything")).await.unwrap_err();
        assert_eq!(error.code(), Code::Unauthenticated);
        assert!(error.is_session_invalid());
        let text = format!("{error}");
        assert!(text.contains("denies this client a session"), "{text}");
    }
}

#[tokio::test]
async fn without_renewal_calls_fail_once_the_session_has_expired() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let owner = Client::connect(volt.config()).await.unwrap();
    let client = soon(Client::authenticate(volt.stranger("short").unwrap())).await.unwrap();
    end(&owner, client.config().unwrap(), SessionStatus::Expired).await;
    let error = soon(client.volt().exists("@anything")).await.unwrap_err();
    assert!(error.is_session_invalid(), "{error}");
    assert_eq!(live(&owner, "short").await, 0);
}

#[tokio::test]
async fn a_follower_continues_after_its_session_has_expired() {
    for transport in TRANSPORTS {
        follow_with_an_expired_session(transport).await;
    }
}

async fn follow_with_an_expired_session(transport: TransportKind) {
    let volt = EmbeddedVolt::start().await.unwrap();
    let owner = Client::connect(volt.config()).await.unwrap();
    owner.wire().ensure_wire("@news").persist(true).await.unwrap();
    let renewals = Arc::<AtomicU32>::default();
    let other = volt.config();
    let counted = Arc::clone(&renewals);
    let mut options = over(transport);
    let session = other.session_id().unwrap().to_owned();
    options.renewal = Some(volt_api::Renewal::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let session = session.clone();
        async move { Ok(session) }
    }));
    let mut expired = other;
    expired.credential.as_mut().unwrap().session_id = Some("expired".to_owned());
    let client = Client::connect_with(expired, options).await.unwrap();
    let mut follower = soon(client.wire().follow("@news").from_start()).await.unwrap();
    soon(client.wire().publish("@news", "one")).await.unwrap();
    assert_eq!(soon(follower.message()).await.unwrap().unwrap().text(), "one");
    assert_eq!(renewals.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_lazy_client_makes_its_first_call_after_the_volt_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let volt = EmbeddedVolt::builder().data_dir(folder.path()).start().await.unwrap();
    let (config, id) = (volt.config(), volt.id().to_owned());
    let address = volt.url().trim_start_matches("http://").parse().unwrap();
    volt.shutdown().await;
    let client = Client::connect_lazy(config, ConnectOptions::default()).unwrap();
    assert!(client.config().is_some());
    let exists = tokio::spawn(client.volt().exists(id).into_future());
    let builder = EmbeddedVolt::builder().data_dir(folder.path()).listen(address);
    let _volt = builder.start().await.unwrap();
    assert!(soon(exists).await.unwrap().unwrap());
}
