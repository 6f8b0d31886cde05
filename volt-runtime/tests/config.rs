//! The client configuration: what is read, kept, written and said.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use volt_runtime::{ClientConfig, key::SigningKey};

fn config(volt: impl Into<Value>) -> ClientConfig {
    let text = json!({ "client_name": "test", "volt": volt.into() }).to_string();
    ClientConfig::from_json(&text).unwrap()
}

#[test]
fn the_relay_comes_before_the_http_address_and_that_before_the_guess() {
    let mut volt = json!({ "id": "v", "address": "volt.example:52991" });
    assert_eq!(config(volt.clone()).url().unwrap(), "ws://volt.example:52993/api");
    volt["http_address"] = json!("http://volt.example:52992/");
    assert_eq!(config(volt.clone()).url().unwrap(), "ws://volt.example:52992/api");
    volt["relay"] = json!("http://relay.example");
    assert_eq!(config(volt.clone()).url().unwrap(), "ws://relay.example/api");
    volt["relay"] = json!({ "id": "r", "http_address": "http://other.example:1/" });
    assert_eq!(config(volt.clone()).url().unwrap(), "ws://other.example:1/api");
    volt["relay"] = json!(null);
    assert_eq!(config(volt).url().unwrap(), "ws://volt.example:52992/api");
}

#[test]
fn errors_name_the_field() {
    for (volt, field) in [
        (json!({}), "`volt.http_address` is missing"),
        (json!({ "http_address": "volt.example" }), "`volt.http_address`"),
        (json!({ "relay": { "id": "r" } }), "`volt.relay.http_address` is missing"),
        (json!({ "relay": "relay.example" }), "`volt.relay`"),
        (json!({ "address": "volt.example:x" }), "`volt.address`"),
        (json!({ "address": "volt.example:65535" }), "`volt.address`"),
    ] {
        let message = config(volt).url().unwrap_err().to_string();
        assert!(message.contains(field), "{message}");
    }
    let message = ClientConfig::from_json(r#"{"volt": {"id": 7}}"#).unwrap_err().to_string();
    assert!(message.contains("line 1"), "{message}");
    let message = ClientConfig::from_file("does/not/exist.json").unwrap_err().to_string();
    assert!(message.contains("exist.json"), "{message}");
}

#[test]
fn what_is_not_modelled_is_kept_and_written_back() {
    let text = json!({
        "client_name": "test",
        "autoReconnect": true,
        "credential": { "session_id": "s", "bindIp": "10.0.0.1", "vc": [{ "id": "c" }], "extra": 1 },
        "volt": { "id": "v", "somethingNew": { "a": [1, 2] }, "relay": { "http_address": "http://r", "cloud": true } },
    });
    let config = ClientConfig::from_json(&text.to_string()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("volt.config.json");
    config.write(&path).unwrap();
    let mut written: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    // One spelling of this field is written, whichever was read.
    assert_eq!(written["credential"]["bind_ip"].take(), "10.0.0.1");
    for part in ["autoReconnect", "client_name", "volt"] {
        assert_eq!(written[part], text[part]);
    }
    assert_eq!(written["credential"]["extra"], 1);
    assert_eq!(written["credential"]["vc"], text["credential"]["vc"]);
    assert_eq!(ClientConfig::from_file(&path).unwrap().session_id(), Some("s"));
}

#[cfg(unix)]
#[test]
fn a_written_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("volt.config.json");
    config(json!({ "id": "v" })).write(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_with_its_cause() {
    let error = config(json!({})).write("no/such/folder/volt.config.json").unwrap_err();
    assert!(error.is_configuration());
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn secrets_are_never_printed() {
    let key = SigningKey::generate().unwrap();
    let pem = key.to_pem().unwrap();
    let secret = pem.lines().nth(1).unwrap();
    let config =
        config(json!({ "id": "v" })).with_credential(pem.as_str(), Some("session-7".into()));
    for printed in [format!("{config:?}"), format!("{config:#?}"), format!("{key:?}")] {
        assert!(!printed.contains(secret) && !printed.contains("session-7"), "{printed}");
    }
}

#[test]
fn keys_that_are_no_use_say_what_they_are() {
    let error = |pem: &str| SigningKey::from_pem(pem).unwrap_err().to_string();
    assert!(error("hello").contains("not PEM"));
    let public = SigningKey::generate().unwrap().verifying_key().to_pem();
    assert!(error(&public).contains("`PUBLIC KEY`"));
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
    assert!(error(encrypted).contains("passphrase"));
    let not_a_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    assert!(error(not_a_key).contains("not an Ed25519 key"));
}
