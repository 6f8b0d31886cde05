//! Services that clients host for each other, called through the Volt, which forwards payloads that
//! it cannot read.

use std::sync::Arc;

use tokio::sync::{Notify, Semaphore, mpsc};
use volt_api::{
    CallOptions, Client, Code, ErrorKind, Executed, Presence, Status, Target,
    intercept::{After, OutgoingCall},
    server::{Context, Requests, Responses},
    volt::{DiscoverServicesRequest, Resource, SaveResourceRequest},
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

use crate::{
    shop::shop::{
        common::v1::Money,
        v1::{
            Article, GetArticleRequest, GetArticleResponse, ListArticlesRequest, Offer, Receipt,
            ShopApi, ShopApiClient, ShopApiServer, Type, offer,
        },
    },
    support::{guest, permit, start},
};

pub(crate) struct Shop {
    /// The name that the shop returns.
    name: String,
    /// One permit for each received call that never ends.
    endless: Arc<Semaphore>,
    /// Notified when such a call is cancelled.
    dropped: Arc<Notify>,
}

impl Default for Shop {
    fn default() -> Self {
        Self { name: String::new(), endless: Arc::new(Semaphore::new(0)), dropped: Arc::default() }
    }
}

impl Shop {
    /// Waits until this many calls that never end have been received.
    async fn endless(&self, count: u32) {
        soon(self.endless.acquire_many(count)).await.unwrap().forget();
    }
}

struct TellOnDrop(Arc<Notify>);

impl Drop for TellOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn article(name: &str) -> GetArticleResponse {
    GetArticleResponse::default().with_article(Article::default().with_name(name))
}

impl ShopApi for Shop {
    /// For `me`, returns the identity of the caller.
    async fn get_article(
        &self,
        context: Context,
        request: GetArticleRequest,
    ) -> Result<GetArticleResponse, Status> {
        match &*request.id {
            "me" => Ok(article(context.caller().identity.as_deref().unwrap_or_default())),
            "never" => {
                let _tell = TellOnDrop(Arc::clone(&self.dropped));
                self.endless.add_permits(1);
                std::future::pending().await
            }
            "shop" => Ok(article(&self.name)),
            "" => Err(Status::new(Code::NotFound, "no such article")),
            name => Ok(article(name)),
        }
    }

    async fn list_articles(
        &self,
        _: Context,
        request: ListArticlesRequest,
        mut responses: Responses<GetArticleResponse>,
    ) -> Result<(), Status> {
        for word in request.words {
            responses.send(article(&word)).await?;
        }
        Ok(())
    }

    async fn fill_basket(
        &self,
        _: Context,
        mut requests: Requests<Article>,
    ) -> Result<Receipt, Status> {
        let mut count = 0;
        while requests.message().await?.is_some() {
            count += 1;
        }
        Ok(Receipt::default().with_count(count))
    }

    async fn haggle(
        &self,
        _: Context,
        mut requests: Requests<Offer>,
        mut responses: Responses<Offer>,
    ) -> Result<(), Status> {
        while let Some(offer) = requests.message().await? {
            let Some(offer::BodyOneOf::Money(money)) = offer.body else {
                return Err(Status::new(Code::InvalidArgument, "money only"));
            };
            let more = Money::default().with_cents(money.cents + 1);
            responses.send(Offer::default().with_money(more)).await?;
        }
        Ok(())
    }
}

/// A host with a shop, and a caller that is permitted to call it.
struct Scene {
    volt: EmbeddedVolt,
    shop: Arc<Shop>,
    presence: Option<Presence>,
    host: Client,
    resource: Resource,
    caller: Client,
    caller_identity: String,
}

impl Scene {
    async fn new() -> Self {
        let (volt, _) = start().await;
        let (host, _) = guest(&volt).await;
        let shop = Arc::<Shop>::default();
        let server = ShopApiServer::from_arc(Arc::clone(&shop));
        let request = SaveResourceRequest::default()
            .with_create(true)
            .with_resource(Resource::hosted_service("shop", &server));
        let resource = host.volt().save_resource(request).await.unwrap().resource.unwrap();
        let presence = Some(host.presence().host(&resource, server).await.unwrap());
        let (caller, caller_identity) = guest(&volt).await;
        permit(&host, &resource.id, &caller_identity, "volt:resource-read").await;
        Self { volt, shop, presence, host, resource, caller, caller_identity }
    }

    /// Returns the service as the caller discovers it.
    async fn found(&self) -> Target {
        let request = DiscoverServicesRequest::default().with_service_api([ShopApiClient::NAME]);
        let answer = self.caller.volt().discover_services(request).await.unwrap();
        assert_eq!(answer.resource.len(), 1);
        Target::from(&answer.resource[0])
    }

    fn client(&self) -> ShopApiClient {
        ShopApiClient::new(self.caller.channel().clone())
    }
}

fn get(id: &str) -> GetArticleRequest {
    GetArticleRequest::default().with_id(id)
}

/// Calls one method of each kind on a shop.
pub(crate) async fn call_all_four_kinds(client: &ShopApiClient, target: Target) {
    let answer = soon(client.get_article(get("hat")).service(target.clone())).await.unwrap();
    assert_eq!(answer.article.unwrap().name, "hat");

    let words = ["a", "b", "c"];
    let request = ListArticlesRequest::default().with_words(words);
    let mut list = client.list_articles(request).service(target.clone()).await.unwrap();
    for word in words {
        assert_eq!(soon(list.message()).await.unwrap().unwrap().article.unwrap().name, word);
    }
    assert!(soon(list.message()).await.unwrap().is_none());

    let mut basket = client.fill_basket().service(target.clone()).await.unwrap();
    for _ in 0..10 {
        soon(basket.send(Article::default())).await.unwrap();
    }
    assert_eq!(soon(basket.finish()).await.unwrap().count, 10);

    let mut haggle = client.haggle().service(target).await.unwrap();
    for cents in 0..10 {
        let money = Money::default().with_cents(cents);
        haggle.send(Offer::default().with_money(money)).await.unwrap();
        let answer = soon(haggle.message()).await.unwrap().unwrap();
        let Some(offer::BodyOneOf::Money(money)) = answer.body else { panic!("no money") };
        assert_eq!(money.cents, cents + 1);
    }
    haggle.half_close();
    assert!(soon(haggle.message()).await.unwrap().is_none());
}

#[tokio::test]
async fn all_four_kinds_are_called_through_the_volt() {
    let scene = Scene::new().await;
    call_all_four_kinds(&scene.client(), scene.found().await).await;
    // The host has been online the whole time and has read no events.
    drop(scene.presence);
}

#[tokio::test]
async fn the_host_sees_callers_and_refuses_unauthorized_ones() {
    let scene = Scene::new().await;
    let target = scene.found().await;
    let me = soon(scene.client().get_article(get("me")).service(target.clone())).await.unwrap();
    assert_eq!(me.article.unwrap().name, scene.caller_identity);

    // A client without the right, which learned the address elsewhere.
    let (stranger, _) = guest(&scene.volt).await;
    let client = ShopApiClient::new(stranger.channel().clone());
    let error = soon(client.get_article(get("hat")).service(target.clone())).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied, "{error}");

    // The right to one service does not grant access to another.
    let own = SaveResourceRequest::default()
        .with_create(true)
        .with_resource(Resource::default().with_name("mine"));
    let own = stranger.volt().save_resource(own).await.unwrap().resource.unwrap();
    let mut forged = target;
    forged.service_id = Some(own.id);
    let error = soon(client.get_article(get("hat")).service(forged)).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound, "{error}");
}

