//! The Volt over gRPC, with this SDK's client.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use volt_api::{
    Client, ClientConfig, Code, ConnectOptions, ErrorKind, Target, TransportKind,
    authenticate::Identity,
    data::{
        CreateDatabaseRequest, SqlExecuteRequest, SqlExecuteStart, sql_execute_response::Payload,
    },
    server::Claims,
    volt::{
        DiscoverServicesRequest, DownloadFileRequest, GetFileContentRequest, GetResourceRequest,
        InvokeRequest, Resource, SaveResourceRequest, SaveSessionRequest, Session, SessionStatus,
        UploadFileRequest, UploadFileStart, download_file_response,
    },
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

use crate::{
    hosting::{Shop, call_all_four_kinds},
    shop::shop::v1::{GetArticleRequest, ShopApiClient, ShopApiServer},
    support::{make, start},
};

fn options() -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.transport = TransportKind::Grpc;
    options
}

pub(crate) async fn connect(config: ClientConfig) -> Client {
    soon(Client::connect_with(config, options())).await.unwrap()
}

fn get(id: &str) -> GetResourceRequest {
    GetResourceRequest::default().with_resource_id(id)
}

#[tokio::test]
async fn both_transports_show_the_same_volt() {
    let (volt, websocket) = start().await;
    let grpc = connect(volt.config()).await;
    let id = make(&websocket, "made by one", "volt:folder").await.id;
    let read = grpc.volt().get_resource(get(&id)).await.unwrap().resource.unwrap();
    assert_eq!(read.name, "made by one");
    let mut refusals = Vec::new();
    for client in [&websocket, &grpc] {
        refusals.push(client.volt().get_resource(get("none")).await.unwrap_err());
    }
    let [first, second] = refusals.try_into().unwrap();
    assert_eq!((first.kind(), first.status()), (second.kind(), second.status()));
    assert_eq!((second.kind(), second.code()), (ErrorKind::Refused, Code::NotFound));
}

#[tokio::test]
async fn files_and_rows_are_streamed() {
    let (volt, _) = start().await;
    let client = connect(volt.config()).await;
    let file = make(&client, "file", "volt:file").await.id;
    let mut upload = client.file().upload_file().await.unwrap();
    let begin = UploadFileStart::default().with_resource_id(&file).with_truncate(true);
    upload.send(UploadFileRequest::default().with_start(begin)).await.unwrap();
    let block = vec![7; 200_000];
    for _ in 0..10 {
        upload.send(UploadFileRequest::default().with_block(block.clone())).await.unwrap();
    }
    upload.half_close();
    while soon(upload.message()).await.unwrap().is_some() {}
    let request = DownloadFileRequest::default().with_resource_id(&file);
    let mut download = client.file().download_file(request).await.unwrap();
    let mut received = Vec::new();
    while let Some(answer) = soon(download.message()).await.unwrap() {
        if let Some(download_file_response::Payload::Block(block)) = answer.payload {
            received.extend(block);
        }
    }
    assert!(received == block.repeat(10));
    let request = GetFileContentRequest::default().with_resource_id(&file);
    let content = client.file().get_file_content(request).await.unwrap().content;
    assert_eq!(content.len(), 2_000_000);

    let request = CreateDatabaseRequest::default().with_name("db");
    let database = client.sqlite_server().create_database(request).await.unwrap();
    let begin =
        SqlExecuteStart::default().with_database_id(database.resource.unwrap().id).with_statement(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n LIMIT 500) SELECT i FROM n",
        );
    let mut call = client.sqlite_database().execute().await.unwrap();
    call.send(SqlExecuteRequest::default().with_start(begin)).await.unwrap();
    call.half_close();
    let mut rows = 0;
    while let Some(answer) = soon(call.message()).await.unwrap() {
        rows += usize::from(matches!(answer.payload, Some(Payload::Row(_))));
    }
    assert_eq!(rows, 500);
}

#[tokio::test]
async fn a_new_client_authenticates_and_gets_a_certificate() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let mut config = ClientConfig::default().with_client_name("new");
    config.volt = volt.config().volt;
    // The only address is that of gRPC.
    config.volt.http_address = None;
    let client = Client::authenticate(config.clone()).identity(Identity::Key);
    let client = soon(client).await.unwrap();
    client.volt().get_resource(get(volt.id())).await.unwrap();
    let own = client.config().unwrap().credential.clone().unwrap();
    assert!(own.cert.as_deref().unwrap().contains("BEGIN CERTIFICATE"));
    assert_eq!(own.ca, volt.config().volt.ca_pem);
    // Authentication over a websocket returns no certificate.
    config.volt = volt.config().volt;
    let client = soon(Client::authenticate(config)).await.unwrap();
    assert_eq!(client.config().unwrap().credential.as_ref().unwrap().cert, None);
}

