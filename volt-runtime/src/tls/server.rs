//! The server's side of TLS.
//!
//! A rejected client still reads the reason: plain HTTP is answered in plain HTTP, and after an alert the
//! socket is read for a while, so that closing it does not discard the alert.

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

use super::UNUSABLE;
use crate::{
    Error, Result,
    socket::{ALPN, Stream},
};

/// The number of bytes read from a rejected client, so that it can read the reason. A client that sends
/// more is cut off, and may miss it.
const LINGER: u64 = 64 << 10;

/// A server's TLS settings: its certificate and key, and its policy for client certificates.
/// Cloning is cheap.
///
/// TLS 1.2 and 1.3 are supported, with rustls's default cipher suites and aws-lc-rs.
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
    /// Creates settings from the server's certificate (PEM), followed by its chain to an authority
    /// that clients trust, and its private key (PEM).
    ///
    /// # Errors
    ///
    /// Returns a configuration error if either cannot be read, or the key does not match the
    /// certificate.
    pub fn new(chain_pem: &str, key_pem: &str) -> Result<Self> {
        let chain = certificates(chain_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| {
            Error::configuration(format!("the server's key cannot be used: {error}"))
        })?;
        let mut config =
            builder()?.with_no_client_auth().with_single_cert(chain, key).map_err(|error| {
                let message = format!("the server's certificate or key is invalid: {error}");
                Error::configuration(message).with_source(error)
            })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Requests a certificate of this authority (PEM) from clients. A client without one is
    /// accepted; a client with an invalid one is rejected.
    ///
    /// # Errors
    ///
    /// Returns a configuration error if the authority's certificate cannot be read.
    pub fn accepting_clients_of(self, ca_pem: &str) -> Result<Self> {
        self.verifying(ca_pem, false)
    }

    /// Requires a certificate of this authority (PEM) from every client, and rejects clients
    /// without one.
    ///
    /// # Errors
    ///
    /// Same as [`accepting_clients_of`](Self::accepting_clients_of).
    pub fn requiring_clients_of(self, ca_pem: &str) -> Result<Self> {
        self.verifying(ca_pem, true)
    }

    /// Announces HTTP/2, as gRPC needs it.
    #[cfg(feature = "grpc")]
    pub(crate) fn with_http2(self) -> Self {
        let mut config = Arc::unwrap_or_clone(self.0);
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self(Arc::new(config))
    }

    /// Builds new settings, because rustls fixes the policy for client certificates first. The server's own
    /// certificate and protocols are taken over.
    fn verifying(self, ca_pem: &str, required: bool) -> Result<Self> {
        let unusable = |error: &dyn fmt::Display| {
            Error::configuration(format!("the authority of the clients cannot be used: {error}"))
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

    /// Performs the handshake with a client.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        // Check this before rustls reads: such a client could not read rustls's error.
        if is_plain(&stream).await? {
            turn_away(stream, PLAIN).await;
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the client does not speak TLS",
            ));
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

/// The answer to plain HTTP.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain\r\n\
    connection: close\r\n\
    content-length: 38\r\n\
    \r\n\
    TLS is spoken here: use wss or https.\n";

/// Returns whether a client is not using TLS, which always begins with a handshake record (RFC
/// 8446, 5.1).
async fn is_plain(stream: &TcpStream) -> io::Result<bool> {
    const HANDSHAKE: u8 = 22;
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first != [HANDSHAKE])
}

/// Sends a last message, then keeps reading for a while: closing a socket with unread data resets
/// the connection and discards the message.
async fn turn_away(mut stream: TcpStream, word: &[u8]) {
    // The client may have disconnected already.
    if stream.write_all(word).await.is_ok() && stream.shutdown().await.is_ok() {
        tokio::io::copy(&mut stream.take(LINGER), &mut tokio::io::sink()).await.ok();
    }
}

fn builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>> {
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error: rustls::Error| Error::configuration(UNUSABLE).with_source(error))
}

/// Reads the certificates of a PEM text, at least one.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let unusable =
        |why: String| Error::configuration(format!("the certificate cannot be used: {why}"));
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable("the text contains no certificate".to_owned())),
        Err(error) => Err(unusable(error.to_string())),
    }
}
