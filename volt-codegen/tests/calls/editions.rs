//! Files with editions: each field has the presence, the default and the encoding that its features select.

use std::collections::BTreeMap;

use prost::Message as _;
use volt_runtime::{
    Channel, Message, Status,
    json::{self, Form},
    server::{Context, Router},
};

use super::generated_editions::editions::{
    other::{Level, Other, other},
    shop::{Article, Kind, ShopApi, ShopApiClient, ShopApiServer, article},
};

fn text(message: &impl Message) -> String {
    let mut out = Vec::new();
    json::write(message, &mut out, Form::Plain).expect("it can be written");
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[track_caller]
fn round_trips<M: Message + PartialEq>(message: &M, json: &str) {
    assert_eq!(text(message), json);
    assert_eq!(&json::read::<M>(json.as_bytes()).expect("it can be read"), message);
    assert_eq!(&M::decode(&*message.encode_to_vec()).expect("it can be decoded"), message);
}

fn other() -> Other {
    let part = other::Part { yes: Some(true) };
    Other::default()
        .with_id("o")
        .with_part(part)
        .with_plain(part)
        .with_parts([("p", part)])
        .with_sizes([1])
        .with_level(Level::Low)
}

#[test]
fn explicit_and_implicit_presence_are_of_single_fields() {
    let article = Article::default();
    round_trips(&article, "{}");
    assert_eq!((article.name.as_deref(), article.count), (None, 0));
    // Only the name has presence.
    round_trips(&article.with_name("").with_count(0), r#"{"name":""}"#);
}

#[test]
fn every_field_of_a_message_with_editions_round_trips() {
    let article = Article::default()
        .with_name("hat")
        .with_count(-1)
        .with_kind(Kind::One)
        .with_sizes([1, 2])
        .with_packed([3, 4])
        .with_parts([("brim", Article::default().with_no("n"))])
        .with_other(other())
        .with_yes(false)
        .with_inner(article::Inner { inner: true });
    round_trips(
        &article,
        r#"{"name":"hat","count":-1,"kind":"KIND_ONE","sizes":[1,2],"packed":[3,4],"parts":{"brim":{"no":"n"}},"other":{"id":"o","part":{"yes":true},"plain":{"yes":true},"parts":{"p":{"yes":true}},"sizes":[1],"level":"LEVEL_LOW"},"yes":false,"inner":{"inner":true}}"#,
    );
    let _: BTreeMap<String, Article> = article.parts;
}

#[test]
fn features_select_the_binary_form() {
    let bytes = Article::default().with_sizes([1, 2]).with_packed([3, 4]).encode_to_vec();
    assert_eq!(bytes, [0x20, 1, 0x20, 2, 0x2A, 2, 3, 4]);
    let part = other::Part { yes: Some(true) };
    let bytes = Other::default().with_part(part).with_plain(part).encode_to_vec();
    // The required field is always there. `part` is between a start and an end, `plain` has its length.
    assert_eq!(bytes, [0x12, 0, 0x1B, 8, 1, 0x1C, 0x22, 2, 8, 1]);
}

#[test]
fn defaults_of_editions_are_values_of_absent_fields() {
    let other = Other::default();
    assert_eq!((other.count, other.count()), (None, 7));
    round_trips(&other.with_count(0), r#"{"count":0,"id":""}"#);
}

struct Shop;

impl ShopApi for Shop {
    async fn get(&self, _: Context, article: Article) -> Result<article::Inner, Status> {
        Ok(article.inner.unwrap_or_default())
    }
}

#[tokio::test]
async fn services_of_files_with_editions_can_be_called() {
    let client =
        ShopApiClient::new(Channel::in_process(Router::new().with(ShopApiServer::new(Shop))));
    let inner = article::Inner { inner: true };
    let answer = client.get(Article::default().with_inner(inner)).await;
    assert_eq!(answer.expect("it is answered"), inner);
}
