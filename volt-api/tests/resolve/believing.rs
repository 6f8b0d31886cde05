//! The parts of an answer that a search trusts.

use serde_json::json;
use volt_api::{
    ClientConfig,
    key::{SigningKey, VerifyingKey},
    resolve::Resolver,
};
use volt_embedded::EmbeddedVolt;

use crate::{
    DID, answer, config, document, failure, key, relay,
    server::{Reply, Scripted},
    volt,
};

#[tokio::test]
async fn a_contradicting_answer_error_names_the_field() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let fingerprint = SigningKey::generate().unwrap().verifying_key().fingerprint();
    let unasked = Scripted::start(|_| Reply::NotFound).await;
    let resolver = Resolver::new().registry(volt.url()).registry(unasked.url());
    for (field, value) in [("public_key", key()), ("fingerprint", fingerprint)] {
        let known = json!({ "id": volt.id(), "http_address": volt.url(), field: value });
        let error = failure(&resolver, known).await;
        assert!(error.is_configuration(), "{error}");
        assert!(error.to_string().contains(&format!("`volt.{field}`")), "{error}");
    }
    let error = failure(&resolver, json!({ "id": DID, "http_address": volt.url() })).await;
    assert!(error.to_string().contains("`volt.id`"), "{error}");
    // The next server was queried only for the Volt that the registry does not know.
    assert_eq!(unasked.asked().len(), 1);
}

#[tokio::test]
async fn a_pinned_certificate_cannot_be_replaced_or_bypassed() {
    let ca = include_str!("../../../volt-runtime/tests/vectors/ed25519_ca.pem");
    let other = ca.replacen('A', "B", 1);
    for answer in [json!({ "id": DID, "ca_pem": other }), answer(&key())] {
        let volt = Scripted::start(move |_| Reply::Json(answer.clone())).await;
        let known = json!({ "http_address": volt.url(), "ca_pem": ca });
        let error = failure(&Resolver::new(), known).await;
        assert!(error.is_configuration(), "{error}");
        assert!(error.to_string().contains("`volt.ca_pem`"), "{error}");
    }
}

#[tokio::test]
async fn a_fingerprint_alone_pins_the_key() {
    let key = SigningKey::generate().unwrap().verifying_key();
    let right = answer(&key.to_pem());
    let volt = Scripted::start(move |_| Reply::Json(right.clone())).await;
    let known = json!({ "http_address": volt.url(), "fingerprint": key.fingerprint() });
    let found = Resolver::new().resolve(&config(known)).await.unwrap();
    assert_eq!(found.volt.public_key.as_deref(), Some(&*key.to_pem()));
    let wrong = json!({ "http_address": volt.url(), "fingerprint": "something else" });
    let error = failure(&Resolver::new(), wrong).await;
    assert!(error.to_string().contains("`volt.fingerprint`"), "{error}");
}

#[tokio::test]
async fn a_fingerprint_pins_rsa_keys_and_certificate_keys() {
    let rsa = SigningKey::generate_rsa().unwrap().verifying_key();
    let ca = include_str!("../../../volt-runtime/tests/vectors/ed25519_ca.pem");
    let certified = VerifyingKey::from_certificate(ca).unwrap();
    for (reply, key) in
        [(answer(&rsa.to_pem()), rsa), (json!({ "id": DID, "ca_pem": ca }), certified)]
    {
        let volt = Scripted::start(move |_| Reply::Json(reply.clone())).await;
        let known = json!({ "http_address": volt.url(), "fingerprint": key.fingerprint() });
        let found = Resolver::new().resolve(&config(known)).await.unwrap();
        assert_eq!(found.volt_key().unwrap(), key);
        let other = SigningKey::generate_rsa().unwrap().verifying_key().fingerprint();
        let wrong = json!({ "http_address": volt.url(), "fingerprint": other });
        let error = failure(&Resolver::new(), wrong).await;
        assert!(error.to_string().contains("`volt.fingerprint`"), "{error}");
    }
}

#[tokio::test]
async fn an_unreadable_certificate_accepts_no_key() {
    let reply = answer(&key());
    let volt = Scripted::start(move |_| Reply::Json(reply.clone())).await;
    let known = json!({ "http_address": volt.url(), "ca_pem": "no certificate" });
    let error = failure(&Resolver::new(), known).await;
    assert!(error.is_configuration(), "{error}");
    assert!(error.to_string().contains("`volt.ca_pem`"), "{error}");
}

#[tokio::test]
async fn differently_formatted_keys_are_equal() {
    let key = key();
    let windows = answer(&key.replace('\n', "\r\n"));
    let server = Scripted::start(move |_| Reply::Json(windows.clone())).await;
    let known = config(json!({ "http_address": server.url(), "public_key": key }));
    let found = Resolver::new().resolve(&known).await.unwrap();
    assert_eq!(found.volt.public_key, Some(key));
}

#[tokio::test]
async fn absent_fields_stay_and_unknown_fields_are_dropped() {
    let key = key();
    let reply = json!({
        "id": DID, "display_name": "new", "address": null, "fingerprint": "", "public_key": key,
        "relay": "http://relay.example", "credential": "x", "surprise": 1,
    });
    let server = Scripted::start(move |_| Reply::Json(reply.clone())).await;
    let known = json!({
        "volt": {
            "http_address": server.url(), "display_name": "old", "address": "old:1",
            "fingerprint": SigningKey::generate().unwrap().verifying_key().fingerprint(), "own": 2,
            "public_key": key,
        },
        "client_name": "me", "credential": { "session_id": "s" }, "extra": [1],
    });
    let config = ClientConfig::from_json(&known.to_string()).unwrap();
    let found = Resolver::new().resolve(&config).await.unwrap();
    let mut expected = known;
    expected["volt"]["id"] = json!(DID);
    expected["volt"]["display_name"] = json!("new");
    // An unrequested relay is not added.
    assert_eq!(serde_json::to_value(&found).unwrap(), expected);
}

#[tokio::test]
async fn a_relay_that_lists_the_volt_with_another_key_is_an_error() {
    let liar = relay("did:volt:relay", key()).await;
    let services = [("volt-relay", json!(liar.url()))];
    let registry = Scripted::start(move |_| document(&services)).await;
    let resolver = Resolver::new().registry(registry.url());
    let error = failure(&resolver, json!({ "id": DID, "public_key": key() })).await;
    assert!(error.is_configuration(), "{error}");
    assert!(error.to_string().contains("`volt.public_key`"), "{error}");
}

#[tokio::test]
async fn a_relay_with_an_unexpected_identity_is_skipped() {
    let liar = relay("did:volt:liar", key()).await;
    let honest = relay("did:volt:honest", key()).await;
    let (discover, address) = (format!("{}/discover", liar.url()), honest.url());
    let registry = Scripted::start(move |path| match path {
        "/did/did:volt:relay" => {
            let service = json!([{ "type": "volt-discovery", "serviceEndpoint": discover }]);
            Reply::Json(json!({ "id": "did:volt:relay", "service": service }))
        }
        _ => document(&[("volt-relay", json!("did:volt:relay")), ("volt-relay", json!(address))]),
    });
    let registry = registry.await;
    let found = Resolver::new().registry(registry.url()).find(DID).await.unwrap();
    assert_eq!(volt(&found)["relay"]["id"], "did:volt:honest");
    assert_eq!(liar.asked(), ["/discover"]);
}