#[tokio::test]
async fn two_services_with_one_api_do_not_mix() {
    let (volt, _) = start().await;
    let (host, _) = guest(&volt).await;
    let shop = |name: &str| ShopApiServer::new(Shop { name: name.to_owned(), ..Shop::default() });
    let save = async |name: &str| {
        let request = SaveResourceRequest::default()
            .with_create(true)
            .with_resource(Resource::hosted_service(name, &shop(name)));
        host.volt().save_resource(request).await.unwrap().resource.unwrap()
    };
    let (hats, shoes) = (save("hats").await, save("shoes").await);
    let presence = host.presence().host(&hats, shop("hats")).host(&shoes, shop("shoes"));
    let _presence = presence.await.unwrap();
    let request = DiscoverServicesRequest::default().with_service_api([ShopApiClient::NAME]);
    let found = host.volt().discover_services(request).await.unwrap().resource;
    let find = |own: &Resource| Target::from(found.iter().find(|one| one.id == own.id).unwrap());

    let (caller, identity) = guest(&volt).await;
    let client = ShopApiClient::new(caller.channel().clone());
    permit(&host, &hats.id, &identity, "volt:resource-read").await;
    let answer = soon(client.get_article(get("shop")).service(find(&hats))).await.unwrap();
    assert_eq!(answer.article.unwrap().name, "hats");
    // The right to call one service does not permit calling the other, or calling without naming
    // one.
    let error = soon(client.get_article(get("shop")).service(find(&shoes))).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied, "{error}");
    let mut unnamed = find(&hats);
    unnamed.service_id = None;
    let error = soon(client.get_article(get("shop")).service(unnamed)).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");

    permit(&host, &shoes.id, &identity, "volt:resource-read").await;
    let answer = soon(client.get_article(get("shop")).service(find(&shoes))).await.unwrap();
    assert_eq!(answer.article.unwrap().name, "shoes");
}

