//! TLS: the servers that a client trusts, the certificate that it shows, and the errors.

use std::sync::Arc;

use rcgen::date_time_ymd;
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
};
use volt_runtime::{ClientConfig, ConnectOptions, Error, ErrorKind, Executed, connect};
use volt_test_support::{Note, soon};

use crate::{Notes, authority::Authority, config, says, server::serve};

/// A server's certificate and key, and its policy for clients.
struct Tls {
    issued: (String, String),
    /// Requires a client's certificate of this authority.
    clients: Option<String>,
    protocols: &'static [&'static [u8]],
}

impl Tls {
    fn new(issued: (String, String)) -> Self {
        Self { issued, clients: None, protocols: &[b"h2"] }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let (certificate, key) = &self.issued;
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Serves, and returns `host:port`.
    async fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let acceptor = self.acceptor();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    serve(stream, 1, |mut call| async move {
                        let note = call.single().await;
                        call.answer(&note);
                    })
                    .await;
                });
            }
        });
        address
    }
}

/// A client that knows this authority.
fn trusting(address: &str, authority: &Authority) -> ClientConfig {
    let mut config = config(address);
    config.volt.ca_pem = Some(authority.pem());
    config
}

async fn works(config: &ClientConfig) {
    let client = Notes(soon(connect(config, ConnectOptions::default())).await.unwrap());
    let long = "x".repeat(200_000);
    assert_eq!(soon(client.get(&long)).await.unwrap(), Note::new(long, 1));
}

async fn failure(config: &ClientConfig) -> Error {
    let error = soon(connect(config, ConnectOptions::default())).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No), "{error}");
    says(&error, &["https://127.0.0.1:"]);
    error
}

#[tokio::test]
async fn host_and_port_mean_tls_with_the_volts_authority() {
    let authority = Authority::new();
    let address = Tls::new(authority.issue(&["127.0.0.1"], |_| {})).start().await;
    works(&trusting(&address, &authority)).await;
    let config = trusting(&format!("https://{address}"), &authority);
    soon(connect(&config, crate::grpc())).await.unwrap();
}

/// The chain arrived over a verified connection.
#[tokio::test]
async fn the_chain_that_the_volt_issued_is_trusted_too() {
    let (authority, old) = (Authority::new(), Authority::new());
    let address = Tls::new(authority.issue(&["127.0.0.1"], |_| {})).start().await;
    let mut config = trusting(&address, &old);
    config.credential.as_mut().unwrap().ca = Some(authority.pem());
    works(&config).await;
    config.volt.ca_pem = None;
    works(&config).await;
}

#[tokio::test]
async fn rejected_certificates_are_explained() {
    let (authority, other) = (Authority::new(), Authority::new());
    let expired = authority.issue(&["127.0.0.1"], |params| {
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    for (issued, texts) in [
        (expired, &["expired"][..]),
        (authority.issue(&["volt.example"], |_| {}), &["`127.0.0.1`", "volt.example"]),
        (other.issue(&["127.0.0.1"], |_| {}), &["authority in `volt.ca_pem`"]),
    ] {
        let address = Tls::new(issued).start().await;
        says(&failure(&trusting(&address, &authority)).await, texts);
    }
}

#[tokio::test]
async fn a_port_without_tls_or_http2_is_explained() {
    let authority = Authority::new();
    let server = crate::Server::start(|_| async {}).await;
    let address = server.address();
    let config = trusting(address.strip_prefix("http://").unwrap(), &authority);
    says(&failure(&config).await, &["does not speak TLS"]);

    let mut tls = Tls::new(authority.issue(&["127.0.0.1"], |_| {}));
    tls.protocols = &[b"http/1.1"];
    let address = tls.start().await;
    says(&failure(&trusting(&address, &authority)).await, &["does not speak HTTP/2"]);

    // The reverse: TLS where none is expected.
    let address = Tls::new(authority.issue(&["127.0.0.1"], |_| {})).start().await;
    let config = trusting(&format!("http://{address}"), &authority);
    let error = soon(connect(&config, crate::grpc())).await.unwrap_err();
    says(&error, &["speaks TLS", "`http://`"]);
}

#[tokio::test]
async fn the_client_presents_its_certificate_if_it_is_required() {
    let authority = Authority::new();
    let mut tls = Tls::new(authority.issue(&["127.0.0.1"], |_| {}));
    tls.clients = Some(authority.pem());
    let address = tls.start().await;
    let mut config = trusting(&address, &authority);
    says(&failure(&config).await, &["wants a certificate", "`credential.cert`", "Authenticate"]);
    Authority::new().certify(&mut config);
    says(&failure(&config).await, &["does not accept", "`credential.cert`"]);
    authority.certify(&mut config);
    works(&config).await;
    // A certificate that is not requested does no harm.
    let address = Tls::new(authority.issue(&["127.0.0.1"], |_| {})).start().await;
    config.volt.address = Some(address);
    works(&config).await;
}
