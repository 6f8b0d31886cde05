//! TLS, as the server's side of it.

use std::{fmt, io, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
};

use crate::{
    Error, Result,
    socket::{ALPN, Stream},
};

/// How many bytes are read of a client that is turned away, so that it gets to read why.
const LINGER: u64 = 64 << 10;

/// What a server speaks TLS with: its certificate and key, and whether it wants certificates of its
/// clients. Cloning is cheap.
///
/// TLS 1.2 and 1.3 are spoken, with rustls's choice of ciphers, and by aws-lc-rs.
///
/// ```no_run
/// # fn example(chain: &str, key: &str, authority: &str) -> volt_runtime::Result<()> {
/// use volt_runtime::server::ServerTls;
///
/// // Clients may show a certificate of this authority, and need not.
/// let tls = ServerTls::new(chain, key)?.accepting_clients_of(authority)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// The server's certificate (PEM), followed by those that lead from it to an authority which
    /// clients trust, and its private key (PEM).
    ///
    /// # Errors
    ///
    /// A configuration error when either cannot be read, or they do not belong together.
    pub fn new(chain_pem: &str, key_pem: &str) -> Result<Self> {
        let chain = certificates(chain_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| {
            Error::configuration(format!("the server's key is no use: {error}"))
        })?;
        let mut config =
            builder()?.with_no_client_auth().with_single_cert(chain, key).map_err(|error| {
                let message = format!("the server's certificate and key are no use: {error}");
                Error::configuration(message).with_source(error)
            })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Asks clients for a certificate of this authority (PEM). One that has none is let in as well; one
    /// that shows a wrong one is not.
    ///
    /// # Errors
    ///
    /// A configuration error when the authority's certificate cannot be read.
    pub fn accepting_clients_of(self, ca_pem: &str) -> Result<Self> {
        self.verifying(ca_pem, false)
    }

    /// Wants a certificate of this authority (PEM) of every client, and turns those away that have
    /// none.
    ///
    /// # Errors
    ///
    /// As [`accepting_clients_of`](Self::accepting_clients_of).
    pub fn requiring_clients_of(self, ca_pem: &str) -> Result<Self> {
        self.verifying(ca_pem, true)
    }

    fn verifying(self, ca_pem: &str, required: bool) -> Result<Self> {
        let unusable = |error: &dyn fmt::Display| {
            Error::configuration(format!("the authority of the clients is no use: {error}"))
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca_pem)? {
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        let provider = Arc::new(default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
        let verifier = verifier.build().map_err(|error| unusable(&error))?;
        let mut config = builder()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&self.0.cert_resolver));
        config.alpn_protocols.clone_from(&self.0.alpn_protocols);
        Ok(Self(Arc::new(config)))
    }

    /// Does the handshake with a client.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        if is_plain(&stream).await? {
            turn_away(stream, PLAIN).await;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the client speaks no TLS"));
        }
        let acceptor = TlsAcceptor::from(Arc::clone(&self.0));
        match acceptor.accept(stream).into_fallible().await {
            Ok(stream) => Ok(Stream::tls(stream)),
            Err((error, stream)) => {
                // The alert has been written.
                turn_away(stream, b"").await;
                Err(error)
            }
        }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// What is said to those who come with plain HTTP.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain\r\n\
    connection: close\r\n\
    content-length: 38\r\n\
    \r\n\
    TLS is spoken here: use wss or https.\n";

/// Whether a client speaks something else than TLS, all of which begins with a handshake record
/// (RFC 8446, 5.1).
async fn is_plain(stream: &TcpStream) -> io::Result<bool> {
    const HANDSHAKE: u8 = 22;
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first != [HANDSHAKE])
}

/// Says a last word. The client's are read a while longer: a connection that is closed with something
/// unread is reset, and what was said is lost.
async fn turn_away(mut stream: TcpStream, word: &[u8]) {
    // It may have gone, and then there is nobody to tell.
    if stream.write_all(word).await.is_ok() && stream.shutdown().await.is_ok() {
        tokio::io::copy(&mut stream.take(LINGER), &mut tokio::io::sink()).await.ok();
    }
}

fn builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>> {
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error: rustls::Error| {
            Error::configuration("TLS cannot be used").with_source(error)
        })
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let unusable = |why: String| Error::configuration(format!("the certificate is no use: {why}"));
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable("the text holds none".to_owned())),
        Err(error) => Err(unusable(error.to_string())),
    }
}
