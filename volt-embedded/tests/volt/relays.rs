//! A relay between a client and a Volt: two Volts, one reached through the other.

use tempfile::tempdir;
use volt_api::{
    CallOptions, Client, ClientConfig, Code, Duplex, ErrorKind, Executed, Target, TransportKind,
    Update,
    authenticate::Identity,
    key::SigningKey,
    volt::{
        ConnectHello, ConnectRequest, ConnectResponse, DiscoverServicesRequest,
        DownloadFileRequest, GetResourceRequest, IdentityAlias, PublishWireRequest, Resource,
        SaveIdentityRequest, SaveResourceRequest, SetFileContentRequest, SubscribeWireRequest,
        UploadFileRequest, UploadFileStart, download_file_response, subscribe_wire_response,
    },
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

use crate::{
    discovery::get,
    hosting::{Shop, call_all_four_kinds},
    shop::shop::v1::{ShopApiClient, ShopApiServer},
    support::{TRANSPORTS, connect_over, database, guest, identity, make, permit, query},
};

struct Scene {
    relay: EmbeddedVolt,
    volt: EmbeddedVolt,
    client: Client,
}

async fn scene() -> Scene {
    let relay = EmbeddedVolt::start().await.unwrap();
    let volt = EmbeddedVolt::builder().relay(relay.config()).start().await.unwrap();
    let config = volt.config_by_relay().unwrap();
    let client = Client::connect(config).await.unwrap();
    Scene { relay, volt, client }
}

#[tokio::test]
async fn all_kinds_of_call_pass() {
    let Scene { volt, relay: _relay, .. } = scene().await;
    for transport in TRANSPORTS {
        let client = connect_over(volt.config_by_relay().unwrap(), transport).await;
        all_kinds(&client, &volt).await;
    }
}

/// Makes calls of all kinds, with more data than the buffers hold.
pub(crate) async fn all_kinds(client: &Client, volt: &EmbeddedVolt) {
    let request = GetResourceRequest::default().with_resource_id(volt.id());
    let root = soon(client.volt().get_resource(request)).await.unwrap().resource.unwrap();
    assert_eq!(root.id, volt.id());

    let file = make(client, "file", "volt:file").await.id;
    let mut upload = client.file().upload_file().await.unwrap();
    let start = UploadFileStart::default().with_resource_id(&file);
    upload.send(UploadFileRequest::default().with_start(start)).await.unwrap();
    for _ in 0..20 {
        let block = UploadFileRequest::default().with_block(vec![7; 60_000]);
        soon(upload.send(block)).await.unwrap();
    }
    upload.half_close();
    while soon(upload.message()).await.unwrap().is_some() {}
    let request = DownloadFileRequest::default().with_resource_id(&file);
    let mut blocks = client.file().download_file(request).await.unwrap();
    let mut bytes = 0;
    while let Some(response) = soon(blocks.message()).await.unwrap() {
        if let Some(download_file_response::Payload::Block(block)) = response.payload {
            bytes += block.len();
        }
    }
    assert_eq!(bytes, 1_200_000);

    let db =
        database(client, &["CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1), (2)"]).await;
    let rows = soon(query(client, &db, "SELECT n FROM t")).await.unwrap();
    assert_eq!(rows, ["1", "2"]);

    let wire = make(client, "wire", "volt:wire").await.id;
    let mut heard = client.wire().subscribe_wire().await.unwrap();
    heard.send(SubscribeWireRequest::default().with_wire_id(&wire)).await.unwrap();
    let mut publisher = client.wire().publish_wire().await.unwrap();
    let news = PublishWireRequest::default().with_wire_id(&wire).with_chunk("news");
    let chunk = soon(async {
        loop {
            publisher.send(news.clone()).await.unwrap();
            tokio::select! {
                chunk = heard.message() => break chunk.unwrap().unwrap(),
                () = tokio::task::yield_now() => {}
            }
        }
    });
    let expected = subscribe_wire_response::Payload::Chunk(b"news".to_vec());
    assert_eq!(chunk.await.payload, Some(expected));
}

#[tokio::test]
async fn calls_share_a_relay_and_refusals_pass() {
    let Scene { client, relay: _relay, volt: _volt } = scene().await;
    let file = make(&client, "file", "volt:file").await.id;
    let calls = (0..100).map(|_| {
        let request = SetFileContentRequest::default().with_resource_id(&file).with_content("text");
        client.file().set_file_content(request).into_future()
    });
    for answer in soon(futures_util::future::join_all(calls)).await {
        answer.unwrap();
    }
    let request = GetResourceRequest::default().with_resource_id("nothing");
    let error = soon(client.volt().get_resource(request)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn a_volt_missing_at_the_relay_is_not_found() {
    let Scene { relay, volt, client } = scene().await;
    let (id, config) = (volt.id().to_owned(), volt.config_by_relay().unwrap());
    volt.shutdown().await;
    let request = GetResourceRequest::default().with_resource_id(&id);
    let gone = async {
        loop {
            let error = client.volt().get_resource(request.clone()).await.unwrap_err();
            // Until the relay notices the shutdown, it may still forward the call to the closed
            // connection.
            if error.executed() == Executed::No {
                break error;
            }
        }
    };
    let error = soon(gone).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Routing, Code::Unavailable));
    assert!(error.to_string().contains("not found"), "{error}");

    // The relay is itself a Volt, but does not answer for another Volt.
    let direct = ClientConfig::new(id, relay.url(), config.volt.public_key.clone().unwrap())
        .with_credential(
            config.credential.as_ref().unwrap().key.clone().unwrap(),
            config.session_id().map(str::to_owned),
        );
    let client = Client::connect(direct).await.unwrap();
    let error = soon(client.volt().get_resource(request)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Routing, "{error}");
}

#[tokio::test]
async fn calls_and_subscriptions_survive_a_restart_behind_a_relay() {
    for transport in TRANSPORTS {
        survive_a_restart(transport).await;
    }
}

async fn survive_a_restart(transport: TransportKind) {
    let (relay, folder) = (EmbeddedVolt::start().await.unwrap(), tempdir().unwrap());
    let start = async || {
        let builder = EmbeddedVolt::builder().data_dir(folder.path()).relay(relay.config());
        soon(builder.start()).await.unwrap()
    };
    let volt = start().await;
    let id = volt.id().to_owned();
    let client = connect_over(volt.config_by_relay().unwrap(), transport).await;
    let mut options = CallOptions::default();
    options.max_attempts = u32::MAX;
    let client = Client::from_channel(client.channel().clone().with_defaults(options));
    let wire = make(&client, "wire", "volt:wire").await.id;
    let request = SubscribeWireRequest::default().with_wire_id(&wire);
    let mut heard = client.wire().subscribe_wire().subscribe(request).await.unwrap();
    let news = PublishWireRequest::default().with_wire_id(&wire).with_chunk("news");
    // A wire keeps nothing, so publish until the subscription receives it.
    let publish = async || loop {
        let mut publisher = client.wire().publish_wire().await.unwrap();
        publisher.send(news.clone()).await.unwrap();
        publisher.finish().await.unwrap();
        tokio::task::yield_now().await;
    };
    tokio::select! {
        update = soon(heard.update()) => assert!(matches!(update, Ok(Some(Update::Message(_))))),
        () = publish() => unreachable!(),
    }
    volt.shutdown().await;
    let get = GetResourceRequest::default().with_resource_id(&id);
    let waiting = tokio::spawn(client.volt().get_resource(get).into_future());
    let _volt = start().await;
    assert_eq!(soon(waiting).await.unwrap().unwrap().resource.unwrap().id, id);
    let resumed = async {
        // Messages from before the restart may still be unread.
        while heard.update().await.unwrap() != Some(Update::Resumed) {}
    };
    soon(resumed).await;
    tokio::select! {
        update = soon(heard.update()) => assert!(matches!(update, Ok(Some(Update::Message(_))))),
        () = publish() => unreachable!(),
    }
}

#[tokio::test]
async fn a_relay_cannot_answer_for_the_volt() {
    let Scene { relay, client, volt } = scene().await;
    // Simulate a relay that answers with its own key: the client knows the Volt's key only from its
    // configuration.
    let mut config = client.config().unwrap().clone();
    config.volt.public_key = relay.config().volt.public_key;
    let misled = Client::connect(config).await.unwrap();
    let request = GetResourceRequest::default().with_resource_id(volt.id());
    let error = soon(misled.volt().get_resource(request)).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Protocol, Executed::No), "{error}");
}

