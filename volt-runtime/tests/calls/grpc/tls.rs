//! gRPC over TLS, and callers whom their certificate names.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, RootCertStore,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};
use volt_runtime::{
    ClientConfig, Code, Status,
    key::VerifyingKey,
    server::{Authenticator, Caller, Router, Server, ServiceHost, Token, serve_grpc_tls},
};
use volt_test_support::{Note, soon};

use super::raw::{Raw, bad, good};
use crate::{
    support::{Notes, Parts, Probe, VOLT_ID},
    tls::authority::Authority,
};

/// Knows one client, and only by its certificate.
struct Certified(VerifyingKey);

impl Authenticator for Certified {
    fn authenticate(&self, _: &Token) -> Result<Caller, Status> {
        Err(Status::new(Code::Unauthenticated, "session invalid"))
    }

    fn authenticate_key(&self, key: &VerifyingKey) -> Result<Caller, Status> {
        if *key == self.0 {
            return Ok(Caller::new("session-1", "did:volt:client"));
        }
        Err(Status::new(Code::Unauthenticated, "session invalid"))
    }
}

async fn start(authority: &Authority, config: &ClientConfig) -> Server {
    let key = config.signing_key().unwrap();
    let router = Router::new().with(Notes(Probe::default()));
    let authenticator = Certified(key.verifying_key());
    let host = ServiceHost::new(VOLT_ID, key, router, authenticator);
    let tls = authority.server(&["127.0.0.1"]).accepting_clients_of(&authority.pem()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    serve_grpc_tls(listener, tls, host).unwrap()
}

/// Connects with the certificate of a configuration, if it has one.
async fn connect(authority: &Authority, server: &Server, config: &ClientConfig) -> Raw {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let credential = config.credential.as_ref().unwrap();
    let mut tls = match &credential.cert {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let key = PrivateKeyDer::from_pem_slice(credential.key.as_ref().unwrap().as_bytes());
            let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, key.unwrap()).unwrap()
        }
    };
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = soon(TlsConnector::from(Arc::new(tls)).connect(name, stream)).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    Raw::over(stream).await
}

#[tokio::test]
async fn the_key_of_a_certificate_names_the_caller() {
    let authority = Authority::new();
    let mut config = Parts::new(|endpoint| endpoint).config();
    let server = start(&authority, &config).await;
    let mut without = connect(&authority, &server, &config).await;
    let refused = bad(Code::Unauthenticated, "unauthenticated");
    assert_eq!(without.get(&Note::new("one", 1)).await, refused);
    authority.certify(&mut config);
    let mut with = connect(&authority, &server, &config).await;
    assert_eq!(with.get(&Note::new("one", 1)).await, good([Note::new("one", 1)]));
    // Another client of the same authority has no session.
    let mut other = Parts::new(|endpoint| endpoint).config();
    authority.certify(&mut other);
    let mut other = connect(&authority, &server, &other).await;
    assert_eq!(
        other.get(&Note::new("one", 1)).await,
        bad(Code::Unauthenticated, "session invalid")
    );
}

#[tokio::test]
async fn a_token_counts_before_the_certificate() {
    let authority = Authority::new();
    let mut config = Parts::new(|endpoint| endpoint).config();
    let server = start(&authority, &config).await;
    authority.certify(&mut config);
    let mut client = connect(&authority, &server, &config).await;
    client.token =
        Some(super::raw::token(&config.signing_key().unwrap(), VOLT_ID, Some("session-1")));
    let refused = bad(Code::Unauthenticated, "session invalid");
    assert_eq!(client.get(&Note::default()).await, refused);
}
