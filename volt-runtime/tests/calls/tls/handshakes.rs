//! Handshakes that fail, stall or are not TLS.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        version,
    },
};
use volt_runtime::{
    ClientConfig, ConnectOptions, Error, connect,
    server::{ServerOptions, serve_tls},
};
use volt_test_support::soon;

use super::{Authority, failure, says, start, works};
use crate::support::{Parts, Volt};

/// The error of a client whose server handles the connection like this.
async fn against<F>(scheme: &str, serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> Error
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config: ClientConfig = Parts::new(|endpoint| endpoint).config();
    config.volt.http_address = Some(format!("{scheme}://{}", listener.local_addr().unwrap()));
    config.volt.ca_pem = Some(Authority::new().pem());
    let server = tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    let error = failure(&config).await;
    server.abort();
    error
}

#[tokio::test]
async fn plain_http_to_a_tls_server_suggests_https() {
    let authority = Authority::new();
    let mut volt = start(&authority, authority.server(&["127.0.0.1"]), "127.0.0.1").await;
    let address = volt.server.local_addr();
    volt.config.volt.http_address = Some(format!("http://{address}"));
    says(&failure(&volt.config).await, &["HTTP status 400", "TLS is spoken here", "`https://`"]);
    // Other servers send a TLS alert, or nothing at all.
    for answer in [&b"\x15\x03\x01\x00\x02\x02\x16"[..], b""] {
        let error = against("http", move |mut stream| async move {
            stream.read_u8().await.unwrap();
            stream.write_all(answer).await.unwrap();
        });
        says(&error.await, &["`https://`"]);
    }
}

#[tokio::test]
async fn tls_to_a_plain_server_suggests_http() {
    let mut volt = Volt::start().await;
    volt.config.volt.http_address = Some(format!("https://{}", volt.server.local_addr()));
    says(&failure(&volt.config).await, &["wss://", "`http://`"]);
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let error = against("https", move |mut stream| async move {
            let mut hello = [0; 64];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            // Closing with unread data would reset the connection and lose the answer.
            stream.read_to_end(&mut Vec::new()).await.ok();
        });
        says(&error.await, &["`http://`"]);
    }
}

#[tokio::test]
async fn a_stalled_server_handshake_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Parts::new(|endpoint| endpoint).config();
    config.volt.http_address = Some(format!("https://{}", listener.local_addr().unwrap()));
    let mut options = ConnectOptions::default();
    options.connect_timeout = Duration::from_millis(500);
    // The system accepts connections, but nothing reads them.
    let error = soon(connect(&config, options)).await.unwrap_err();
    assert!(error.is_connection(), "{error}");
    says(&error, &["the TLS handshake did not end within 500ms"]);
}

#[tokio::test]
async fn only_the_stalled_client_handshake_times_out() {
    let authority = Authority::new();
    let mut options = ServerOptions::default();
    options.handshake_timeout = Duration::from_secs(2);
    let parts = Parts::new(|endpoint| endpoint.with_options(options));
    let tls = authority.server(&["127.0.0.1"]);
    let mut volt = parts
        .serve_by("https", "127.0.0.1", 0, |listener, endpoint| serve_tls(listener, tls, endpoint))
        .await;
    volt.config.volt.ca_pem = Some(authority.pem());
    let mut silent = TcpStream::connect(volt.server.local_addr()).await.unwrap();
    let mut half = TcpStream::connect(volt.server.local_addr()).await.unwrap();
    half.write_all(b"\x16\x03\x01").await.unwrap();
    works(&volt.config).await;
    for stalled in [&mut silent, &mut half] {
        assert_eq!(soon(stalled.read(&mut [0; 64])).await.unwrap_or(0), 0);
    }
}

#[tokio::test]
async fn tls_1_2_works_with_http_alpn() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["127.0.0.1"], |_| {});
    let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let mut tls = tls;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Parts::new(|endpoint| endpoint).config();
    config.volt.http_address = Some(format!("https://{}", listener.local_addr().unwrap()));
    config.volt.ca_pem = Some(authority.pem());
    let server = tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut request = [0; 4];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"GET ");
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
    });
    says(&failure(&config).await, &["HTTP status 503"]);
    server.await.unwrap();
}