#[tokio::test]
async fn refusals_and_unknown_methods_reach_the_caller() {
    let scene = Scene::new().await;
    let target = scene.found().await;
    let error =
        soon(scene.client().get_article(get("")).service(target.clone())).await.unwrap_err();
    assert_eq!((error.code(), error.executed()), (Code::NotFound, Executed::Yes));
    let error = soon(scene.client().r#match(Type::default()).service(target)).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_hundred_calls_at_once() {
    let scene = Scene::new().await;
    let (client, target) = (scene.client(), scene.found().await);
    let calls = (0..100).map(|number| {
        client.get_article(get(&number.to_string())).service(target.clone()).into_future()
    });
    let answers = soon(futures_util::future::join_all(calls)).await;
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap().article.unwrap().name, number.to_string());
    }
}

#[tokio::test]
async fn a_cancelled_call_ends_at_the_host() {
    let scene = Scene::new().await;
    let target = scene.found().await;
    let call = scene.client().get_article(get("never")).service(target).into_future();
    let call = tokio::spawn(call);
    scene.shop.endless(1).await;
    call.abort();
    soon(scene.shop.dropped.notified()).await;
}

#[tokio::test]
async fn a_lost_host_fails_its_callers_at_once() {
    let scene = Scene::new().await;
    let (client, target) = (scene.client(), scene.found().await);
    let calls = (0..100).map(|_| {
        tokio::spawn(client.get_article(get("never")).service(target.clone()).into_future())
    });
    let calls: Vec<_> = calls.collect();
    // Wait until all calls are in progress.
    scene.shop.endless(100).await;
    scene.host.close().await;
    for call in calls {
        let error = soon(call).await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Routing | ErrorKind::Failed), "{error}");
    }
    let error = soon(client.get_article(get("hat")).service(target)).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Routing, Executed::No));
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(error.to_string().contains("not found"), "{error}");
}

