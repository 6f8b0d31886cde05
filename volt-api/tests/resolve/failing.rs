//! Errors of a search that does not find the Volt.

use std::time::Duration;

use serde_json::json;
use volt_api::resolve::Resolver;

use crate::{
    DID, answer, config, failure, key,
    server::{Reply, Scripted},
    volt,
};

#[tokio::test]
async fn a_usable_configuration_is_returned_without_answers() {
    let deaf = Scripted::start(|_| Reply::NotFound).await;
    for known in [
        json!({ "id": DID, "http_address": deaf.url(), "public_key": key() }),
        json!({ "id": DID, "address": "volt.example:1", "public_key": key() }),
        json!({ "id": DID, "relay": deaf.url(), "public_key": key() }),
    ] {
        let found = Resolver::new().registry(deaf.url()).resolve(&config(known.clone())).await;
        assert_eq!(volt(&found.unwrap()), known);
    }
}

#[tokio::test]
async fn the_error_lists_each_attempt_and_its_failure() {
    let registry = Scripted::start(|path| match path {
        "/discover" => Reply::Json(json!({ "id": DID })),
        _ => Reply::Json(json!({ "id": "did:volt:other" })),
    });
    let registry = registry.await;
    let secret = registry.url().replace("http://", "http://name:secret@");
    let resolver =
        Resolver::new().registry("http://127.0.0.1:1").registry(secret).registry("nowhere");
    let known = json!({ "id": DID, "http_address": registry.url() });
    let error = failure(&resolver, known).await;
    assert!(error.is_connection());
    let text = error.to_string();
    let mut rest = &*text;
    for part in [
        "http://127.0.0.1:1/did/did:volt:wanted: ",
        "refused",
        "/did/did:volt:wanted: the document describes another DID",
        "nowhere/did/did:volt:wanted: ",
        "/discover: the answer has no `public_key`",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part} is not, or too late, in {text}"));
        rest = &rest[at + part.len()..];
    }
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn unusable_answers_explain_why() {
    let long = format!("\"{}\"", "x".repeat(2 << 20));
    for (reply, why) in [
        (Reply::NotFound, "404"),
        (Reply::Text("<html>".to_owned()), "no JSON"),
        (Reply::Text(String::new()), "no JSON"),
        (Reply::Json(json!(["a"])), "does not describe a Volt"),
        (Reply::Json(json!({ "id": 7 })), "does not describe a Volt"),
        (Reply::Json(json!({})), "`id`"),
        (Reply::Json(json!({ "id": DID, "relay": "http://relay" })), "`public_key`"),
        (Reply::Text(long), "longer than 1048576 bytes"),
        (Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_owned()), ""),
        (Reply::Raw("what?".to_owned()), ""),
    ] {
        let server = Scripted::start(move |_| reply.clone()).await;
        let error = failure(&Resolver::new(), json!({ "http_address": server.url() })).await;
        assert!(error.is_connection());
        let text = error.to_string();
        assert!(text.contains(&format!("{}/discover: ", server.url())), "{text}");
        assert!(text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let server = Scripted::start(|_| Reply::Endless).await;
    let error = failure(&Resolver::new(), json!({ "http_address": server.url() })).await;
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[tokio::test]
async fn a_silent_server_is_abandoned_after_the_timeout() {
    let server = Scripted::start(|_| Reply::Silence).await;
    let resolver = Resolver::new().timeout(Duration::from_millis(50));
    let error = resolver.find(&server.url()).await.unwrap_err();
    assert!(error.to_string().contains("no answer within 50ms"), "{error}");
}

#[tokio::test]
async fn at_most_three_redirects_are_followed() {
    let key = key();
    let server = Scripted::start_at(move |url, path| match path {
        "/discover" => Reply::Redirect(format!("{url}/3")),
        "/3" => Reply::Redirect(format!("{url}/2")),
        "/2" => Reply::Redirect(format!("{url}/1")),
        "/1" => Reply::Json(answer(&key)),
        _ => Reply::Redirect(format!("{url}{path}")),
    });
    let server = server.await;
    let found = Resolver::new().find(&server.url()).await.unwrap();
    assert_eq!(found.volt.id.as_deref(), Some(DID));
    let error = Resolver::new().find(&format!("{}/loop", server.url())).await.unwrap_err();
    assert!(error.to_string().contains("more than 3 redirects"), "{error}");
    assert_eq!(server.asked().iter().filter(|path| *path == "/loop/discover").count(), 4);
}

#[tokio::test]
async fn https_to_a_plain_http_server_is_an_error() {
    let server = Scripted::start(|_| Reply::NotFound).await;
    let address = server.url().replace("http://", "https://");
    let error = Resolver::new().find(&address).await.unwrap_err();
    assert!(error.is_connection(), "{error}");
}
