//! Public servers cannot make a client ask servers near it. A server behind a proxy counts as public,
//! because only the proxy knows where it is. The scripted server plays the proxy: it receives whole
//! addresses in place of paths.

use std::time::Duration;

use serde_json::json;
use volt_api::{Proxy, resolve::Resolver};

use crate::{
    DID, answer, config, document, failure, key, relay,
    server::{Reply, Scripted},
    volt,
};

fn through(proxy: &Scripted) -> Resolver {
    Resolver::new().proxy(Proxy::new(proxy.url()).unwrap())
}

#[tokio::test]
async fn a_public_document_cannot_name_a_near_server() {
    let near = relay(DID, key()).await;
    let port = near.url().rsplit(':').next().unwrap().to_owned();
    for target in [
        near.url(),
        format!("http://localhost:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        format!("http://0.0.0.0:{port}"),
        "http://10.0.0.1".to_owned(),
        "http://169.254.169.254".to_owned(),
        "http://[fe80::1]".to_owned(),
    ] {
        for kind in ["volt-discovery", "volt-relay"] {
            let services = [(kind, json!(target))];
            let proxy = Scripted::start(move |_| document(&services)).await;
            let resolver = through(&proxy).registry("http://registry.invalid");
            let text = failure(&resolver, json!({ "id": DID })).await.to_string();
            assert!(text.contains("is on this machine or a private network"), "{text}");
            assert_eq!(proxy.asked(), [format!("http://registry.invalid/did/{DID}")]);
        }
    }
    assert!(near.asked().is_empty());
    // The user may permit it.
    let services = [("volt-relay", json!(near.url()))];
    let proxy = Scripted::start(move |_| document(&services)).await;
    let resolver = through(&proxy).registry("http://registry.invalid").allow_near_targets();
    let found = resolver.find(DID).await.unwrap();
    assert_eq!(volt(&found)["relay"]["http_address"], near.url());
}

#[tokio::test]
async fn a_public_server_cannot_redirect_to_a_near_one() {
    let key = key();
    let near = Scripted::start(move |_| Reply::Json(answer(&key))).await;
    let target = format!("{}/discover", near.url());
    let proxy = Scripted::start(move |path| match path {
        "http://volt.invalid/discover" => Reply::Redirect("http://other.invalid/x".to_owned()),
        _ => Reply::Redirect(target.clone()),
    });
    let proxy = proxy.await;
    let error = through(&proxy).find("http://volt.invalid").await.unwrap_err();
    assert!(error.to_string().contains("private network"), "{error}");
    assert_eq!(proxy.asked(), ["http://volt.invalid/discover", "http://other.invalid/x"]);
    assert!(near.asked().is_empty());
}

/// A Volt behind a reverse proxy may report its inner address.
#[tokio::test]
async fn a_near_address_in_a_public_answer_is_ignored() {
    let key = key();
    let reply = json!({
        "id": DID, "public_key": key, "http_address": "http://10.0.0.7:8001",
        "address": "127.0.0.1:8000",
    });
    let proxy = Scripted::start(move |path| match path {
        "http://registry.invalid/did/did:volt:wanted" => {
            document(&[("volt-discovery", json!("http://volt.invalid/discover"))])
        }
        _ => Reply::Json(reply.clone()),
    });
    let proxy = proxy.await;
    let found = through(&proxy).find("http://volt.invalid").await.unwrap();
    assert_eq!(found.volt.http_address.as_deref(), Some("http://volt.invalid"));
    assert_eq!(found.volt.address, None);
    let resolver = through(&proxy).registry("http://registry.invalid");
    let error = resolver.find(DID).await.unwrap_err();
    assert!(error.to_string().contains("the address in the answer is on"), "{error}");
    let found = resolver.allow_near_targets().find(DID).await.unwrap();
    assert_eq!(found.volt.http_address.as_deref(), Some("http://10.0.0.7:8001"));
}

#[tokio::test]
async fn a_relay_list_neither_replaces_https_nor_adds_relays() {
    let pinned = key();
    let key = pinned.clone();
    let entry = json!({
        "id": DID, "public_key": key, "http_address": "http://volt.example",
        "relay": "http://other.example",
    });
    let relay = Scripted::start_at(move |url, path| match path {
        "/discover" => Reply::Json(json!({
            "id": "did:volt:relay", "http_address": url, "public_key": entry["public_key"],
            "relay": "http://third.example",
        })),
        _ => Reply::Json(json!({ "clients": [entry] })),
    });
    let relay = relay.await;
    let known = json!({
        "id": DID, "http_address": "https://volt.example", "public_key": pinned, "relay": relay.url(),
    });
    let found = volt(&Resolver::new().resolve(&config(known)).await.unwrap());
    assert_eq!(found["http_address"], "https://volt.example");
    assert_eq!(found["relay"]["http_address"], relay.url());
    assert_eq!(found["relay"]["relay"], json!(null));
}

#[tokio::test]
async fn a_search_ends_in_time_and_sends_nothing_more() {
    let silent = Scripted::start(|_| Reply::Silence).await;
    let unasked = Scripted::start(|_| Reply::NotFound).await;
    let resolver = Resolver::new().registry(silent.url()).registry(unasked.url());
    let resolver = resolver.total_timeout(Duration::from_millis(50));
    let text = resolver.find(DID).await.unwrap_err().to_string();
    assert!(text.contains("not queried, after 50ms in all"), "{text}");
    assert!(unasked.asked().is_empty());
}
