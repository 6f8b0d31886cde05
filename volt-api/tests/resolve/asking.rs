//! The servers that a search asks, and their order.

use serde_json::json;
use volt_api::{Client, ClientConfig, resolve::Resolver, volt::GetResourceRequest};
use volt_embedded::EmbeddedVolt;

use crate::{
    DID, config, document, failure, key, relay,
    server::{Reply, Scripted},
    volt,
};

async fn connects(found: &ClientConfig, volt: &EmbeddedVolt) {
    let mut config = volt.config();
    config.volt = found.volt.clone();
    let client = Client::connect(config).await.unwrap();
    let request = GetResourceRequest::default().with_resource_id(volt.id());
    let root = client.volt().get_resource(request).await.unwrap().resource.unwrap();
    assert_eq!(root.id, volt.id());
}

#[tokio::test]
async fn a_did_and_a_registry_are_enough_to_connect() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let resolver = Resolver::new().registry(format!("{}/", volt.url()));
    let id = volt.id().to_owned();
    // The future is `Send`.
    let found = tokio::spawn(async move { resolver.find(&id).await });
    let found = found.await.unwrap().unwrap();
    assert_eq!(found.volt, volt.config().volt);
    connects(&found, &volt).await;
}

#[tokio::test]
async fn an_address_is_enough_to_connect() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let found = Resolver::new().find(volt.url()).await.unwrap();
    connects(&found, &volt).await;
}

#[tokio::test]
async fn registries_are_queried_in_order_and_then_the_volt() {
    let empty = EmbeddedVolt::start().await.unwrap();
    let volt = EmbeddedVolt::start().await.unwrap();
    let resolver = Resolver::new().registry("http://127.0.0.1:1").registry(empty.url());
    let found = resolver.clone().registry(volt.url()).find(volt.id()).await.unwrap();
    assert_eq!(found.volt, volt.config().volt);
    let known = config(json!({ "id": volt.id(), "http_address": volt.url() }));
    let found = resolver.resolve(&known).await.unwrap();
    assert_eq!(found.volt, volt.config().volt);
}

#[tokio::test]
async fn a_discovery_service_may_be_an_object() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let discover = format!("{}/discover", volt.url());
    for endpoint in [json!({ "uri": discover }), json!({ "http_address": volt.url() })] {
        let id = volt.id().to_owned();
        let service = json!([{ "type": "volt-discovery", "serviceEndpoint": endpoint }]);
        let registry =
            Scripted::start(move |_| Reply::Json(json!({ "id": id, "service": service })));
        let registry = registry.await;
        let found = Resolver::new().registry(registry.url()).find(volt.id()).await.unwrap();
        assert_eq!(found.volt, volt.config().volt);
    }
}

#[tokio::test]
async fn only_the_relay_is_queried_after_it_was_resolved() {
    let (key, other) = (key(), Scripted::start(|_| Reply::NotFound).await);
    let relay = relay("did:volt:relay", key.clone()).await;
    let resolver = Resolver::new().registry(other.url());
    let expected =
        json!({ "id": "did:volt:relay", "http_address": relay.url(), "public_key": key });
    for given in [json!(relay.url()), json!({ "http_address": relay.url() })] {
        let known = json!({ "id": DID, "http_address": other.url(), "relay": given });
        let found = volt(&resolver.resolve(&config(known)).await.unwrap());
        assert_eq!((&found["relay"], &found["public_key"]), (&expected, &json!(key)));
    }
    assert_eq!(relay.asked(), ["/discover", "/relay", "/discover", "/relay"]);
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn chains_of_relays_are_limited() {
    // All of them have the same address and list one another.
    let relay = relay(DID, key()).await;
    let mut given = json!(relay.url());
    for relays in 1..=6 {
        let known = json!({ "id": DID, "relay": given });
        match Resolver::new().resolve(&config(known)).await {
            Ok(_) => assert!(relays <= 4, "{relays}"),
            Err(error) => {
                assert!(relays > 4, "{error}");
                assert!(error.to_string().contains("too many relays"), "{error}");
            }
        }
        given = json!({ "id": DID, "http_address": relay.url(), "relay": given });
    }
}

#[tokio::test]
async fn discovery_services_precede_relays_in_a_did_document() {
    let key = key();
    let relay = relay("did:volt:relay", key.clone()).await;
    let services = [
        ("something-else", json!(["x"])),
        ("volt-relay", json!("http://127.0.0.1:1")),
        ("volt-relay", json!(relay.url())),
        ("volt-discovery", json!(format!("{}/nothing", relay.url()))),
    ];
    let registry = Scripted::start(move |_| document(&services)).await;
    let found = Resolver::new().registry(registry.url()).find(DID).await.unwrap();
    assert_eq!(volt(&found)["relay"]["http_address"], relay.url());
    assert_eq!(relay.asked(), ["/nothing", "/discover", "/relay"]);
    assert_eq!(registry.asked(), [format!("/did/{DID}")]);
}

#[tokio::test]
async fn only_named_hosts_are_queried() {
    let error = Resolver::new().find(DID).await.unwrap_err();
    assert!(error.is_configuration());
    assert!(error.to_string().contains("no registry was named"), "{error}");
    let error = failure(&Resolver::new(), json!({})).await;
    assert!(
        error.is_configuration() && error.to_string().contains("`volt.http_address`"),
        "{error}"
    );
    let error = failure(&Resolver::new(), json!({ "relay": "http://127.0.0.1:1" })).await;
    assert!(error.is_configuration() && error.to_string().contains("`volt.id`"), "{error}");
    let error = Resolver::new().find("volt.example").await.unwrap_err();
    assert!(error.is_configuration() && error.to_string().contains("volt.example"), "{error}");
}

#[tokio::test]
async fn endless_references_do_not_prolong_a_search() {
    let server = Scripted::start_at(|url, path| match path {
        "/more" => Reply::NotFound,
        _ => document(&vec![("volt-discovery", json!(format!("{url}/more"))); 1000]),
    });
    let server = server.await;
    let error = failure(&Resolver::new().registry(server.url()), json!({ "id": DID })).await;
    assert!(error.is_connection());
    assert_eq!(server.asked().len(), 32);
}
