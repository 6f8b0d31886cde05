//! The client's side of TLS.
//!
//! The settings are built once, when a configuration is first used, so that an invalid certificate is a
//! configuration error then rather than a failed connection later.

use std::{io, sync::Arc, time::SystemTime};

use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ConfigBuilder, InconsistentKeys, RootCertStore, WantsVerifier,
        client::{WantsClientCert, WebPkiServerVerifier},
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};
use x509_cert::{Certificate, der::Decode as _};

use super::{
    UNUSABLE,
    constraints::Constrained,
    explain::{Trust, Version, explain},
};
use crate::{
    ClientConfig, Error, Result,
    config::{CertificateAuthority, DialAddress},
    key::{self, SigningKey},
    socket::Stream,
};

/// The TLS settings for the server that a configuration names. Used for each attempt to connect.
pub(crate) struct Tls {
    connector: TlsConnector,
    /// The name or address that the certificate must be for.
    server: ServerName<'static>,
    /// The trusted authorities, for explanations.
    trust: Trust,
    /// Set if the client can present a certificate.
    shows_certificate: bool,
    /// The version of HTTP that is announced.
    version: Version,
}

impl Tls {
    /// # Errors
    ///
    /// Returns a configuration error that names the invalid field.
    pub(crate) fn new(
        host: &str,
        config: &ClientConfig,
        endpoint: &DialAddress,
        key: &SigningKey,
    ) -> Result<Self> {
        let server = ServerName::try_from(host.to_owned()).map_err(|error| {
            let message = format!("{}: `{host}` is not a valid host name", endpoint.url);
            Error::configuration(message).with_source(error)
        })?;
        let issued = config.credential.as_ref().and_then(|credential| credential.ca.as_deref());
        let issued = issued.filter(|_| endpoint.grpc && !endpoint.relayed);
        let (builder, trust) = trusting(endpoint.authority.as_ref(), issued)?;
        // A relay identifies its clients only by their tokens, as with the published clients.
        let identity = if endpoint.relayed { None } else { identity(config, key)? };
        let shows_certificate = identity.is_some();
        let mut tls = match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| certificate_error(&error).with_source(error))?,
        };
        let version = if endpoint.grpc { Version::Http2 } else { Version::Http1 };
        tls.alpn_protocols = vec![version.alpn().to_vec()];
        let connector = TlsConnector::from(Arc::new(tls));
        Ok(Self { connector, server, trust, shows_certificate, version })
    }

    /// Settings for an HTTP proxy: the platform's authorities, and no certificate of the client.
    pub(crate) fn to_proxy(name: &str, host: &str) -> Result<Self> {
        let server = ServerName::try_from(host.to_owned()).map_err(|error| {
            Error::configuration(format!("{name}: `{host}` is not a valid host name"))
                .with_source(error)
        })?;
        let (builder, trust) = trusting(None, None)?;
        let mut tls = builder.with_no_client_auth();
        let version = Version::Http1;
        tls.alpn_protocols = vec![version.alpn().to_vec()];
        let connector = TlsConnector::from(Arc::new(tls));
        Ok(Self { connector, server, trust, shows_certificate: false, version })
    }

    /// Performs the handshake over a stream.
    pub(crate) async fn connect(&self, stream: Stream) -> io::Result<Stream> {
        let server = self.server.clone();
        // TLS over TCP has its own variant; TLS within a tunnel or over a custom stream is rare.
        match stream {
            Stream::Plain(stream) => self.connector.connect(server, stream).await.map(Stream::tls),
            stream => {
                let stream = self.connector.connect(server, stream).await?;
                Ok(Stream::Other(Box::new(stream)))
            }
        }
    }

    /// Explains an error of [`connect`](Self::connect), or of its stream, and what to do about it.
    pub(crate) fn explain(&self, error: &io::Error) -> String {
        explain(error, &self.trust, self.shows_certificate, self.version)
    }
}

type Builder<State> = ConfigBuilder<rustls::ClientConfig, State>;

