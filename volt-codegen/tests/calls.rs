//! The golden outputs compile, and their clients and servers call each other.

#[path = "golden/mod.rs"]
#[rustfmt::skip]
mod generated;
#[path = "editions/golden/mod.rs"]
#[rustfmt::skip]
mod generated_editions;

#[path = "calls/any.rs"]
mod any;
#[path = "calls/editions.rs"]
mod editions;
#[path = "calls/odd.rs"]
mod odd;

use generated::shop::{
    common::v1::{Money, Size, Status as ShopStatus},
    v1::{
        Article, EmptyApi, EmptyApiServer, GetArticleRequest, GetArticleResponse,
        ListArticlesRequest, Offer, Receipt, ShopApi, ShopApiClient, ShopApiServer, Type,
        article::{Material, material},
        offer, receipt, r#type,
    },
};
use volt_runtime::{
    Channel, Code, Message, MethodKind, Status,
    server::{Context, Requests, Responses, Router, Service as _},
};

struct Shop;

impl ShopApi for Shop {
    async fn get_article(
        &self,
        context: Context,
        request: GetArticleRequest,
    ) -> Result<GetArticleResponse, Status> {
        assert_eq!(context.method().path, "/shop.v1.ShopAPI/GetArticle");
        if request.id.is_empty() {
            return Err(Status::new(Code::NotFound, "no such article"));
        }
        Ok(GetArticleResponse::default().with_article(article(&request.id)))
    }

    async fn list_articles(
        &self,
        _: Context,
        request: ListArticlesRequest,
        mut responses: Responses<GetArticleResponse>,
    ) -> Result<(), Status> {
        for word in request.words {
            responses.send(GetArticleResponse::default().with_article(article(&word))).await?;
        }
        Ok(())
    }

    async fn fill_basket(
        &self,
        _: Context,
        mut requests: Requests<Article>,
    ) -> Result<Receipt, Status> {
        let (mut count, mut cents) = (0, 0);
        while let Some(article) = requests.message().await? {
            if article.sold() {
                return Err(Status::new(Code::FailedPrecondition, "sold"));
            }
            count += 1;
            cents += article.price.unwrap_or_default().cents;
        }
        Ok(Receipt::default().with_count(count).with_total(Money::default().with_cents(cents)))
    }

    async fn haggle(
        &self,
        _: Context,
        mut requests: Requests<Offer>,
        mut responses: Responses<Offer>,
    ) -> Result<(), Status> {
        while let Some(offer) = requests.message().await? {
            match offer.body {
                Some(offer::BodyOneOf::Money(money)) => {
                    let more = Money::default().with_cents(money.cents + 1);
                    responses.send(Offer::default().with_money(more)).await?;
                }
                Some(offer::BodyOneOf::Done(true)) => return Ok(()),
                _ => return Err(Status::new(Code::InvalidArgument, "money only")),
            }
        }
        Ok(())
    }

    async fn r#match(&self, _: Context, request: Type) -> Result<Type, Status> {
        Ok(request)
    }

    async fn clone(
        &self,
        _: Context,
        request: GetArticleRequest,
    ) -> Result<GetArticleResponse, Status> {
        Ok(GetArticleResponse::default().with_article(article(&request.id)))
    }
}

fn article(name: &str) -> Article {
    Article::default().with_name(name).with_price(Money::default().with_cents(100))
}

fn client() -> ShopApiClient {
    let router = Router::new().with(ShopApiServer::new(Shop)).with(EmptyApiServer::new(Nothing));
    ShopApiClient::new(Channel::in_process(router))
}

struct Nothing;

impl EmptyApi for Nothing {}

#[tokio::test]
async fn unary() {
    let request = GetArticleRequest::default().with_id("hat");
    let answer = client().get_article(request.clone()).await.expect("it is there");
    assert_eq!(answer.article.expect("it is in the answer").name, "hat");

    let answer = client().clone(request).await.expect("`clone` is the RPC here");
    assert_eq!(answer.article.expect("it is in the answer").name, "hat");

    let error = client().get_article(GetArticleRequest::default()).await.expect_err("no id");
    assert!(error.is_refused());
    assert_eq!(
        (error.code(), error.method()),
        (Code::NotFound, Some("/shop.v1.ShopAPI/GetArticle"))
    );
}

#[tokio::test]
async fn methods_without_an_implementation_are_unimplemented() {
    #[expect(deprecated, reason = "it is the one method without an implementation")]
    let call = client().find_article(GetArticleRequest::default());
    assert_eq!(call.await.expect_err("it is not there").code(), Code::Unimplemented);
}

#[tokio::test]
async fn server_streaming() {
    let request = ListArticlesRequest::default().with_words(["hat", "cap"]);
    let mut articles = client().list_articles(request).await.expect("it opens");
    let mut names = Vec::new();
    while let Some(answer) = articles.message().await.expect("it goes on") {
        names.push(answer.article.expect("it is in the answer").name);
    }
    assert_eq!(names, ["hat", "cap"]);
}

