//! Clients without a session, at a Volt that forwards their calls to others.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use volt_api::{
    Client, ClientConfig, Code, ConnectOptions, Executed, Target,
    server::ServerOptions,
    volt::{DiscoverServicesRequest, GetResourceRequest, Resource, SaveResourceRequest},
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

use crate::{
    hosting::Shop,
    shop::shop::v1::{GetArticleRequest, ShopApiClient, ShopApiServer},
    support::{guest, start},
};

/// Connects a client that begins 64 key exchanges with its Volt, and invokes nothing.
async fn greedy(config: ClientConfig) -> Client {
    let mut options = ConnectOptions::default();
    options.preopened_calls = 64;
    Client::connect_with(config, options).await.unwrap()
}

#[tokio::test]
async fn strangers_at_a_relay_leave_places_for_callers_with_a_session() {
    let mut limits = ServerOptions::default();
    limits.max_key_exchanges = 256;
    let relay = EmbeddedVolt::builder().limits(limits.clone()).start().await.unwrap();
    let builder = EmbeddedVolt::builder().limits(limits).relay(relay.config());
    let volt = builder.start().await.unwrap();
    let get = |client: &Client| {
        let request = GetResourceRequest::default().with_resource_id(volt.id());
        client.volt().get_resource(request).into_future()
    };
    let known = Client::connect(volt.config_by_relay().unwrap()).await.unwrap();
    get(&known).await.unwrap();
    // More than the places that the Volt has for all callers behind the relay.
    let strangers =
        (0..8).map(|_| greedy(volt.stranger("stranger").unwrap().with_relay(relay.url())));
    let strangers = join_all(strangers).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    // The Volt would end such key exchanges only after five seconds.
    let begin = Instant::now();
    for answer in join_all((0..100).map(|_| get(&known))).await {
        answer.unwrap();
    }
    // The relay does not know the session of a client that has just connected.
    let new = Client::connect(volt.config_by_relay().unwrap()).await.unwrap();
    for answer in join_all((0..20).map(|_| get(&new))).await {
        answer.unwrap();
    }
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    drop(strangers);
}

#[tokio::test]
async fn callers_without_a_session_do_not_reach_a_host() {
    let (volt, _) = start().await;
    let (host, _) = guest(&volt).await;
    let server = ShopApiServer::new(Shop::default());
    let request = SaveResourceRequest::default()
        .with_create(true)
        .with_resource(Resource::hosted_service("shop", &server));
    let resource = host.volt().save_resource(request).await.unwrap().resource.unwrap();
    let _presence = host.presence().host(&resource, server).await.unwrap();
    let request = DiscoverServicesRequest::default().with_service_api([ShopApiClient::NAME]);
    let found = host.volt().discover_services(request).await.unwrap().resource;
    let target = Target::from(&found[0]);
    let key = |config: &ClientConfig| config.credential.as_ref().unwrap().key.clone().unwrap();
    let stranger = volt.stranger("stranger").unwrap();
    let claims = volt.stranger("claims").unwrap();
    let session = host.config().unwrap().session_id().map(str::to_owned);
    let (with_own_key, unknown) = (key(&claims), key(&claims));
    for config in [
        stranger,
        claims.clone().with_credential(with_own_key, session),
        claims.with_credential(unknown, Some("unknown".to_owned())),
    ] {
        let client = Client::connect(config).await.unwrap();
        let shop = ShopApiClient::new(client.channel().clone());
        let request = GetArticleRequest::default().with_id("hat");
        let error = soon(shop.get_article(request).service(target.clone())).await.unwrap_err();
        assert_eq!(
            (error.code(), error.executed()),
            (Code::Unauthenticated, Executed::No),
            "{error}"
        );
    }
}
