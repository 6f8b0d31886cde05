//! The constraints in a pinned certificate itself.
//!
//! Certificate verifiers take a trust anchor as a name and a key. rustls applies the name
//! constraints of an anchor, but none of its other extensions. This verifier adds them: the right
//! to issue certificates, the path length, and the usage.

use std::{cell::Cell, fmt, sync::Arc};

use tokio_rustls::rustls::{
    self, CertificateError, DigitallySignedStruct, OtherError, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime},
};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};
use x509_cert::{
    Certificate, Version,
    der::{Decode as _, oid::db::rfc5280},
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage as X509KeyUsage},
};

/// A pinned certificate that restricts its own use.
#[derive(Debug)]
struct Pinned {
    /// The certificate as configured, to recognize a server that presents it itself.
    certificate: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
    limits: Limits,
}

/// The uses that a pinned certificate allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    /// Set if it may issue certificates. Otherwise it is trusted only as the server's own
    /// certificate.
    issues: bool,
    /// The maximum number of authorities between it and a server.
    path: Option<u8>,
    /// Set if it may be used for servers.
    servers: bool,
}

/// A certificate without restrictions.
const NONE: Limits = Limits { issues: true, path: None, servers: true };

impl Limits {
    /// Reads a certificate's extensions. A certificate of version 1 has no extensions, and
    /// restricts nothing.
    fn of(certificate: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let fields = certificate.tbs_certificate();
        if fields.version() == Version::V1 {
            return Some(NONE);
        }
        // An extension that occurs twice is an error here, and restricts everything.
        let basic = fields.get_extension::<BasicConstraints>().ok()?.map(|(_, basic)| basic);
        let usage = fields.get_extension::<X509KeyUsage>().ok()?;
        let extended = fields.get_extension::<ExtendedKeyUsage>().ok()?;
        Some(Self {
            issues: basic.as_ref().is_some_and(|basic| basic.ca)
                && usage.is_none_or(|(_, usage)| usage.key_cert_sign()),
            path: basic.and_then(|basic| basic.path_len_constraint),
            servers: extended.is_none_or(|(_, usages)| {
                [rfc5280::ID_KP_SERVER_AUTH, rfc5280::ANY_EXTENDED_KEY_USAGE]
                    .iter()
                    .any(|usage| usages.0.contains(usage))
            }),
        })
    }
}

/// The constraint that a certificate violates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violated(&'static str);

impl fmt::Display for Violated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Violated {}

/// Verifies a server's certificate, and then the constraints of the pinned one behind it.
///
/// It can only reject more than the inner verifier, never less. Used only if a pinned certificate has
/// constraints.
#[derive(Debug)]
pub(super) struct Constrained {
    inner: Arc<WebPkiServerVerifier>,
    pinned: Vec<Pinned>,
}

impl Constrained {
    /// Adds the constraints of these pinned certificates to a verifier, which trusts them already.
    /// Returns `None` if there are none to add.
    pub(super) fn new(
        inner: &Arc<WebPkiServerVerifier>,
        certificates: &[CertificateDer<'static>],
    ) -> Option<Self> {
        let pinned: Vec<_> = certificates
            .iter()
            .filter_map(|certificate| {
                let anchor = anchor_from_trusted_cert(certificate).ok()?.to_owned();
                // Unreadable extensions, such as doubled ones, allow nothing but the certificate itself.
                let limits = Limits::of(certificate).unwrap_or(Limits { issues: false, ..NONE });
                Some(Pinned { certificate: certificate.clone(), anchor, limits })
            })
            .collect();
        let restricts = pinned.iter().any(|pinned| pinned.limits != NONE);
        restricts.then(|| Self { inner: Arc::clone(inner), pinned })
    }

    /// Searches for a path to a pinned certificate that allows it.
    fn check(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Violated> {
        // The last restriction that ruled out a path, for the error: webpki's own error has no room for it.
        let violated = Cell::new("they cannot be checked");
        let allows = |path: &VerifiedPath<'_>| {
            let authorities = path.intermediate_certificates().count();
            let allowed = self.pinned.iter().filter(|pinned| pinned.anchor == *path.anchor()).any(
                |Pinned { certificate, limits, .. }| {
                    let is_itself = authorities == 0 && certificate == server;
                    if !limits.servers {
                        violated.set("it is not for servers (`extendedKeyUsage`)");
                        return false;
                    }
                    if !limits.issues && !is_itself {
                        violated.set(
                            "it may not issue certificates (`basicConstraints`, `keyUsage`), so it \
                             is trusted for itself alone",
                        );
                        return false;
                    }
                    if limits.path.is_some_and(|limit| authorities > usize::from(limit)) {
                        violated.set("the path from it is too long (`pathLenConstraint`)");
                        return false;
                    }
                    true
                },
            );
            if allowed { Ok(()) } else { Err(webpki::Error::PathLenConstraintViolated) }
        };
        let anchors: Vec<_> = self.pinned.iter().map(|pinned| pinned.anchor.clone()).collect();
        let algorithms = default_provider().signature_verification_algorithms.all;
        let usage = KeyUsage::server_auth();
        EndEntityCert::try_from(server)
            .and_then(|server| {
                let verified = server.verify_for_usage(
                    algorithms,
                    &anchors,
                    intermediates,
                    now,
                    usage,
                    None,
                    Some(&allows),
                );
                verified.map(drop)
            })
            .map_err(|_| Violated(violated.get()))
    }
}

impl ServerCertVerifier for Constrained {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        // rustls does not report the path that it has verified, so it is searched for again.
        self.check(end_entity, intermediates, now)
            .map_err(|violated| CertificateError::Other(OtherError(Arc::new(violated))))?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