#[tokio::test]
async fn a_hosted_service_is_called_through_the_relay() {
    let Scene { relay, volt, .. } = scene().await;
    let (host, _) = guest(&volt).await;
    let server = ShopApiServer::new(Shop::default());
    let request = SaveResourceRequest::default()
        .with_create(true)
        .with_resource(Resource::hosted_service("shop", &server));
    let resource = host.volt().save_resource(request).await.unwrap().resource.unwrap();
    let _presence = host.presence().host(&resource, server).await.unwrap();

    let config = volt.guest("caller").unwrap().with_relay(relay.url());
    permit(&host, &resource.id, &identity(&config), "volt:resource-read").await;
    let caller = Client::connect(config).await.unwrap();
    let request = DiscoverServicesRequest::default().with_service_api([ShopApiClient::NAME]);
    let found = soon(caller.volt().discover_services(request)).await.unwrap().resource;
    let shop = ShopApiClient::new(caller.channel().clone());
    call_all_four_kinds(&shop, Target::from(&found[0])).await;
}

/// Calls `Connect` as a Volt does that uses this relay. Returns after the acknowledgement.
async fn come_as_a_volt(client: &Client) -> Duplex<ConnectRequest, ConnectResponse> {
    let mut call = client.volt().connect().await.unwrap();
    let hello = ConnectHello::default().with_accept_invocation(true).with_address("192.0.2.1:1");
    call.send(ConnectRequest::default().with_hello(hello)).await.unwrap();
    assert!(soon(call.message()).await.unwrap().is_some());
    call
}

