//! The client certificates that a server accepts.

use volt_runtime::key::SigningKey;

use super::{Authority, failure, says, start, works};

#[tokio::test]
async fn a_client_presents_its_certificate() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]).requiring_clients_of(&authority.pem()).unwrap();
    let mut volt = start(&authority, tls, "127.0.0.1").await;
    authority.certify(&mut volt.config);
    works(&volt.config).await;
    // The additional chain from `Authenticate` is harmless.
    volt.config.credential.as_mut().unwrap().ca = Some(authority.pem());
    works(&volt.config).await;
}

#[tokio::test]
async fn a_missing_client_certificate_is_explained() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]).requiring_clients_of(&authority.pem()).unwrap();
    let mut volt = start(&authority, tls, "127.0.0.1").await;
    for absent in [None, Some(String::new())] {
        volt.config.credential.as_mut().unwrap().cert = absent;
        let error = failure(&volt.config).await;
        assert!(error.is_connection(), "{error}");
        says(&error, &["`credential.cert`", "Authenticate"]);
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_rejected() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = || authority.server(&["127.0.0.1"]);
    for tls in [
        server().requiring_clients_of(&authority.pem()).unwrap(),
        server().accepting_clients_of(&authority.pem()).unwrap(),
    ] {
        let mut volt = start(&authority, tls, "127.0.0.1").await;
        other.certify(&mut volt.config);
        says(&failure(&volt.config).await, &["does not accept", "`credential.cert`"]);
    }
}

#[tokio::test]
async fn optional_client_certificates_admit_clients_without_one() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]).accepting_clients_of(&authority.pem()).unwrap();
    let mut volt = start(&authority, tls, "127.0.0.1").await;
    works(&volt.config).await;
    authority.certify(&mut volt.config);
    works(&volt.config).await;
}

#[tokio::test]
async fn a_relay_does_not_receive_the_certificate() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]).requiring_clients_of(&authority.pem()).unwrap();
    let mut volt = start(&authority, tls, "127.0.0.1").await;
    authority.certify(&mut volt.config);
    let relay = volt.config.volt.clone();
    volt.config.volt.relay = Some(volt_runtime::config::RelayConfig::Volt(Box::new(relay)));
    says(&failure(&volt.config).await, &["wants a certificate"]);
}

#[tokio::test]
async fn an_unusable_certificate_is_reported_before_dialling() {
    let authority = Authority::new();
    let mut volt = start(&authority, authority.server(&["127.0.0.1"]), "127.0.0.1").await;
    authority.certify(&mut volt.config);
    let mut other = volt.config.clone();
    let key = SigningKey::generate().unwrap().to_pem().unwrap();
    other.credential.as_mut().unwrap().key = Some(key.to_string());
    let error = failure(&other).await;
    assert!(error.is_configuration(), "{error}");
    says(&error, &["`credential.cert`", "does not belong to `credential.key`"]);
    volt.config.credential.as_mut().unwrap().cert = Some("nonsense".to_owned());
    says(&failure(&volt.config).await, &["`credential.cert`", "no certificate"]);
}

#[test]
fn a_server_reports_its_invalid_certificate_or_key() {
    use volt_runtime::server::ServerTls;
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["localhost"], |_| {});
    let (_, other) = authority.issue(&["localhost"], |_| {});
    for (certificate, key) in
        [("nonsense", &*key), (&certificate, "nonsense"), (&certificate, &*other)]
    {
        let error = ServerTls::new(certificate, key).unwrap_err();
        assert!(error.is_configuration(), "{error}");
    }
    let tls = ServerTls::new(&certificate, &key).unwrap();
    assert!(tls.requiring_clients_of("nonsense").unwrap_err().is_configuration());
}
