//! The rights of clients with and without a session, and of clients other than the owner.

use volt_api::{
    Client, Code, ConnectOptions, ErrorKind, TransportKind,
    key::SigningKey,
    volt::{
        AuthenticateRequest, CheckCompatibilityRequest, GetIdentityRequest, GetResourceRequest,
        GetSessionsRequest, PolicyDecision, SaveSessionRequest, Session, SessionStatus,
        UploadFileRequest, Version,
    },
};
use volt_embedded::{EmbeddedVolt, UnknownClients};

use crate::support::{code, database, guest, make, permit, start};

fn get(id: &str) -> GetResourceRequest {
    GetResourceRequest::default().with_resource_id(id)
}

fn as_key(config: &volt_api::ClientConfig) -> AuthenticateRequest {
    let pem = config.credential.as_ref().unwrap().key.clone().unwrap();
    let public = SigningKey::from_pem(&pem).unwrap().verifying_key().to_pem();
    AuthenticateRequest::default().with_did_public_key(public).with_client_name("stranger")
}

#[tokio::test]
async fn a_stranger_can_only_authenticate_and_then_call() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let mut config = volt.stranger("stranger").unwrap();
    let client = Client::connect(config.clone()).await.unwrap();
    let refused = client.volt().get_resource(get(volt.id())).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Refused, Code::Unauthenticated));
    let version = Version::default().with_version_minor(20);
    let request = CheckCompatibilityRequest::default().with_version(version);
    let answer = client.volt().check_compatibility(request).await.unwrap();
    assert_eq!(answer.version.unwrap().version_patch, 34);
    let older = Version::default().with_version_minor(15);
    let request = CheckCompatibilityRequest::default().with_version(older);
    assert_eq!(code(client.volt().check_compatibility(request).await), Code::FailedPrecondition);

    let answer = client.volt().authenticate(as_key(&config)).await.unwrap();
    assert_eq!(answer.decision(), PolicyDecision::Permit);
    config.credential.as_mut().unwrap().session_id = Some(answer.session_id);
    let client = Client::connect(config).await.unwrap();
    let request = GetIdentityRequest::default().with_identity_did(&answer.identity_did);
    let identity = client.volt().get_identity(request).await.unwrap().identity.unwrap();
    assert_eq!(identity.resource.unwrap().name, "stranger");
}

#[tokio::test]
async fn a_prompted_client_waits_for_the_owner() {
    let volt =
        EmbeddedVolt::builder().unknown_clients(UnknownClients::Prompt).start().await.unwrap();
    let owner = Client::connect(volt.config()).await.unwrap();
    let mut config = volt.stranger("stranger").unwrap();
    let client = Client::connect(config.clone()).await.unwrap();
    let ask = || async {
        let answer = client.volt().authenticate(as_key(&config)).await.unwrap();
        (answer.decision(), answer.session_id)
    };
    let (decision, session) = ask().await;
    assert_eq!(decision, PolicyDecision::Prompt);
    assert_eq!(ask().await.0, PolicyDecision::Pending);
    let request = GetSessionsRequest::default().with_status(SessionStatus::Pending);
    let waiting = owner.volt().get_sessions(request).await.unwrap().session;
    assert_eq!(waiting[0].id, session);
    let live = Session::default().with_id(&session).with_status(SessionStatus::Live);
    owner.volt().save_session(SaveSessionRequest::default().with_session(live)).await.unwrap();
    assert_eq!(ask().await.0, PolicyDecision::Permit);
    config.credential.as_mut().unwrap().session_id = Some(session);
    let client = Client::connect(config).await.unwrap();
    client.volt().get_resource(get(volt.id())).await.unwrap();
}

#[tokio::test]
async fn an_invalid_session_opens_no_call() {
    let (volt, owner) = start().await;
    let mut unknown = volt.config();
    unknown.credential.as_mut().unwrap().session_id = Some("none".to_owned());
    // Another client's session, with the thief's own key.
    let stranger = volt.stranger("thief").unwrap();
    let mut stolen = volt.config();
    stolen.credential.as_mut().unwrap().key = stranger.credential.as_ref().unwrap().key.clone();
    let revoked = volt.guest("revoked").unwrap();
    let id = revoked.session_id().unwrap().to_owned();
    let over = Session::default().with_id(id).with_status(SessionStatus::Revoked);
    owner.volt().save_session(SaveSessionRequest::default().with_session(over)).await.unwrap();
    for config in [unknown, stolen, revoked] {
        let client = Client::connect(config).await.unwrap();
        let error = client.volt().get_resource(get(volt.id())).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Routing, Code::Unauthenticated));
        assert!(error.to_string().contains("session invalid"), "{error}");
        // Calls that start by sending fail with the same reason.
        let error = client.presence().await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Routing, Code::Unauthenticated));
        let mut call = client.file().upload_file().await.unwrap();
        let error = call.send(UploadFileRequest::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Routing, Code::Unauthenticated));
    }
}

#[tokio::test]
async fn every_helper_reports_an_invalid_session() {
    let (volt, owner) = start().await;
    let db = database(&owner, &[]).await;
    let mut config = volt.config();
    config.credential.as_mut().unwrap().session_id = Some("none".to_owned());
    for transport in [TransportKind::Websocket, TransportKind::Grpc] {
        let mut options = ConnectOptions::default();
        options.transport = transport;
        let client = Client::connect_with(config.clone(), options).await.unwrap();
        let (database, wire) = (client.database(&db), client.wire());
        let publisher = async {
            let mut publisher = wire.publisher("wire").await?;
            publisher.publish("message").await?;
            publisher.finish().await
        };
        for (helper, outcome) in [
            ("query", database.query("SELECT 1").fetch_all::<(i64,)>().await.map(drop)),
            ("execute", database.query("SELECT 1").execute().await.map(drop)),
            ("presence", client.presence().await.map(drop)),
            ("publish", wire.publish("wire", "message").await),
            ("publisher", publisher.await),
            ("upload", client.file().upload("file").from_bytes("text").await.map(drop)),
            ("download", client.file().download("file").bytes().await.map(drop)),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error.code(), Code::Unauthenticated, "{transport:?}, {helper}: {error}");
            assert!(error.is_session_invalid(), "{transport:?}, {helper}: {error}");
        }
    }
}

#[tokio::test]
async fn a_token_for_another_volt_opens_no_call() {
    let (volt, _owner) = start().await;
    let mut config = volt.config();
    config.volt.id = Some("did:volt:other".to_owned());
    let client = Client::connect(config).await.unwrap();
    let error = client.volt().get_resource(get(volt.id())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Routing);
}

#[tokio::test]
async fn refusals_have_their_kind() {
    let (volt, owner) = start().await;
    let (client, identity) = guest(&volt).await;
    let private = make(&owner, "private", "volt:folder").await.id;
    let read = |client: &Client, id: &str| client.volt().get_resource(get(id));
    assert_eq!(code(read(&client, &private).await), Code::PermissionDenied);
    assert_eq!(code(read(&client, "none").await), Code::NotFound);
    assert_eq!(code(read(&client, "").await), Code::InvalidArgument);
    permit(&owner, &private, &identity, "volt:resource-read").await;
    read(&client, &private).await.unwrap();
    let request = volt_api::volt::GetPolicyRequest::default();
    assert_eq!(code(client.volt().get_policy(request).await), Code::Unimplemented);
}
