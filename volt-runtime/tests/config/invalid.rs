//! Invalid configurations: each error names the field, the reason and the remedy.

use serde_json::json;
use volt_runtime::{
    ClientConfig,
    key::{KeyAlgorithm, SigningKey, VerifyingKey},
};

use crate::config;

/// An address is accepted as written, or rejected with the field and the reason.
#[test]
fn an_invalid_address_error_names_field_and_reason() {
    for (address, reason) in [
        ("http://127.0.0.1:99999", "port `99999`"),
        ("http://127.0.0.1:0", "port `0`"),
        ("http://127.0.0.1:", "port ``"),
        ("http://127.0.0.1:+80", "port `+80`"),
        ("http://127.0.0.1:80x", "port `80x`"),
        ("http://127.0.0.1: 80", "port ` 80`"),
        ("http://", "no host"),
        ("http:///api", "no host"),
        ("https://:8443", "no host"),
        ("http://[::1", "`]`"),
        ("http://[::1]8001", "`8001`"),
        ("http://[::g]", "IPv6 address `::g`"),
        ("http://[fe80::1%eth0]", "zone id"),
        ("http://::1:8001", "brackets"),
        ("http://127.1", "IPv4 address `127.1`"),
        ("http://010.0.0.1", "IPv4 address `010.0.0.1`"),
        ("http://1.2.3.4.5", "IPv4 address"),
        ("http://0x7f.0x1", "IPv4 address"),
        ("http://volt .example", "invalid host"),
        ("http://volt..example", "invalid host"),
        ("http://vo\\lt", "invalid host"),
        ("http://völt.example", "xn--"),
        ("http://volt.example/?a=b", "query"),
        ("http://volt.example?a=b", "query"),
        ("http://volt.example#a", "fragment"),
        ("http://volt.example/a b", "percent-encoded"),
        ("http://volt.example/a\\b", "percent-encoded"),
        ("ftp://volt.example", "scheme"),
        ("volt.example:8001", "https://volt.example:8001"),
        ("http:/volt.example", "scheme"),
    ] {
        for field in ["http_address", "relay"] {
            let error = config(json!({ field: address })).url().unwrap_err();
            let text = error.to_string();
            assert!(error.is_configuration(), "{address}: {text}");
            let shown = address.split(['?', '#']).next().unwrap();
            assert!(text.contains(&format!("`volt.{field}` is `{shown}")), "{text}");
            assert!(text.contains(reason), "{address}: {text}");
        }
    }
}

#[test]
fn a_valid_address_is_used_unchanged() {
    for (address, url) in [
        ("HTTP://volt.example", "ws://volt.example/api"),
        ("HttpS://volt.example", "wss://volt.example/api"),
        (" http://volt.example\n", "ws://volt.example/api"),
        ("http://volt.example:65535", "ws://volt.example:65535/api"),
        ("http://volt.example/base/", "ws://volt.example/base/api"),
        ("http://volt_1.example.", "ws://volt_1.example./api"),
        ("http://127.0.0.1", "ws://127.0.0.1/api"),
        ("http://[2001:db8::1]:8001", "ws://[2001:db8::1]:8001/api"),
        // The websocket's own address, as `ClientConfig::url` returns it.
        ("ws://volt.example:8001", "ws://volt.example:8001/api"),
        ("ws://volt.example:8001/api", "ws://volt.example:8001/api"),
        ("WSS://volt.example/api", "wss://volt.example/api"),
    ] {
        assert_eq!(config(json!({ "http_address": address })).url().unwrap(), url, "{address}");
        assert_eq!(config(json!({ "relay": address })).url().unwrap(), url, "{address}");
        assert_eq!(config(address).url().unwrap(), url.trim_end(), "{address}");
    }
}

#[test]
fn blank_fields_are_absent_fields() {
    let ca = include_str!("../vectors/ed25519_ca.pem");
    let config = config(json!({
        "http_address": "", "relay": " ", "address": "volt.example:1", "public_key": "", "ca_pem": ca,
    }));
    assert_eq!(config.url().unwrap(), "ws://volt.example:3/api");
    assert_eq!(config.volt_key().unwrap().algorithm(), KeyAlgorithm::Ed25519);
}

#[test]
fn a_did_without_an_address_names_the_resolver() {
    let text = config("did:volt:7").url().unwrap_err().to_string();
    assert!(text.contains("`volt.http_address` is missing"), "{text}");
    assert!(text.contains("volt_api::resolve::Resolver"), "{text}");
}