/// Begins a configuration that trusts only the pinned authority, or else those of the platform. With
/// a pinned authority, those in `issued` (PEM) are trusted too.
fn trusting(
    authority: Option<&CertificateAuthority>,
    issued: Option<&str>,
) -> Result<(Builder<WantsClientCert>, Trust)> {
    let unusable = |error: rustls::Error| Error::configuration(UNUSABLE).with_source(error);
    let builder: Builder<WantsVerifier> =
        rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
    let Some(CertificateAuthority { field, pem }) = authority else {
        use rustls_platform_verifier::BuilderVerifierExt as _;
        let builder = builder.with_platform_verifier().map_err(|error| {
            Error::configuration("the platform's certificate authorities cannot be read")
                .with_source(error)
        })?;
        return Ok((builder, Trust::Platform));
    };
    // Only these: a pinned authority would be worthless if any other could vouch for the host as well.
    let mut roots = RootCertStore::empty();
    let mut pinned = certificates(field, pem)?;
    for certificate in &pinned {
        check_validity(field, certificate, SystemTime::now())?;
        roots.add(certificate.clone()).map_err(|error| {
            Error::configuration(format!(
                "`{field}` is invalid: it is not a certificate, or is damaged ({error})"
            ))
            .with_source(error)
        })?;
    }
    // They are optional: an expired or damaged one is ignored.
    let issued = issued.and_then(|pem| certificates("credential.ca", pem).ok()).unwrap_or_default();
    for certificate in issued {
        let usable = check_validity("credential.ca", &certificate, SystemTime::now()).is_ok();
        if usable && !pinned.contains(&certificate) && roots.add(certificate.clone()).is_ok() {
            pinned.push(certificate);
        }
    }
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.build().map_err(|error| {
        Error::configuration(format!("`{field}` cannot be used")).with_source(error)
    })?;
    let trust = Trust::Pinned(field.clone());
    Ok(match Constrained::new(&verifier, &pinned) {
        None => (builder.with_webpki_verifier(verifier), trust),
        Some(constrained) => {
            let builder = builder.dangerous();
            (builder.with_custom_certificate_verifier(Arc::new(constrained)), trust)
        }
    })
}

/// Rejects an authority outside of its validity period. rustls does not check the period of a trust
/// anchor, and an expired authority should not go unnoticed.
fn check_validity(field: &str, der: &[u8], now: SystemTime) -> Result<()> {
    // A certificate that cannot be read is reported where it is used.
    let Ok(certificate) = Certificate::from_der(der) else { return Ok(()) };
    // Check both ends, because a wrong clock can violate either.
    let validity = certificate.tbs_certificate().validity();
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let problem = if now > validity.not_after.to_unix_duration() {
        format!("expired at {}", validity.not_after)
    } else if now < validity.not_before.to_unix_duration() {
        format!("is not valid before {}: check the clock of this machine", validity.not_before)
    } else {
        return Ok(());
    };
    Err(Error::configuration(format!(
        "`{field}` {problem}. Get the Volt's current certificate authority"
    )))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The client's certificate, if the Volt has issued one: first its own, then the chain to the
/// Volt's authority.
fn identity(config: &ClientConfig, key: &SigningKey) -> Result<Option<Identity>> {
    let given = |pem: Option<&String>| pem.filter(|pem| !pem.trim().is_empty()).cloned();
    let Some(credential) = &config.credential else { return Ok(None) };
    let Some(own) = given(credential.cert.as_ref()) else { return Ok(None) };
    let mut chain = certificates("credential.cert", &own)?;
    if let Some(rest) = given(credential.ca.as_ref()) {
        for certificate in certificates("credential.ca", &rest)? {
            // Some Volts include the client's own certificate in the chain.
            if !chain.contains(&certificate) {
                chain.push(certificate);
            }
        }
    }
    let unusable = |error: &dyn std::fmt::Display| {
        Error::configuration(format!("`credential.key` cannot be used for TLS: {error}"))
    };
    let pem = key.to_pem().map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| unusable(&error))?;
    Ok(Some((chain, key)))
}

/// The error for a client certificate that rustls does not accept.
fn certificate_error(error: &rustls::Error) -> Error {
    Error::configuration(match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "`credential.cert` does not belong to `credential.key`: \
             remove it, or authenticate again"
                .to_owned()
        }
        error => format!("`credential.cert` is invalid: {error}"),
    })
}

/// Reads the certificates in a field of the configuration. There must be at least one certificate.
fn certificates(field: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    match key::certificates(pem) {
        Ok(certificates) => Ok(certificates.into_iter().map(CertificateDer::from).collect()),
        Err(error) => Err(Error::configuration(format!(
            "`{field}` is invalid: {error}. Expected a certificate as a PEM block, \
             `-----BEGIN CERTIFICATE-----` …"
        ))),
    }
}
