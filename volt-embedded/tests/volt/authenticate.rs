//! Authenticates with one call, starting from a configuration.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use volt_api::{
    Client, ClientConfig, Code, ErrorKind,
    authenticate::{Challenge, Identity},
    volt::{
        GetOneTimeTokenRequest, GetResourceRequest, GetSessionsRequest, PolicyDecision,
        SaveSessionRequest, Session, SessionStatus,
    },
};
use volt_embedded::{EmbeddedVolt, UnknownClients};

use crate::support::{identity, start};

fn session(config: &ClientConfig) -> String {
    config.session_id().unwrap().to_owned()
}

async fn works(client: &Client, volt: &EmbeddedVolt) {
    let request = GetResourceRequest::default().with_resource_id(volt.id());
    client.volt().get_resource(request).await.unwrap();
}

/// Writes a configuration file without a key or a session, and reads it back.
fn file(volt: &EmbeddedVolt, folder: &Path) -> ClientConfig {
    let path = folder.join("volt.config.json");
    let mut config = volt.config();
    config.credential = None;
    config.write(&path).unwrap();
    ClientConfig::from_file(path).unwrap()
}

#[tokio::test]
async fn a_file_without_a_key_receives_a_session() {
    let (volt, _) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let client = Client::authenticate(file(&volt, folder.path())).await.unwrap();
    works(&client, &volt).await;
    let path = folder.path().join("volt.config.json");
    let saved = ClientConfig::from_file(&path).unwrap();
    assert_eq!(session(&saved), session(client.config().unwrap()));
    assert!(identity(&saved).starts_with("did:volt:"));
    // The next time, the file is used unchanged.
    let again = Client::authenticate(saved.clone()).await.unwrap();
    assert_eq!(session(again.config().unwrap()), session(&saved));
}

/// Saving the generated key preserves the other fields of the file.
#[tokio::test]
async fn a_challenge_code_in_the_file_is_proved() {
    let volt = EmbeddedVolt::builder()
        .unknown_clients(UnknownClients::Prompt)
        .challenge("open sesame")
        .start()
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = file(&volt, folder.path());
    let own = config.credential.get_or_insert_default();
    own.challenge_code = Some("open sesame".to_owned());
    own.other.insert("bindIp".to_owned(), "10.0.0.7".into());
    config.save().unwrap();
    // `Duration::MAX` means no deadline.
    let authenticate = Client::authenticate(config).fail_if_pending().deadline(Duration::MAX);
    works(&authenticate.await.unwrap(), &volt).await;
    let saved = ClientConfig::from_file(folder.path().join("volt.config.json")).unwrap();
    let own = saved.credential.as_ref().unwrap();
    assert_eq!(own.challenge_code.as_deref(), Some("open sesame"));
    assert_eq!(own.bind_ip(), Some("10.0.0.7"));
}

#[tokio::test]
async fn every_form_of_identity_receives_a_session() {
    let (volt, _) = start().await;
    for (who, is_did) in [
        (Identity::Did, true),
        (Identity::Key, false),
        (Identity::OwnDid(None), true),
        (Identity::OwnDid(Some("did:volt:of-my-own".to_owned())), true),
    ] {
        let config = volt.stranger("somebody").unwrap();
        let client = Client::authenticate(config).identity(who.clone()).await.unwrap();
        works(&client, &volt).await;
        let did = identity(client.config().unwrap());
        assert_eq!(did.starts_with("did:volt:"), is_did, "{who:?}: {did}");
        if let Identity::OwnDid(Some(own)) = who {
            assert_eq!(did, own);
        }
    }
}

