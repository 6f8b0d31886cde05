//! The Volt's plain HTTP responses.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use volt_api::{
    Client,
    key::{SigningKey, VerifyingKey},
};
use volt_embedded::EmbeddedVolt;

use crate::support::{identity, make, start};

/// Returns the status and the JSON body of the response to a GET.
pub(crate) async fn get(volt: &EmbeddedVolt, path: &str) -> (u16, Value) {
    let address = volt.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test]
async fn discover_returns_only_the_volt_configuration() {
    let (volt, _client) = start().await;
    let config = volt.config().volt;
    let expected = json!({
        "id": volt.id(),
        "display_name": config.display_name,
        "public_key": config.public_key,
        "fingerprint": config.fingerprint,
        "address": config.address,
        "http_address": volt.url(),
        "ca_pem": config.ca_pem,
    });
    assert_eq!(get(&volt, "/discover").await, (200, expected));
}

#[tokio::test]
async fn the_did_document_names_the_discovery_address() {
    let (volt, _client) = start().await;
    let (status, document) = get(&volt, &format!("/did/{}", volt.id())).await;
    assert_eq!((status, &document["id"]), (200, &json!(volt.id())));
    assert_eq!(document["service"][0]["type"], "volt-discovery");
    let endpoint = document["service"][0]["serviceEndpoint"].as_str().unwrap();
    assert_eq!(endpoint, format!("{}/discover", volt.url()));
    let method = &document["verificationMethod"][0];
    assert_eq!(method["publicKeyPem"], json!(volt.config().volt.public_key));
    assert_eq!(method["type"], "Ed25519Signature2018");
    let encoded = volt.id().replace(':', "%3A");
    assert_eq!(get(&volt, &format!("/did/{encoded}")).await, (200, document));
}

#[tokio::test]
async fn only_identities_have_did_documents() {
    let (volt, client) = start().await;
    let config = volt.guest("guest").unwrap();
    let did = identity(&config);
    let key = config.credential.as_ref().unwrap().key.clone().unwrap();
    let public = SigningKey::from_pem(&key).unwrap().verifying_key().to_pem();
    let (status, document) = get(&volt, &format!("/did/{did}")).await;
    assert_eq!((status, &document["id"]), (200, &json!(did)));
    assert_eq!(document["verificationMethod"].as_array().unwrap().len(), 1);
    assert_eq!(document["verificationMethod"][0]["publicKeyPem"], json!(public));
    assert_eq!(document.get("service"), None);

    let folder = make(&client, "folder", "volt:folder").await.id;
    for path in ["/did/did:volt:nobody", &format!("/did/{folder}"), "/did/", "/did", "/other"] {
        assert_eq!(get(&volt, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn the_relay_list_is_empty_at_first() {
    let (volt, _client) = start().await;
    assert_eq!(get(&volt, "/relay").await, (200, json!({ "clients": [] })));
}

#[tokio::test]
async fn discovered_configuration_can_connect() {
    let (volt, _client) = start().await;
    let mut config = volt.config();
    config.volt = serde_json::from_value(get(&volt, "/discover").await.1).unwrap();
    let client = Client::connect(config).await.unwrap();
    make(&client, "made", "volt:folder").await;
}

/// Some published clients read the Volt's key from there, or refuse a configuration without it.
#[tokio::test]
async fn configurations_have_an_authority_without_tls() {
    let (volt, _client) = start().await;
    let mut config = volt.config();
    let authority = config.volt.ca_pem.clone().unwrap();
    let key = VerifyingKey::from_certificate(&authority).unwrap();
    assert_eq!(Some(key.to_pem()), config.volt.public_key);
    config.volt.public_key = None;
    let client = Client::connect(config).await.unwrap();
    make(&client, "made", "volt:folder").await;
    for config in [volt.guest("guest").unwrap(), volt.stranger("stranger").unwrap()] {
        assert_eq!(config.volt.ca_pem.as_ref(), Some(&authority));
    }
}
