//! The constraints in a pinned certificate itself.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
};
use volt_runtime::server::{ServerTls, serve_tls};

use super::{failure, says, works};
use crate::support::{Parts, Volt};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn named(name: &str, is_ca: IsCa) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = is_ca;
    params
}

fn root(is_ca: IsCa, change: impl FnOnce(&mut CertificateParams)) -> Issuer {
    let mut params = named("root", is_ca);
    change(&mut params);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A Volt whose certificate comes from this issuer, with a further chain, and a client that pins
/// `pinned`.
async fn serve(issuer: &Issuer, chain: &str, pinned: &str) -> Volt {
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap().pem();
    serve_with(&(certificate + chain), &key, pinned).await
}

async fn serve_with(chain: &str, key: &KeyPair, pinned: &str) -> Volt {
    let tls = ServerTls::new(chain, &key.serialize_pem()).unwrap();
    let parts = Parts::new(|endpoint| endpoint);
    let mut volt = parts
        .serve_by("https", "127.0.0.1", 0, |listener, endpoint| serve_tls(listener, tls, endpoint))
        .await;
    volt.config.volt.ca_pem = Some(pinned.to_owned());
    volt
}

const UNLIMITED: IsCa = IsCa::Ca(BasicConstraints::Unconstrained);

#[tokio::test]
async fn a_pinned_certificate_issues_only_what_its_constraints_allow() {
    let usages = |usages: Vec<KeyUsagePurpose>| {
        move |params: &mut CertificateParams| params.key_usages = usages
    };
    let extended = |usages: Vec<ExtendedKeyUsagePurpose>| {
        move |params: &mut CertificateParams| params.extended_key_usages = usages
    };
    for (authority, reason) in [
        (root(UNLIMITED, |_| {}), None),
        (root(UNLIMITED, usages(vec![KeyUsagePurpose::KeyCertSign])), None),
        (root(UNLIMITED, extended(vec![ExtendedKeyUsagePurpose::ServerAuth])), None),
        (root(UNLIMITED, extended(vec![ExtendedKeyUsagePurpose::Any])), None),
        (root(UNLIMITED, usages(vec![KeyUsagePurpose::CrlSign])), Some("may not issue")),
        (root(IsCa::NoCa, |_| {}), Some("may not issue")),
        (root(IsCa::ExplicitNoCa, |_| {}), Some("may not issue")),
        (
            root(UNLIMITED, extended(vec![ExtendedKeyUsagePurpose::ClientAuth])),
            Some("not for servers"),
        ),
    ] {
        let volt = serve(&authority, "", &authority.pem()).await;
        match reason {
            None => works(&volt.config).await,
            Some(reason) => says(&failure(&volt.config).await, &["`volt.ca_pem`", reason]),
        }
    }
}

#[tokio::test]
async fn the_pinned_certificate_limits_the_path_length() {
    for (limit, works_through_one) in [(0, false), (1, true)] {
        let authority = root(IsCa::Ca(BasicConstraints::Constrained(limit)), |_| {});
        works(&serve(&authority, "", &authority.pem()).await.config).await;
        let between = CertifiedIssuer::signed_by(
            named("between", UNLIMITED),
            KeyPair::generate().unwrap(),
            &authority,
        );
        let between = between.unwrap();
        let volt = serve(&between, &between.pem(), &authority.pem()).await;
        if works_through_one {
            works(&volt.config).await;
        } else {
            says(&failure(&volt.config).await, &["pathLenConstraint"]);
        }
        // The authority between may be pinned as well.
        let both = authority.pem() + &between.pem();
        works(&serve(&between, &between.pem(), &both).await.config).await;
    }
}

#[tokio::test]
async fn names_outside_of_the_pinned_certificates_constraints_are_refused() {
    let authority = root(UNLIMITED, |params| {
        let only = GeneralSubtree::DnsName("volt.example".to_owned());
        let other = GeneralSubtree::IpAddress(rcgen::CidrSubnet::V4([192, 0, 2, 0], [255; 4]));
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![only, other],
            excluded_subtrees: Vec::new(),
        });
    });
    let volt = serve(&authority, "", &authority.pem()).await;
    says(&failure(&volt.config).await, &["certificate", "NameConstraint"]);
}

#[tokio::test]
async fn a_pinned_server_certificate_is_trusted_for_itself() {
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    works(&serve_with(&certificate, &key, &certificate).await.config).await;
}