#[tokio::test]
async fn a_challenge_is_proved_in_three_forms() {
    let volt = EmbeddedVolt::builder()
        .unknown_clients(UnknownClients::Prompt)
        .challenge("open sesame")
        .start()
        .await
        .unwrap();
    for form in [Challenge::Hash, Challenge::Signature, Challenge::Plain] {
        let mut config = volt.stranger("somebody").unwrap();
        config.credential.as_mut().unwrap().challenge_code = Some("open sesame".to_owned());
        let client = Client::authenticate(config).challenge(form).await.unwrap();
        works(&client, &volt).await;
    }
    let wrong = Client::authenticate(volt.stranger("thief").unwrap()).challenge_code("open rice");
    let error = wrong.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn a_one_time_token_starts_a_session_of_its_issuer() {
    let (volt, owner) = start().await;
    let token = owner.volt().get_one_time_token(GetOneTimeTokenRequest::default()).await.unwrap();
    let config = volt.stranger("somebody").unwrap();
    let client = Client::authenticate(config).exchange_token(token.token).await.unwrap();
    assert_eq!(identity(client.config().unwrap()), identity(&volt.config()));
}

#[tokio::test]
async fn authentication_waits_for_the_owner() {
    let volt =
        EmbeddedVolt::builder().unknown_clients(UnknownClients::Prompt).start().await.unwrap();
    let owner = Client::connect(volt.config()).await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let list = Arc::clone(&heard);
    let waiting = Client::authenticate(volt.stranger("somebody").unwrap())
        .poll_interval(Duration::from_millis(5))
        .on_waiting(move |decision| {
            list.lock().unwrap().push(decision);
            sender.send(()).ok();
        });
    let waiting = tokio::spawn(waiting.into_future());
    asked.recv().await.unwrap();
    asked.recv().await.unwrap();
    let request = GetSessionsRequest::default().with_status(SessionStatus::Pending);
    let pending = owner.volt().get_sessions(request).await.unwrap().session.remove(0);
    let live = Session::default().with_id(pending.id).with_status(SessionStatus::Live);
    owner.volt().save_session(SaveSessionRequest::default().with_session(live)).await.unwrap();
    works(&waiting.await.unwrap().unwrap(), &volt).await;
    let heard = heard.lock().unwrap();
    assert_eq!(heard[..2], [PolicyDecision::Prompt, PolicyDecision::Pending]);
}

#[tokio::test]
async fn a_wait_can_be_refused_or_limited() {
    let volt =
        EmbeddedVolt::builder().unknown_clients(UnknownClients::Prompt).start().await.unwrap();
    let config = volt.stranger("somebody").unwrap();
    let error = Client::authenticate(config.clone()).fail_if_pending().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Code::FailedPrecondition));
    let error = Client::authenticate(config).deadline(Duration::from_millis(50)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Deadline);
}

#[tokio::test]
async fn a_denial_is_an_error_and_the_file_keeps_its_key() {
    let volt = EmbeddedVolt::builder().unknown_clients(UnknownClients::Deny).start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = Client::authenticate(file(&volt, folder.path())).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Code::PermissionDenied));
    let saved = ClientConfig::from_file(folder.path().join("volt.config.json")).unwrap();
    assert!(saved.session_id().is_none());
    saved.signing_key().unwrap();
}

#[tokio::test]
async fn an_unknown_session_is_renewed() {
    let (volt, _) = start().await;
    let mut config = volt.stranger("somebody").unwrap();
    config.credential.as_mut().unwrap().session_id = Some("forgotten".to_owned());
    let client = Client::authenticate(config).await.unwrap();
    assert_ne!(session(client.config().unwrap()), "forgotten");
    works(&client, &volt).await;
}

#[tokio::test]
async fn an_unwritable_file_is_unchanged() {
    let (volt, _) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let (here, gone) = (folder.path().join("here"), folder.path().join("gone"));
    std::fs::create_dir(&here).unwrap();
    let config = file(&volt, &here);
    let read = |folder: &Path| std::fs::read_to_string(folder.join("volt.config.json")).unwrap();
    let before = read(&here);
    std::fs::rename(&here, &gone).unwrap();
    let error = Client::authenticate(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert_eq!(read(&gone), before);
}
