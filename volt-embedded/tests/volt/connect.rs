use volt_api::{
    Client, Code, Duplex,
    volt::{
        ConnectGoodbye, ConnectHello, ConnectPing, ConnectRequest, ConnectResourceEvent as What,
        ConnectResponse, DeleteResourceRequest, DiscoverServicesRequest, Resource,
        SaveResourceRequest, ServiceDescription, ServiceHostType, connect_event::Event,
        connect_response::Payload,
    },
};

use crate::support::{code, database, guest, make, start};

type Call = Duplex<ConnectRequest, ConnectResponse>;

async fn connect(client: &Client, hello: ConnectHello) -> Call {
    let mut call = client.volt().connect().await.unwrap();
    call.send(ConnectRequest::default().with_hello(hello)).await.unwrap();
    let Some(Payload::Acknowledge(acknowledge)) = next(&mut call).await else {
        panic!("not acknowledged");
    };
    assert!(!acknowledge.connection_id.is_empty());
    call
}

async fn next(call: &mut Call) -> Option<Payload> {
    call.message().await.unwrap()?.payload
}

async fn event(call: &mut Call) -> (What, String) {
    let Some(Payload::Evt(event)) = next(call).await else { panic!("no event") };
    let Some(Event::ConnectResource(event)) = event.event else { panic!("not of a resource") };
    let what = event.event();
    (what, event.resource.unwrap().name)
}

fn ping() -> ConnectRequest {
    ConnectRequest::default().with_ping(ConnectPing::default())
}

#[tokio::test]
async fn events_arrive_as_they_happen() {
    let (_volt, client) = start().await;
    let hello = ConnectHello::default().with_subscribe_resource_events(true);
    let mut call = connect(&client, hello).await;
    let folder = make(&client, "folder", "volt:folder").await;
    assert_eq!(event(&mut call).await, (What::Create, "folder".to_owned()));
    assert_eq!(event(&mut call).await, (What::CreateChild, "owner".to_owned()));
    let request = DeleteResourceRequest::default().with_resource_id(folder.id);
    client.volt().delete_resource(request).await.unwrap();
    assert_eq!(event(&mut call).await, (What::DeleteChild, "owner".to_owned()));
    assert_eq!(event(&mut call).await, (What::Delete, "folder".to_owned()));
}

#[tokio::test]
async fn hello_selects_the_events() {
    let (_volt, client) = start().await;
    let hello = ConnectHello::default()
        .with_subscribe_resource_events(true)
        .with_resource_event_list([What::DatabaseWrite, What::Delete]);
    let mut call = connect(&client, hello).await;
    let db = database(&client, &["CREATE TABLE t (x)"]).await;
    assert_eq!(event(&mut call).await, (What::DatabaseWrite, "db".to_owned()));
    crate::support::query(&client, &db, "SELECT * FROM t").await.unwrap();
    crate::support::query(&client, &db, "INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(event(&mut call).await, (What::DatabaseWrite, "db".to_owned()));
    let request = DeleteResourceRequest::default().with_resource_id(db);
    client.volt().delete_resource(request).await.unwrap();
    assert_eq!(event(&mut call).await, (What::Delete, "db".to_owned()));
}

#[tokio::test]
async fn events_cover_only_readable_resources() {
    let (volt, client) = start().await;
    let (other, _) = guest(&volt).await;
    let hello = ConnectHello::default()
        .with_subscribe_resource_events(true)
        .with_subscribe_auth_requests(true)
        .with_resource_event_list([What::Create]);
    let mut call = connect(&other, hello).await;
    make(&client, "private", "volt:folder").await;
    make(&other, "mine", "volt:folder").await;
    assert_eq!(event(&mut call).await, (What::Create, "mine".to_owned()));
}

#[tokio::test]
async fn owners_receive_new_session_events() {
    let (volt, client) = start().await;
    let hello = ConnectHello::default().with_subscribe_auth_requests(true);
    let mut call = connect(&client, hello).await;
    let config = volt.stranger("newcomer").unwrap();
    let key = config.signing_key().unwrap().verifying_key().to_pem();
    let stranger = Client::connect(config).await.unwrap();
    let request = volt_api::volt::AuthenticateRequest::default()
        .with_public_key(key)
        .with_client_name("newcomer");
    stranger.volt().authenticate(request).await.unwrap();
    let Some(Payload::Evt(event)) = next(&mut call).await else { panic!("no event") };
    let Some(Event::ConnectAuthRequest(request)) = event.event else { panic!("another event") };
    assert_eq!(request.session.unwrap().identity_name, "newcomer");
}

#[tokio::test]
async fn goodbye_and_half_close_end_the_stream() {
    let (_volt, client) = start().await;
    let mut call = connect(&client, ConnectHello::default().with_ping_interval(60_000)).await;
    for _ in 0..3 {
        call.send(ping()).await.unwrap();
        assert!(matches!(next(&mut call).await, Some(Payload::Ping(_))));
    }
    let goodbye = ConnectRequest::default().with_goodbye(ConnectGoodbye::default());
    call.send(goodbye).await.unwrap();
    assert!(call.message().await.unwrap().is_none());
    let mut call = connect(&client, ConnectHello::default()).await;
    call.half_close();
    assert!(call.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_client_without_promised_pings_is_dropped() {
    let (_volt, client) = start().await;
    let mut call = connect(&client, ConnectHello::default().with_ping_interval(1)).await;
    assert_eq!(code(call.message().await), Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_first_message_must_be_hello() {
    let (_volt, client) = start().await;
    let mut call = client.volt().connect().await.unwrap();
    call.send(ping()).await.unwrap();
    assert_eq!(code(call.message().await), Code::InvalidArgument);
}

#[tokio::test]
async fn services_are_online_while_their_owner_is_connected() {
    let (_volt, client) = start().await;
    let description = ServiceDescription::default()
        .with_host_type(ServiceHostType::Relayed)
        .with_service_api(["my.EchoAPI"]);
    let service = Resource::default().with_name("echo").with_service_description(description);
    let request = SaveResourceRequest::default().with_resource(service).with_create(true);
    client.volt().save_resource(request).await.unwrap();
    let online = || async {
        let request = DiscoverServicesRequest::default().with_service_api(["my.*"]);
        client.volt().discover_services(request).await.unwrap().resource.len() == 1
    };
    assert!(!online().await);
    let updates = ConnectHello::default()
        .with_subscribe_resource_events(true)
        .with_resource_event_list([What::Update]);
    let mut watcher = connect(&client, updates).await;
    let host = connect(&client, ConnectHello::default().with_online_services(true)).await;
    assert!(online().await);
    assert_eq!(event(&mut watcher).await, (What::Update, "echo".to_owned()));
    drop(host);
    assert_eq!(event(&mut watcher).await, (What::Update, "echo".to_owned()));
    assert!(!online().await);
}