#[tokio::test]
async fn client_streaming() {
    let mut basket = client().fill_basket().await.expect("it opens");
    for name in ["hat", "cap"] {
        basket.send(article(name)).await.expect("it is taken");
    }
    let receipt = basket.finish().await.expect("it is paid");
    assert_eq!(receipt.count, 2);
    let total = Money { cents: 200, ..Money::default() };
    assert_eq!(receipt.result, Some(receipt::Result::Total(total)));

    let mut basket = client().fill_basket().await.expect("it opens");
    let _ = basket.send(article("hat").with_sold(true)).await;
    let error = basket.finish().await.expect_err("it is sold");
    assert!(error.is_refused(), "a status in a oneof is a refusal: {error}");
    assert_eq!(error.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn bidi() {
    let mut talk = client().haggle().await.expect("it opens");
    for cents in [1, 10] {
        let offer = Offer::default().with_money(Money::default().with_cents(cents));
        talk.send(offer).await.expect("it is taken");
        let answer = talk.message().await.expect("it goes on").expect("there is an answer");
        let Some(offer::BodyOneOf::Money(money)) = answer.body else { panic!("money is answered") };
        assert_eq!(money.cents, cents + 1);
    }
    talk.send(Offer::default().with_done(true)).await.expect("it is taken");
    assert!(talk.message().await.expect("the end is clean").is_none());
}

#[tokio::test]
async fn keywords_of_rust_are_names() {
    let request = Type::default()
        .with_type("t")
        .with_self(-1)
        .with_async(true)
        .with_match(r#type::Enum::Self_)
        .with_crate(["a", "b"])
        .with_loop(r#type::Loop { self_: Some(r#type::Self_ {}) })
        .with_static("s");
    assert_eq!(request.r#match(), r#type::Enum::Self_);
    assert_eq!(request.r#fn, Some(r#type::Fn::Static("s".to_owned())));
    let answer = client().r#match(request.clone()).await.expect("it is answered");
    assert_eq!(answer, request);
}

#[test]
fn services_describe_themselves() {
    assert_eq!(ShopApiClient::NAME, "shop.v1.ShopAPI");
    let kinds: Vec<_> = ShopApiClient::METHODS.iter().take(4).map(|method| method.kind).collect();
    assert_eq!(
        kinds,
        [
            MethodKind::Unary,
            MethodKind::ServerStreaming,
            MethodKind::ClientStreaming,
            MethodKind::Bidi
        ]
    );
    assert_eq!(ShopApiServer::new(Shop).methods(), ShopApiClient::METHODS);
    assert_eq!(<material::Origin as Message>::NAME, "shop.v1.Article.Material.Origin");
}

#[test]
fn refusals_are_found_in_fields_and_oneofs() {
    let status = Status::new(Code::NotFound, "gone").with_description("long ago");
    let refused = GetArticleResponse::refused(&status).expect("it has a status");
    assert_eq!(refused.refusal(), Some(status.clone()));
    let refused = Receipt::refused(&status).expect("it has a status in a oneof");
    assert_eq!(refused.refusal(), Some(status.clone()));
    assert_eq!(Offer::refused(&status), None);
    assert_eq!(GetArticleResponse::default().with_status(ShopStatus::default()).refusal(), None);
}

/// A message with one field of each kind, through the setters and through JSON.
#[test]
fn messages_are_built_and_become_json() {
    #[expect(deprecated, reason = "deprecated fields and values are still there")]
    let article = article("hat")
        .with_title("old")
        .with_size(Size::Huge)
        .with_second_size(Size::Small)
        .with_picture(*b"\x01\x02")
        .with_parts([Article::default().with_id("part")])
        .with_replacement(Article::default().with_id("spare"))
        .with_prices([("de", Money::default().with_cents(1))])
        .with_sizes([(7, Size::Large)])
        .with_notes([(true, "yes")])
        .with_material(
            Material::default()
                .with_kind(material::Kind::Kind2x)
                .with_origin(material::Origin::default().with_country("it")),
        )
        .with_weight(1.5)
        .with_serial(u64::MAX)
        .with_sold(false)
        .with_origin("here");
    assert_eq!(article.second_size(), Size::Small);
    assert_eq!(article.get_sizes(7), Some(Size::Large));

    let json = serde_json::to_value(&article).expect("it can be written");
    let wanted = serde_json::json!({
        "name": "hat",
        "price": {"cents": "100"},
        "size": "SIZE_HUGE",
        "second_size": "SIZE_SMALL",
        "picture": "AQI=",
        "parts": [{"id": "part"}],
        "replacement": {"id": "spare"},
        "prices": {"de": {"cents": "1"}},
        "sizes": {"7": "SIZE_LARGE"},
        "notes": {"true": "yes"},
        "material": {"kind": "KIND_2X", "origin": {"country": "it"}},
        "title": "old",
        "weight": 1.5,
        "serial": "18446744073709551615",
        "sold": false,
        "origin": "here",
    });
    assert_eq!(json, wanted);
    assert_eq!(serde_json::from_value::<Article>(json).expect("it can be read"), article);
    let alias: Article = serde_json::from_str(r#"{"size":"SIZE_BIG"}"#).expect("it can be read");
    assert_eq!(alias.size(), Size::Large);
    assert!(format!("{article:?}").contains("hat"));
}