#[tokio::test]
async fn a_call_waits_for_a_host_that_reconnects() {
    let mut scene = Scene::new().await;
    let target = scene.found().await;
    let client = |max_attempts| {
        let mut options = CallOptions::default();
        options.max_attempts = max_attempts;
        ShopApiClient::new(scene.caller.channel().clone().with_defaults(options))
    };
    let (once, patient) = (client(1), client(u32::MAX));
    let config = scene.host.config().unwrap().clone();
    scene.host.close().await;
    // Until the Volt has noticed, it may still forward calls.
    let gone = async {
        loop {
            let call = once.get_article(get("hat")).service(target.clone());
            match call.await {
                Err(error) if error.executed() == Executed::No => break error,
                _ => {}
            }
        }
    };
    assert_eq!(soon(gone).await.code(), Code::Unavailable);
    let waiting = tokio::spawn(patient.get_article(get("hat")).service(target).into_future());
    scene.host = Client::connect(config).await.unwrap();
    let server = ShopApiServer::from_arc(Arc::clone(&scene.shop));
    scene.presence = Some(scene.host.presence().host(&scene.resource, server).await.unwrap());
    soon(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_service_with_a_swapped_key_is_rejected() {
    let scene = Scene::new().await;
    let mut target = scene.found().await;
    let other = volt_api::key::SigningKey::generate().unwrap().verifying_key().to_pem();
    target.host_public_key = Some(other);
    let error = soon(scene.client().get_article(get("hat")).service(target)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert_eq!(error.executed(), Executed::No);
}

#[tokio::test]
async fn a_goodbye_takes_the_service_offline() {
    let mut scene = Scene::new().await;
    soon(scene.presence.take().unwrap().close()).await.unwrap();
    let request = DiscoverServicesRequest::default().with_service_api([ShopApiClient::NAME]);
    let offline = async {
        loop {
            let found = scene.caller.volt().discover_services(request.clone()).await.unwrap();
            if found.resource.is_empty() {
                break;
            }
        }
    };
    soon(offline).await;
    let again = ShopApiServer::from_arc(Arc::clone(&scene.shop));
    let _presence = scene.host.presence().host(&scene.resource, again).await.unwrap();
    scene.found().await;
}

/// The Volt forwards the call; it cannot read it.
#[tokio::test]
async fn interceptors_of_both_ends_see_a_relayed_call() {
    let (volt, _) = start().await;
    let (host, _) = guest(&volt).await;
    let shop = ShopApiServer::new(Shop::default());
    let request = SaveResourceRequest::default()
        .with_create(true)
        .with_resource(Resource::hosted_service("shop", &shop));
    let shop_resource = host.volt().save_resource(request).await.unwrap().resource.unwrap();
    let (seen, mut ends) = mpsc::unbounded_channel();
    let served = seen.clone();
    let presence =
        host.presence().host(&shop_resource, shop).intercept(move |context: &Context| {
            let (seen, caller) = (served.clone(), context.caller().identity.clone());
            Ok(After::new(move |outcome| seen.send((caller, outcome.clone())).unwrap()))
        });
    let _presence = presence.await.unwrap();

    let (caller, identity) = guest(&volt).await;
    permit(&host, &shop_resource.id, &identity, "volt:resource-read").await;
    let request = DiscoverServicesRequest::default().with_service_api([ShopApiClient::NAME]);
    let found = caller.volt().discover_services(request).await.unwrap().resource;
    let caller = caller.intercept(move |call: &mut OutgoingCall| {
        // The others are the caller's own.
        if call.method.service() != ShopApiClient::NAME {
            return Ok(After::nothing());
        }
        let seen = seen.clone();
        Ok(After::new(move |outcome| seen.send((None, outcome.clone())).unwrap()))
    });
    let client = ShopApiClient::new(caller.channel().clone());
    let call = client.get_article(get("hat")).service(Target::from(&found[0]));
    soon(call).await.unwrap();
    let mut outcomes = [soon(ends.recv()).await.unwrap(), soon(ends.recv()).await.unwrap()];
    outcomes.sort_by_key(|(caller, _)| caller.is_some());
    let [(_, client), (caller, at_host)] = outcomes;
    assert_eq!(caller, Some(identity));
    assert_eq!((client.code(), at_host.code()), (Code::Ok, Code::Ok));
    assert_eq!((client.sent, client.received), (at_host.received, at_host.sent));
    assert_eq!((client.sent.messages, client.received.messages), (1, 1));
}