#[test]
fn passwords_in_addresses_are_refused_and_never_shown() {
    for address in [
        "http://user:SECRET@volt.example",
        "https://SECRET@volt.example:1/a",
        "user:SECRET@volt.example",
        "http://user:SEC/SECRET@volt.example",
        "http://volt.example/?token=SECRET",
        "volt.example?token=SECRET",
    ] {
        for volt in [
            json!({ "http_address": address }),
            json!({ "relay": address }),
            json!({ "relay": { "http_address": address } }),
        ] {
            let config = config(volt);
            let error = config.url().unwrap_err();
            let shown = format!("{error} {error:?} {config:?} {config:#?}");
            assert!(!shown.contains("SECRET"), "{shown}");
            assert!(error.is_configuration() && shown.contains("volt.example"), "{shown}");
        }
    }
    // Older configurations have it next to the modelled fields.
    let config = ClientConfig::from_json(
        r#"{ "volt": { "challenge_code": "SECRET" }, "token": "SECRET",
             "credential": { "challenge_code": "SECRET", "x": "SECRET" } }"#,
    );
    let shown = format!("{:?}", config.unwrap());
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[test]
fn text_after_the_configuration_is_an_error() {
    for rest in ["<<<<<<< HEAD", "{}", "x"] {
        let text = format!("{{ \"volt\": {{}} }}\n{rest}");
        let error = ClientConfig::from_json(&text).unwrap_err().to_string();
        assert!(error.contains("trailing characters at line 2"), "{error}");
    }
    ClientConfig::from_json("\u{feff}{ \"volt\": {} } \n").unwrap();
}

/// OpenSSL accepts them too.
#[test]
fn pem_lines_may_have_any_length_and_trailing_blanks() {
    let key = SigningKey::generate_rsa().unwrap();
    let pem = key.to_pem().unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let wrapped = |width: usize, end: &str| {
        let lines: Vec<_> =
            base64.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap()).collect();
        let body = lines.join(end);
        format!("-----BEGIN PRIVATE KEY-----{end}{body}{end}-----END PRIVATE KEY-----{end}")
    };
    for text in [
        wrapped(48, "\n"),
        wrapped(76, "\n"),
        wrapped(64, "\r\n"),
        wrapped(64, "  \t\n"),
        wrapped(10_000, "\n"),
        wrapped(10_000, " "),
        format!("Bag Attributes\n    localKeyID: 01\n{}", *pem),
    ] {
        let read = SigningKey::from_pem(&text).unwrap();
        assert_eq!(read.verifying_key(), key.verifying_key(), "{text}");
    }
    let certificate = include_str!("../vectors/ed25519_ca.pem");
    let one_line = certificate.replace('\n', " ");
    assert_eq!(
        VerifyingKey::from_certificate(&one_line).unwrap(),
        VerifyingKey::from_certificate(certificate).unwrap()
    );
}

#[test]
fn each_unreadable_key_has_a_description_and_remedy() {
    let pem = |label: &str, body: &str| {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    let escaped = SigningKey::generate().unwrap().to_pem().unwrap().trim().replace('\n', "\\n");
    for (key, parts) in [
        (pem("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXk="), ["OpenSSH", "ssh-keygen -p -m PKCS8"]),
        (
            pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA"),
            ["`RSA PRIVATE KEY`", "openssl pkcs8 -topk8"],
        ),
        (pem("EC PRIVATE KEY", "AAAA"), ["`EC PRIVATE KEY`", "openssl pkcs8 -topk8"]),
        (escaped, ["the two characters `\\n`", "line breaks"]),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n".to_owned(), ["-----END", "missing"]),
        (pem("PRIVATE KEY", "A!AA"), ["not base64", "not PEM"]),
        ("secret".to_owned(), ["not PEM", "-----BEGIN PRIVATE KEY-----"]),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PUBLIC KEY-----".to_owned(),
            ["do not match", "not PEM"],
        ),
    ] {
        let config = ClientConfig::default().with_credential(key.clone(), None);
        let error = config.signing_key().unwrap_err().to_string();
        assert!(error.contains("`credential.key` is invalid"), "{error}");
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}

/// OpenSSL wrote this key with PBE-MD5-DES, of PKCS#5 version 1.5.
#[test]
fn a_pbes1_key_error_explains_the_conversion() {
    let pem = include_str!("../vectors/pbes1.pem");
    let config = ClientConfig::default().with_credential(pem, None).with_passphrase("secret");
    let error = config.signing_key().unwrap_err().to_string();
    for part in ["`credential.key` is invalid", "PBES1", "openssl pkcs8 -topk8 -v2 aes-256-cbc"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn an_expired_or_future_authority_is_refused_with_its_date() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
    let authority = |from: i32, until: i32| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 2));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    };
    let key = SigningKey::generate().unwrap();
    for (pem, part) in [
        (authority(2001, 2011), "expired at 2011-01-02"),
        (authority(2101, 2111), "is not valid before 2101-01-01"),
    ] {
        let config = config(json!({
            "id": "v", "public_key": key.verifying_key().to_pem(),
            "http_address": "https://127.0.0.1:1", "ca_pem": pem,
        }));
        let config = config.with_credential(key.to_pem().unwrap().as_str(), None);
        let error = volt_runtime::connect(&config, volt_runtime::ConnectOptions::default())
            .await
            .unwrap_err();
        assert!(error.is_configuration(), "{error}");
        for part in ["`volt.ca_pem`", part] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}

