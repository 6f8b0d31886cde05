//! Searches with `https`.

use serde_json::json;
use volt_api::{Client, ClientConfig, resolve::Resolver};
use volt_embedded::EmbeddedVolt;

use crate::{config, document, failure, server::Scripted, volt};

async fn start() -> EmbeddedVolt {
    EmbeddedVolt::builder().tls().start().await.unwrap()
}

async fn connects(found: &ClientConfig, volt: &EmbeddedVolt) {
    let mut config = volt.config();
    config.volt = found.volt.clone();
    Client::connect(config).await.unwrap();
}

#[tokio::test]
async fn a_volt_with_a_pinned_authority_is_queried_directly() {
    let tls = start().await;
    let known = tls.config().volt;
    let pinned = json!({ "http_address": tls.url(), "ca_pem": known.ca_pem });
    let found = Resolver::new().resolve(&config(pinned)).await.unwrap();
    assert_eq!(found.volt, known);
    connects(&found, &tls).await;
}

#[tokio::test]
async fn an_unpinned_authority_is_not_trusted() {
    let (tls, other) = (start().await, start().await);
    // The configuration is enough to connect, so it is returned; nothing was added.
    let pinned = json!({ "http_address": tls.url(), "ca_pem": other.config().volt.ca_pem });
    let found = Resolver::new().resolve(&config(pinned.clone())).await.unwrap();
    assert_eq!(volt(&found), pinned);
    for (known, why) in [
        (json!({ "http_address": tls.url() }), "certificate"),
        (json!({ "id": tls.id(), "relay": pinned }), "certificate"),
        (
            json!({ "id": tls.id(), "relay": { "http_address": tls.url(), "ca_pem": "nonsense" } }),
            "`ca_pem`",
        ),
    ] {
        let error = failure(&Resolver::new(), known).await;
        assert!(error.is_connection() && error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_volt_authority_may_certify_its_discovery_server() {
    let tls = start().await;
    let services = [("volt-discovery", json!(format!("{}/discover", tls.url())))];
    let id = tls.id().to_owned();
    let registry = Scripted::start(move |_| match document(&services) {
        crate::server::Reply::Json(mut document) => {
            document["id"] = json!(id);
            crate::server::Reply::Json(document)
        }
        other => other,
    });
    let registry = registry.await;
    let known = json!({ "id": tls.id(), "ca_pem": tls.config().volt.ca_pem });
    let found = Resolver::new().registry(registry.url()).resolve(&config(known)).await.unwrap();
    assert_eq!(found.volt, tls.config().volt);
}

#[tokio::test]
async fn a_relay_keeps_its_pinned_authority() {
    let relay = start().await;
    let behind = EmbeddedVolt::builder().relay(relay.config()).start().await.unwrap();
    let at = relay.config().volt;
    let known = json!({
        "id": behind.id(),
        "relay": { "http_address": relay.url(), "ca_pem": at.ca_pem },
    });
    let found = Resolver::new().resolve(&config(known)).await.unwrap();
    assert_eq!(volt(&found)["relay"]["ca_pem"], json!(at.ca_pem));
    connects(&found, &behind).await;
}