#[tokio::test]
async fn an_ended_session_is_invalid_over_grpc() {
    let (volt, owner) = start().await;
    let config = volt.guest("guest").unwrap();
    let client = connect(config.clone()).await;
    client.volt().get_resource(get(volt.id())).await.unwrap();
    let mut presence = soon(client.presence().into_future()).await.unwrap();
    let id = config.credential.as_ref().unwrap().session_id.clone().unwrap();
    let over = Session::default().with_id(id).with_status(SessionStatus::Revoked);
    owner.volt().save_session(SaveSessionRequest::default().with_session(over)).await.unwrap();
    let error = client.volt().get_resource(get(volt.id())).await.unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated, "{error}");
    assert!(error.to_string().ends_with("session invalid"), "{error}");
    // Its open calls have ended.
    soon(async { while let Ok(Some(_)) = presence.event().await {} }).await;
}

/// The calls are sealed between the client and the host, each within an `Invoke` stream.
#[tokio::test]
async fn services_of_other_clients_are_called_through_the_volt() {
    let (volt, owner) = start().await;
    let shop = ShopApiServer::new(Shop::default());
    let request = SaveResourceRequest::default()
        .with_create(true)
        .with_resource(Resource::hosted_service("shop", &shop));
    let resource = owner.volt().save_resource(request).await.unwrap().resource.unwrap();
    let _presence = soon(owner.presence().host(&resource, shop).into_future()).await.unwrap();
    let request = DiscoverServicesRequest::default().with_service_api([ShopApiClient::NAME]);
    let found = owner.volt().discover_services(request).await.unwrap().resource;
    let mut target = Target::from(&found[0]);
    let client = connect(volt.config()).await;
    let shop = ShopApiClient::new(client.channel().clone());
    call_all_four_kinds(&shop, target.clone()).await;
    target.host_client_id = Some("did:volt:nobody".to_owned());
    let request = GetArticleRequest::default().with_id("hat");
    let error = soon(shop.get_article(request).service(target)).await.unwrap_err();
    assert!(error.to_string().contains("failure forwarding invocation: not found"), "{error}");
}

/// The first message of `Invoke` for a call to the Volt itself.
pub(crate) fn opening(volt: &EmbeddedVolt) -> InvokeRequest {
    // Any X25519 key is suitable: this is the base point.
    let mut key = vec![0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 0x21, 0, 9];
    key.resize(44, 0);
    let config = volt.config();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = Claims::new(volt.id(), config.session_id(), &key, now);
    let token = claims.to_jwt(&config.signing_key().unwrap()).unwrap();
    InvokeRequest::default().with_token(token).with_target_did([volt.id()])
}

/// Otherwise the call would wait for its target indefinitely.
#[tokio::test]
async fn an_invocation_begins_with_its_token() {
    let (volt, _) = start().await;
    let client = connect(volt.config()).await;
    for request in
        [InvokeRequest::default(), InvokeRequest::default().with_json_payload(vec![0; 16])]
    {
        let mut call = client.volt().invoke().await.unwrap();
        call.send(request).await.unwrap();
        let error = soon(call.message()).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
}

/// A published client repeats its first message if it writes early. A second answer would replace its
/// key.
#[tokio::test]
async fn a_repeated_token_of_an_invocation_is_answered_once() {
    let (volt, _) = start().await;
    let client = connect(volt.config()).await;
    let mut call = client.volt().invoke().await.unwrap();
    for _ in 0..3 {
        call.send(opening(&volt)).await.unwrap();
    }
    // The frame cannot be opened, so the call ends.
    let damaged = InvokeRequest::default().with_iv(vec![0; 16]).with_json_payload(vec![0; 16]);
    call.send(damaged).await.unwrap();
    let mut exchanges = 0;
    while let Ok(Some(answer)) = soon(call.message()).await {
        exchanges += usize::from(answer.key_exchange.is_some());
    }
    assert_eq!(exchanges, 1);
}

#[tokio::test]
async fn grpc_can_be_turned_off_and_moved() {
    let volt = EmbeddedVolt::builder().without_grpc().start().await.unwrap();
    assert_eq!(volt.grpc_address(), None);
    let config = volt.config();
    assert_eq!(config.volt.address.as_deref(), volt.url().strip_prefix("http://"));
    assert_eq!(config.credential.as_ref().unwrap().cert, None);
    volt.shutdown().await;
    let volt = EmbeddedVolt::builder().grpc(([127, 0, 0, 1], 0).into()).start().await.unwrap();
    let address = volt.grpc_address().unwrap().to_string();
    assert_eq!(volt.config().volt.address, Some(address));
}

#[tokio::test]
async fn a_stopping_volt_finishes_grpc_calls() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let client = connect(volt.config()).await;
    let mut call = client.volt().connect().await.unwrap();
    let hello = volt_api::volt::ConnectHello::default();
    call.send(volt_api::volt::ConnectRequest::default().with_hello(hello)).await.unwrap();
    assert!(soon(call.message()).await.unwrap().is_some());
    tokio::time::timeout(Duration::from_secs(30), volt.shutdown()).await.unwrap();
    let error = soon(call.message()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
}