#[tokio::test]
async fn a_did_is_listed_with_its_first_key_alone() {
    let Scene { relay, volt, client: _client } = scene().await;
    let id = volt.id().to_owned();
    let owner = Client::connect(relay.config()).await.unwrap();
    // A stranger cannot claim the Volt's DID, neither now nor after the Volt has left.
    let claim = async || {
        let claim = relay.stranger("thief").unwrap();
        let claim = Client::authenticate(claim).identity(Identity::OwnDid(Some(id.clone())));
        claim.await.map(drop).map_err(|error| error.code())
    };
    assert_eq!(claim().await, Err(Code::PermissionDenied));
    // The relay's owner adds another key to the DID. It may connect, but is not listed.
    let second = SigningKey::generate().unwrap();
    let alias = IdentityAlias::default().with_public_key(second.verifying_key().to_pem());
    let identity = volt_api::volt::Identity::default()
        .with_resource(Resource::default().with_id(&id))
        .with_alias([alias]);
    let request = SaveIdentityRequest::default().with_identity(identity);
    owner.volt().save_identity(request).await.unwrap();
    let mut config = relay.stranger("second").unwrap();
    config = config.with_credential(second.to_pem().unwrap().to_string(), None);
    config.credential.get_or_insert_default().identity_did = Some(id.clone());
    let second = Client::authenticate(config).await.unwrap();
    let _connected = come_as_a_volt(&second).await;
    let list = async || get(&relay, "/relay").await.1["clients"].clone();
    let volts = list().await;
    let [listed] = &volts.as_array().unwrap()[..] else { panic!("not one Volt") };
    assert_eq!(listed["public_key"], serde_json::json!(volt.config().volt.public_key));

    volt.shutdown().await;
    soon(async { while list().await != serde_json::json!([]) {} }).await;
    assert_eq!(claim().await, Err(Code::PermissionDenied));
}
