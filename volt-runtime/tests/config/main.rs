//! The client configuration: reading, preserving and writing it.

#![allow(clippy::unwrap_used)]

mod invalid;

use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use volt_runtime::{
    __core::{
        call::Outgoing,
        frame::{Frame, KeyRequest},
        handshake::{Route, ServerHandshake, Via},
        legacy,
        token::{Claims, Token},
        tunnel::TunnelFrame,
    },
    ClientConfig,
    key::{KeyAlgorithm, KeyError, SigningKey, VerifyingKey},
    server::Caller,
};

fn config(volt: impl Into<Value>) -> ClientConfig {
    let text = json!({ "client_name": "test", "volt": volt.into() }).to_string();
    ClientConfig::from_json(&text).unwrap()
}

#[test]
fn the_relay_precedes_the_http_address_and_the_guess() {
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
fn https_becomes_wss_and_the_port_stays_as_it_is() {
    for (address, url) in [
        ("https://volt.example", "wss://volt.example/api"),
        ("https://volt.example:8443/", "wss://volt.example:8443/api"),
        ("https://[::1]:1", "wss://[::1]:1/api"),
        ("http://http.example", "ws://http.example/api"),
    ] {
        assert_eq!(config(json!({ "http_address": address })).url().unwrap(), url);
    }
    let error = config(json!({ "http_address": "volt.example" })).url().unwrap_err();
    assert!(error.to_string().contains("https://volt.example"), "{error}");
}

#[test]
fn plaintext_can_be_allowed_by_file_or_program() {
    let config = ClientConfig::from_json(r#"{ "volt": {}, "allow_plaintext": true }"#).unwrap();
    assert!(config.allow_plaintext);
    assert!(serde_json::to_string(&config).unwrap().contains(r#""allow_plaintext":true"#));
    let config = ClientConfig::from_json(r#"{ "volt": {}, "allow_plaintext": null }"#).unwrap();
    assert!(!config.allow_plaintext);
    assert!(!serde_json::to_string(&config).unwrap().contains("allow_plaintext"));
    assert!(config.with_plaintext().allow_plaintext);
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
    for (text, field) in [
        (r#"{"volt": {"id": 7}}"#, "volt.id"),
        (r#"{"credential": {"key": ["x"]}}"#, "credential.key"),
        (r#"{"volt": 7}"#, "volt"),
    ] {
        let message = ClientConfig::from_json(text).unwrap_err().to_string();
        assert!(message.contains(&format!("{field}: ")), "{message}");
    }
    let message = ClientConfig::from_json("{").unwrap_err().to_string();
    assert!(message.contains("line 1"), "{message}");
    let message = ClientConfig::from_file("does/not/exist.json").unwrap_err().to_string();
    assert!(message.contains("exist.json"), "{message}");
}

#[test]
fn unknown_fields_are_written_back() {
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
    assert_eq!(file(&path), text);
    let read = ClientConfig::from_file(&path).unwrap();
    assert_eq!(read.session_id(), Some("s"));
    assert_eq!(read.credential.as_ref().unwrap().bind_ip(), Some("10.0.0.1"));
}

fn file(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn absent_fields_may_be_null() {
    let text =
        r#"{ "client_name": null, "credential": { "vc": null, "key": null }, "volt": null }"#;
    let config = ClientConfig::from_json(text).unwrap();
    assert!(config.signing_key().unwrap_err().to_string().contains("`credential.key` is missing"));
    assert!(config.volt_id().unwrap_err().to_string().contains("`volt.id` is missing"));
    assert!(config.volt_key().unwrap_err().to_string().contains("`volt.public_key` is missing"));
}

#[test]
fn a_volt_may_be_only_a_did_or_an_address() {
    let config = ClientConfig::from_json(r#"{ "volt": "did:volt:7" }"#).unwrap();
    assert_eq!(config.volt_id().unwrap(), "did:volt:7");
    let config = ClientConfig::from_json(r#"{ "volt": "http://volt.example" }"#).unwrap();
    assert_eq!(config.url().unwrap(), "ws://volt.example/api");
}

#[test]
fn a_passphrase_is_needed_and_never_written() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/pbes2.json")).unwrap();
    for vector in vectors.as_array().unwrap() {
        let text =
            json!({ "credential": { "key": vector["encrypted_pem"] }, "volt": { "id": "v" } });
        let config = ClientConfig::from_json(&text.to_string()).unwrap();
        let message = config.signing_key().unwrap_err().to_string();
        assert!(message.contains("`credential.key` is protected by a passphrase"), "{message}");
        let wrong = config.clone().with_passphrase("no").signing_key().unwrap_err().to_string();
        assert!(wrong.contains("`credential.key`") && wrong.contains("is wrong"), "{wrong}");
        assert!(wrong.contains("`ClientConfig::with_passphrase`"), "{wrong}");

        let passphrase = vector["passphrase"].as_str().unwrap();
        let given = config.clone().with_passphrase(passphrase);
        given.signing_key().unwrap();
        let asked = passphrase.to_owned();
        config.clone().with_passphrase_prompt(move || Some(asked.clone())).signing_key().unwrap();
        config.with_passphrase_prompt(|| None).signing_key().unwrap_err();

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("volt.config.json");
        given.write(&path).unwrap();
        assert_eq!(file(&path), text);
        assert!(!format!("{given:?}").contains(passphrase));

        // Another client stores it next to the key.
        let mut beside = text.clone();
        beside["p"] = vector["passphrase"].clone();
        let config = ClientConfig::from_json(&beside.to_string()).unwrap();
        config.signing_key().unwrap();
        config.write(&path).unwrap();
        assert_eq!(file(&path), text);
    }
}

#[test]
fn a_passphrase_prompt_is_shared_by_clones() {
    use std::sync::{Arc, Mutex};

    let key = SigningKey::generate().unwrap();
    let pem = key.to_encrypted_pem("right").unwrap();
    let answers = Arc::new(Mutex::new(vec!["never asked for", "right", "wrong"]));
    let next = Arc::clone(&answers);
    let config = config(json!({ "id": "v" }))
        .with_credential(pem, None)
        .with_passphrase_prompt(move || next.lock().unwrap().pop().map(str::to_owned));
    config.signing_key().unwrap_err();
    for config in [config.clone(), config.clone(), config.clone()] {
        assert_eq!(config.signing_key().unwrap().verifying_key(), key.verifying_key());
    }
    assert_eq!(*answers.lock().unwrap(), ["never asked for"]);
    // The cached passphrase is neither printed nor written.
    assert!(!format!("{config:?}").contains("right"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("volt.config.json");
    config.write(&path).unwrap();
    assert!(!std::fs::read_to_string(&path).unwrap().contains("right"));
}

#[test]
fn a_written_protected_key_needs_its_passphrase() {
    for key in [SigningKey::generate().unwrap(), SigningKey::generate_rsa().unwrap()] {
        let pem = key.to_encrypted_pem("päss wörd").unwrap();
        assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{pem}");
        assert_eq!(SigningKey::from_pem(&pem).unwrap_err(), KeyError::Encrypted);
        assert_eq!(
            SigningKey::from_encrypted_pem(&pem, "pass word").unwrap_err(),
            KeyError::Passphrase
        );
        let read = SigningKey::from_encrypted_pem(&pem, "päss wörd").unwrap();
        assert_eq!(read.verifying_key(), key.verifying_key());
        // Salt and initialisation vector are new each time.
        assert_ne!(key.to_encrypted_pem("päss wörd").unwrap(), pem);
    }
}

#[test]
fn a_bare_seed_is_an_ed25519_key() {
    let pem = |len: usize| {
        let bytes: Vec<u8> = (0..len).map(|byte| u8::try_from(byte).unwrap()).collect();
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        let lines: Vec<_> =
            text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    };
    let key = SigningKey::from_pem(&pem(32)).unwrap();
    // Writing it produces PKCS#8, with the same seed at the end.
    let written = key.to_pem().unwrap();
    assert_ne!(*written, pem(32));
    assert_eq!(SigningKey::from_pem(&written).unwrap().verifying_key(), key.verifying_key());
    // The public key of the seed 00 01 … 1f, from another implementation.
    let public = key.verifying_key().to_pem();
    assert!(
        public.contains("MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="),
        "{public}"
    );
    for len in [0, 31, 33, 64] {
        assert!(SigningKey::from_pem(&pem(len)).is_err(), "{len} bytes");
    }
}

/// The configuration that the published Python client shows as its example.
#[test]
fn the_python_example_needs_its_passphrase() {
    let text = include_str!("../vectors/python_readme_config.json");
    let config = ClientConfig::from_json(text).unwrap();
    assert_eq!(config.client_name.as_deref(), Some("Bob"));
    let message = config.signing_key().unwrap_err().to_string();
    assert!(message.contains("passphrase"), "{message}");
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = std::sync::Arc::clone(&asked);
    let prompted = config.clone().with_passphrase_prompt(move || {
        flag.store(true, std::sync::atomic::Ordering::Relaxed);
        Some("a guess".to_owned())
    });
    let message = prompted.signing_key().unwrap_err().to_string();
    assert!(message.contains("the passphrase is wrong"), "{message}");
    assert!(asked.load(std::sync::atomic::Ordering::Relaxed));
    assert_eq!(config.volt_key().unwrap().algorithm(), KeyAlgorithm::Rsa);
    assert_eq!(config.volt_fingerprint().unwrap(), config.volt_key().unwrap().fingerprint());
    // Only the address of the gRPC server is configured.
    assert_eq!(config.url().unwrap(), "ws://192.168.1.194:50395/api");
}

#[test]
fn the_volts_key_may_be_in_its_certificate() {
    let (volt, pem) = (SigningKey::generate().unwrap(), include_str!("../vectors/ed25519_ca.pem"));
    let mut config = config(json!({ "id": "v", "ca_pem": pem }));
    let key = config.volt_key().unwrap();
    assert_eq!(key.algorithm(), KeyAlgorithm::Ed25519);
    for absent in [None, Some(String::new())] {
        config.volt.fingerprint = absent;
        assert_eq!(config.volt_fingerprint().unwrap(), key.fingerprint());
    }
    config.volt.fingerprint = Some("given".to_owned());
    assert_eq!(config.volt_fingerprint().unwrap(), "given");
    config.volt.public_key = Some(volt.verifying_key().to_pem());
    assert_eq!(config.volt_key().unwrap(), volt.verifying_key());
    config.volt.ca_pem = config.volt.public_key.take();
    let message = config.volt_key().unwrap_err().to_string();
    assert!(message.contains("`volt.ca_pem`") && message.contains("CERTIFICATE"), "{message}");
    let rsa = VerifyingKey::from_certificate(include_str!("../vectors/rsa_ca.pem")).unwrap();
    assert_eq!(rsa.algorithm(), KeyAlgorithm::Rsa);
}

#[test]
fn a_configuration_is_saved_to_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("volt.config.json");
    config(json!({ "id": "v" })).save().unwrap();
    config(json!({ "id": "v" })).write(&path).unwrap();
    let mut read = ClientConfig::from_file(&path).unwrap().with_new_key().unwrap();
    read.client_name = Some("changed".to_owned());
    read.save().unwrap();
    let again = ClientConfig::from_file(&path).unwrap();
    assert_eq!(again.client_name.as_deref(), Some("changed"));
    let (ours, theirs) = (read.signing_key().unwrap(), again.signing_key().unwrap());
    assert_eq!(ours.verifying_key(), theirs.verifying_key());
}

#[test]
fn a_new_key_clears_only_the_old_keys_fields() {
    let text = json!({
        "credential": {
            "key": "old", "session_id": "s", "identity_did": "did:volt:old", "client_id": "c",
            "cert": "cert", "ca": "ca", "challenge_code": "code", "vc": [{ "id": "one" }],
            "bindIp": "10.0.0.7", "something_new": 7,
        },
        "volt": { "id": "v" },
    });
    let config = ClientConfig::from_json(&text.to_string()).unwrap().with_new_key().unwrap();
    let mut own = serde_json::to_value(config.credential.as_ref().unwrap()).unwrap();
    let key = own.as_object_mut().unwrap().remove("key").unwrap();
    assert!(SigningKey::from_pem(key.as_str().unwrap()).is_ok());
    let kept = json!({
        "challenge_code": "code", "vc": [{ "id": "one" }], "bindIp": "10.0.0.7", "something_new": 7,
    });
    assert_eq!(own, kept);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_a_written_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("volt.config.json");
    config(json!({ "id": "v" })).write(&path).unwrap();
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    // Writing keeps the owner's permissions and removes all others.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o744)).unwrap();
    config(json!({ "id": "v" })).write(&path).unwrap();
    assert_eq!(mode(), 0o700);
    // A symbolic link is preserved.
    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    config(json!({ "id": "w" })).write(&link).unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(file(&path)["volt"]["id"], "w");
}

#[test]
fn an_unwritable_file_is_an_error_with_its_cause() {
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

/// A token or a session in a log would let its readers call as the owner.
#[test]
fn tokens_and_sessions_are_never_printed() {
    let (key, volt) = (SigningKey::generate().unwrap(), SigningKey::generate_rsa().unwrap());
    let claims = Claims::new("did:volt:v", Some("session-7"), b"ephemeral", 1);
    let (text, signature) = claims.sign(&key).unwrap();
    let token = Token::parse(&text, signature.clone().into()).unwrap();
    let jwt = token.to_jwt();
    let request =
        KeyRequest { metadata: Bytes::new(), signature: signature.into(), claims: text.into() };
    let frame = Frame::decode(request.encode(1).unwrap().into()).unwrap();
    let handshake = ServerHandshake::accept(&frame).unwrap();
    let route = Route {
        audience: "did:volt:v".to_owned(),
        signer: volt.verifying_key(),
        via: Via::default(),
    };
    let (_, opening) = legacy::open(&route, Vec::new(), &volt, 1).unwrap();
    let caller = Caller::new("session-7", "did:volt:me");
    let open = TunnelFrame::open(&token, Via::default());
    let printed =
        format!("{claims:?} {token:?} {request:?} {frame:?} {handshake:?} {open:?} {caller:?}");
    let parts: Vec<_> = jwt.split('.').skip(1).collect();
    for secret in ["session-7", parts[0], parts[1]] {
        assert!(!printed.contains(secret), "{printed}");
    }
    // Fields that are not secret are still readable.
    for open in ["did:volt:v", "did:volt:me", "(hidden)"] {
        assert!(printed.contains(open), "{printed}");
    }
    // All JWTs have this prefix.
    let printed =
        format!("{opening:?} {:?}", Outgoing::legacy_client(1, "/m", None, opening.clone()));
    assert!(!printed.contains("eyJ"), "{printed}");
}

#[test]
fn unusable_keys_are_described() {
    let error = |pem: &str| SigningKey::from_pem(pem).unwrap_err().to_string();
    assert!(error("hello").contains("not PEM"));
    let public = SigningKey::generate().unwrap().verifying_key().to_pem();
    assert!(error(&public).contains("`PUBLIC KEY`"));
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
    assert!(error(encrypted).contains("passphrase"));
    let not_a_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    assert!(error(not_a_key).contains("neither an Ed25519 nor an RSA key"));
    // In a configuration, errors also name the field and the remedy.
    let config =
        config(json!({ "id": "v", "public_key": not_a_key })).with_credential(public, None);
    let message = config.signing_key().unwrap_err().to_string();
    for part in ["`credential.key`", "`PUBLIC KEY`", "openssl pkcs8 -topk8"] {
        assert!(message.contains(part), "{message}");
    }
    let message = config.volt_key().unwrap_err().to_string();
    for part in ["`volt.public_key` is invalid", "`volt.ca_pem`"] {
        assert!(message.contains(part), "{message}");
    }
}
