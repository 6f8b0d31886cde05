//! The client certificates that a server accepts.

use volt_runtime::key::SigningKey;

use super::{Authority, failure, says, start, works};

#[tokio::test]
async fn a_client_shows_the_certificate_that_the_volt_gave_it() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]).requiring_clients_of(&authority.pem()).unwrap();
    let mut volt = start(&authority, tls, "127.0.0.1").await;
    authority.certify(&mut volt.config);
    works(&volt.config).await;
    // The additional chain from `Authenticate` does no harm.
    volt.config.credential.as_mut().unwrap().ca = Some(authority.pem());
    works(&volt.config).await;
}

#[tokio::test]
async fn without_the_certificate_that_is_wanted_the_error_says_what_is_missing() {
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
async fn a_certificate_of_another_authority_is_turned_away() {
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
async fn a_server_that_only_accepts_certificates_lets_others_in_too() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]).accepting_clients_of(&authority.pem()).unwrap();
    let mut volt = start(&authority, tls, "127.0.0.1").await;
    works(&volt.config).await;
    authority.certify(&mut volt.config);
    works(&volt.config).await;
}

#[tokio::test]
async fn a_relay_is_not_shown_the_certificate() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]).requiring_clients_of(&authority.pem()).unwrap();
    let mut volt = start(&authority, tls, "127.0.0.1").await;
    authority.certify(&mut volt.config);
    let relay = volt.config.volt.clone();
    volt.config.volt.relay = Some(volt_runtime::config::RelayConfig::Volt(Box::new(relay)));
    says(&failure(&volt.config).await, &["wants a certificate"]);
}

#[tokio::test]
async fn a_certificate_that_is_no_use_is_named_before_anything_is_sent() {
    let authority = Authority::new();
    let mut volt = start(&authority, authority.server(&["127.0.0.1"]), "127.0.0.1").await;
    authority.certify(&mut volt.config);
    let mut other = volt.config.clone();
    let key = SigningKey::generate().unwrap().to_pem().unwrap();
    other.credential.as_mut().unwrap().key = Some(key.to_string());
    let error = failure(&other).await;
    assert!(error.is_configuration(), "{error}");
    says(&error, &["`credential.cert`", "another key"]);
    volt.config.credential.as_mut().unwrap().cert = Some("nonsense".to_owned());
    says(&failure(&volt.config).await, &["`credential.cert`", "no certificate"]);
}

#[test]
fn a_server_says_what_is_wrong_with_its_own_certificate_and_key() {
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
