//! The servers that a client trusts.

use rcgen::date_time_ymd;
use volt_runtime::{ClientConfig, ConnectOptions, config::RelayConfig, connect};

use super::{Authority, failure, says, start, with, works};
use crate::support::Parts;

#[tokio::test]
async fn a_pinned_authority_ignores_the_host_name() {
    let authority = Authority::new();
    for host in ["127.0.0.1", "[::1]", "localhost"] {
        let tls = authority.server(&[host.trim_matches(['[', ']'])]);
        works(&start(&authority, tls, host).await.config).await;
    }
}

#[tokio::test]
async fn the_legacy_protocol_works_over_tls() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]);
    works(&with(&authority, Parts::legacy(), tls, "127.0.0.1").await.config).await;
}

#[tokio::test]
async fn another_authority_than_the_pinned_one_is_not_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let mut volt = start(&authority, authority.server(&["127.0.0.1"]), "127.0.0.1").await;
    volt.config.volt.ca_pem = Some(other.pem());
    let error = failure(&volt.config).await;
    assert!(error.is_connection());
    says(&error, &["wss://127.0.0.1", "`volt.ca_pem`", "remove the field"]);
    // Several authorities may be pinned, such as during a rotation.
    volt.config.volt.ca_pem = Some(other.pem() + &authority.pem());
    works(&volt.config).await;
}

#[tokio::test]
async fn without_a_pinned_authority_an_unknown_root_is_rejected() {
    let authority = Authority::new();
    let mut volt = start(&authority, authority.server(&["127.0.0.1"]), "127.0.0.1").await;
    for absent in [None, Some(String::new())] {
        volt.config.volt.ca_pem = absent;
        let error = failure(&volt.config).await;
        says(&error, &["no authority that the platform trusts", "`ca_pem`"]);
    }
}

#[tokio::test]
async fn a_relay_has_its_own_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let volt = start(&authority, authority.server(&["127.0.0.1"]), "127.0.0.1").await;
    let behind = |ca_pem: String| {
        let mut relay = volt.config.volt.clone();
        relay.ca_pem = Some(ca_pem);
        let mut config = volt.config.clone();
        config.volt.ca_pem = Some(other.pem());
        config.volt.relay = Some(RelayConfig::Volt(Box::new(relay)));
        config
    };
    says(&failure(&behind(other.pem())).await, &["`volt.relay.ca_pem`"]);
    connect(&behind(authority.pem()), ConnectOptions::default()).await.unwrap();
    // For a relay that is only an address, nothing is pinned: the Volt's authority is not the
    // relay's.
    let url = volt.config.volt.http_address.clone().unwrap();
    says(&failure(&volt.config.clone().with_relay(url)).await, &["the platform trusts"]);
}

#[tokio::test]
async fn a_certificate_error_lists_its_names() {
    let authority = Authority::new();
    let names = ["volt.example", "*.volt.example", "192.0.2.7", "2001:db8::1"];
    for host in ["127.0.0.1", "localhost"] {
        let error = failure(&start(&authority, authority.server(&names), host).await.config).await;
        says(&error, &[&format!("not for `{host}` but for "), &names.join(", ")]);
    }
    let nameless = start(&authority, authority.server(&[]), "127.0.0.1").await;
    says(&failure(&nameless.config).await, &["no name at all"]);
}

#[tokio::test]
async fn an_expired_or_future_certificate_is_rejected() {
    let authority = Authority::new();
    let start = async |from, to| {
        let tls = authority.server_with(&["127.0.0.1"], |params| {
            (params.not_before, params.not_after) = (from, to);
        });
        start(&authority, tls, "127.0.0.1").await
    };
    let past = start(date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1)).await;
    says(&failure(&past.config).await, &["expired", "days ago", "clock"]);
    let future = start(date_time_ymd(2900, 1, 1), date_time_ymd(2901, 1, 1)).await;
    says(&failure(&future.config).await, &["valid only in", "days"]);
}

#[tokio::test]
async fn an_invalid_authority_is_reported() {
    let authority = Authority::new();
    let volt = start(&authority, authority.server(&["127.0.0.1"]), "127.0.0.1").await;
    let with = |pem: &str| {
        let mut config: ClientConfig = volt.config.clone();
        config.volt.ca_pem = Some(pem.to_owned());
        config
    };
    let key = volt.config.volt.public_key.clone().unwrap();
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (pem, why) in [
        ("nonsense", "contains no certificate"),
        (&*key, "a PEM block `PUBLIC KEY`, not `CERTIFICATE`"),
        (damaged, "is not a certificate, or is damaged"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "not base64"),
        ("-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n", "line breaks"),
    ] {
        let error = failure(&with(pem)).await;
        assert!(error.is_configuration(), "{error}");
        says(&error, &["`volt.ca_pem`", why]);
    }
}

/// The key in the certificate is read as leniently.
#[tokio::test]
async fn a_pinned_certificate_may_be_on_one_line() {
    let authority = Authority::new();
    let mut volt = start(&authority, authority.server(&["127.0.0.1"]), "127.0.0.1").await;
    volt.config.volt.ca_pem = Some(authority.pem().replace(['\r', '\n'], " "));
    works(&volt.config).await;
}