/// Values may be secrets: a passphrase of digits, or a key in the wrong field.
#[test]
fn errors_never_contain_the_values_of_fields() {
    let key = SigningKey::generate().unwrap().to_pem().unwrap();
    let quoted = serde_json::to_string(&*key).unwrap();
    let base64: String = key.lines().filter(|line| !line.starts_with("-----")).collect();
    for (text, field) in [
        (r#"{ "p": 123456 }"#.to_owned(), "p: expected a string, not integer"),
        (r#"{ "p": 1234.56 }"#.to_owned(), "p: expected a string, not floating point"),
        (r#"{ "credential": { "key": 123456 } }"#.to_owned(), "credential.key: expected a string"),
        (r#"{ "credential": { "session_id": 123456 } }"#.to_owned(), "credential.session_id"),
        (r#"{ "credential": { "challenge_code": 123456 } }"#.to_owned(), "challenge_code"),
        (format!(r#"{{ "allow_plaintext": {quoted} }}"#), "allow_plaintext: expected a boolean"),
        (format!(r#"{{ "credential": {quoted} }}"#), "credential: expected"),
        (format!(r#"{{ "credential": {{ "vc": {quoted} }} }}"#), "credential.vc: expected"),
        (r#"{ "volt": { "relay": 123456 } }"#.to_owned(), "volt.relay: expected an address"),
        (r#"{ "volt": 123456 }"#.to_owned(), "volt: expected an object"),
        (format!("{{ \"p\": \"123456\" }} {quoted}"), "trailing characters"),
        (key.to_string(), "line 1"),
    ] {
        let error = ClientConfig::from_json(&text).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(error.to_string().contains(field), "{error}");
        for secret in ["123456", "1234.56", "PRIVATE KEY", &base64[..20]] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    for secret in [&*key, &base64] {
        for volt in [
            json!(secret),
            json!({ "id": secret, "display_name": secret }),
            json!({ "http_address": secret }),
            json!({ "address": secret }),
            json!({ "relay": secret }),
            json!({ "fingerprint": secret }),
        ] {
            let config = config(volt);
            let errors = [config.url().map(drop), config.volt_key().map(drop)];
            let errors = errors.map(Result::unwrap_err);
            let shown = format!("{config:?} {errors:?}");
            assert!(!shown.contains(&base64[..20]), "{shown}");
        }
    }
    for field in ["public_key", "ca_pem"] {
        let config = config(json!({ field: *key }));
        let error = config.volt_key().unwrap_err();
        let shown = format!("{config:?} {error:?}");
        assert!(!shown.contains(&base64[..20]), "{shown}");
    }
}

#[test]
fn each_unreadable_volt_key_has_a_description_and_remedy() {
    let public = SigningKey::generate().unwrap().verifying_key().to_pem();
    let private = SigningKey::generate().unwrap().to_pem().unwrap();
    let certificate = include_str!("../vectors/ed25519_ca.pem");
    let one_line = |pem: &str| pem.trim().replace('\n', "\\n");
    let pem =
        |body: &str| format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    // The identity of the curve, for which anyone can forge signatures.
    let small = pem("MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    // A key of the curve P-256.
    let other =
        pem("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li\
         /hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==");
    for (volt, parts) in [
        (json!({}), ["`volt.public_key` is missing", "the Volt's public key in PEM"]),
        (json!({ "public_key": " ", "ca_pem": "" }), ["`volt.public_key` is missing", "PEM"]),
        (
            json!({ "public_key": "", "ca_pem": one_line(certificate) }),
            ["`volt.ca_pem` is invalid", "the two characters `\\n`"],
        ),
        (
            json!({ "public_key": one_line(&public) }),
            ["`volt.public_key` is invalid", "the two characters `\\n`"],
        ),
        (
            json!({ "public_key": certificate }),
            ["`CERTIFICATE`, not `PUBLIC KEY`", "`volt.ca_pem`"],
        ),
        (json!({ "ca_pem": public }), ["`PUBLIC KEY`, not `CERTIFICATE`", "`volt.public_key`"]),
        (json!({ "public_key": *private }), ["`PRIVATE KEY`, not `PUBLIC KEY`", "public key"]),
        (json!({ "public_key": small }), ["small order", "`volt.public_key`"]),
        (json!({ "public_key": other }), ["neither an Ed25519 nor an RSA key", "Ed25519 or RSA"]),
    ] {
        let error = config(volt).volt_key().unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    let both = config(json!({ "public_key": "", "ca_pem": certificate }));
    assert_eq!(both.volt_key().unwrap().algorithm(), KeyAlgorithm::Ed25519);
}
