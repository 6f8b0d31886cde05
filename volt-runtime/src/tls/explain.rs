//! Explains TLS errors, with advice on what to do.
//!
//! The same alert means different things depending on what is trusted and on whether the client has a
//! certificate to show, so both are arguments.

use std::{io, net::IpAddr};

use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError,
    pki_types::{ServerName, UnixTime},
};

use super::constraints::Violated;
use crate::socket::ALPN;

/// The trusted certificate authorities.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// The platform's authorities.
    Platform,
    /// Only the authority in this field of the configuration.
    Pinned(String),
}

/// The version of HTTP that a client announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// A websocket begins with it.
    Http1,
    /// gRPC is based on it.
    Http2,
}

impl Version {
    /// The name of the version in TLS.
    pub(super) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => ALPN,
            Self::Http2 => b"h2",
        }
    }
}

/// Explains the error of a handshake, or of a stream after it.
pub(super) fn explain(
    error: &io::Error,
    trust: &Trust,
    shows_certificate: bool,
    version: Version,
) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(error)) => certificate(error, trust),
        Some(rustls::Error::InvalidMessage(_)) => {
            "the server does not speak TLS: if it speaks plain HTTP, the address must begin with \
             `http://`"
                .to_owned()
        }
        Some(rustls::Error::AlertReceived(alert)) => refused(*alert, shows_certificate, version),
        Some(rustls::Error::PeerIncompatible(why)) => {
            format!(
                "the server's TLS has nothing in common with this client's, 1.2 and 1.3 ({why:?})"
            )
        }
        Some(error) => format!("TLS failed: {error}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was ended in the middle of the TLS handshake: if there is no TLS, the \
             address must begin with `http://`"
                .to_owned()
        }
        None => error.to_string(),
    }
}

/// Explains why the server's certificate is not accepted.
fn certificate(error: &CertificateError, trust: &Trust) -> String {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => match trust {
            Trust::Pinned(field) => format!(
                "its certificate does not come from the authority in `{field}`, which alone is \
                 trusted: put the Volt's authority there, or remove the field to trust those of the \
                 platform"
            ),
            Trust::Platform => {
                "its certificate comes from no authority that the platform trusts: put the Volt's \
                 own authority in `ca_pem` beside the address, or add it to those of the platform"
                    .to_owned()
            }
        },
        CertificateError::Expired => "its certificate has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "its certificate expired {} ago: it must be renewed there, or the clock is wrong here",
            between(*not_after, *time)
        ),
        CertificateError::NotValidYet => "its certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "its certificate is valid only in {}: the clock is wrong, here or there",
            between(*time, *not_before)
        ),
        CertificateError::NotValidForName => "its certificate is not for this name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            let names = match names.len() {
                0 => "for no name at all (it lacks `subjectAltName`)".to_owned(),
                _ => format!("for {}", names.join(", ")),
            };
            let expected = match expected {
                ServerName::DnsName(name) => name.as_ref().to_owned(),
                ServerName::IpAddress(address) => IpAddr::from(*address).to_string(),
                other => format!("{other:?}"),
            };
            format!(
                "its certificate is not for `{expected}` but {names}: the address must use one of \
                 the certificate's names"
            )
        }
        CertificateError::Other(error) if error.0.is::<Violated>() => {
            let field = match trust {
                Trust::Pinned(field) => field,
                Trust::Platform => "ca_pem",
            };
            format!(
                "its certificate exceeds what the certificate in `{field}` allows: {}. Put the \
                 authority that issues the Volt's certificates there",
                error.0
            )
        }
        CertificateError::Revoked => "its certificate has been revoked".to_owned(),
        error => format!("its certificate is not accepted: {error}"),
    }
}

/// Explains why the server has ended the handshake.
fn refused(alert: AlertDescription, shows_certificate: bool, version: Version) -> String {
    // TLS 1.2 has no alert for a missing certificate: servers then send one of two others.
    match (alert, shows_certificate) {
        (AlertDescription::CertificateRequired, _)
        | (AlertDescription::HandshakeFailure | AlertDescription::BadCertificate, false) => {
            "the server wants a certificate of the client, which the configuration does not have: \
             `credential.cert`, which `Authenticate` returns"
                .to_owned()
        }
        (
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied,
            true,
        ) => format!(
            "the server does not accept the client's certificate in `credential.cert` ({alert:?}): \
             authenticate again for a new one"
        ),
        (AlertDescription::ProtocolVersion, _) => {
            "the server speaks neither TLS 1.2 nor 1.3".to_owned()
        }
        (AlertDescription::NoApplicationProtocol, _) => match version {
            Version::Http1 => "the server does not speak HTTP/1.1 there".to_owned(),
            Version::Http2 => {
                "the server does not speak HTTP/2 there, which gRPC needs: check the port"
                    .to_owned()
            }
        },
        (alert, _) => format!("the server ended TLS with an alert: {alert:?}"),
    }
}

/// Strips the kind from a name as the verifier formats it: `DnsName("a.example")`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// A duration for people: days, or seconds below one day.
fn between(earlier: UnixTime, later: UnixTime) -> String {
    let seconds = later.as_secs().saturating_sub(earlier.as_secs());
    match seconds / 86_400 {
        0 => format!("{seconds} seconds"),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    }
}
