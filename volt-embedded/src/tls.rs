//! TLS: the Volt's certificate authority, and the server's certificate.
//!
//! The authority's key is the Volt's own key, because the published clients read the Volt's public
//! key from the authority's certificate. The authority's certificate depends on nothing else, so it
//! is the same at every start and need not be stored.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, Error,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use volt_runtime::server::ServerTls;

/// A Volt's certificate authority.
pub(crate) struct CertificateAuthority(CertifiedIssuer<'static, KeyPair>);

impl CertificateAuthority {
    /// Creates the authority of the Volt with this id and private key (PEM).
    pub(crate) fn new(id: &str, key_pem: &str) -> Result<Self, Error> {
        let key = KeyPair::from_pem(key_pem)?;
        let mut params = params(id);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, key).map(Self)
    }

    /// Returns the authority's certificate as PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Creates the TLS identity of a server at this address: a new key, with a certificate for the
    /// machine's loopback names and the address.
    pub(crate) fn server(
        &self,
        listen: IpAddr,
    ) -> Result<ServerTls, Box<dyn std::error::Error + Send + Sync>> {
        let mut addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        if !addresses.contains(&listen) {
            addresses.push(listen);
        }
        let mut params = params("Embedded Volt");
        params.subject_alt_names = vec![SanType::DnsName("localhost".try_into()?)];
        params.subject_alt_names.extend(addresses.into_iter().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(ServerTls::new(&certificate.pem(), &key.serialize_pem())?)
    }
}

/// Returns the parameters of a certificate that does not expire (RFC 5280, 4.1.2.5): it is valid as
/// long as its key.
fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    params
}

#[cfg(test)]
mod tests {
    use volt_api::key::{SigningKey, VerifyingKey};

    use super::*;

    #[test]
    fn certificate_is_derived_from_the_key() {
        let key = SigningKey::generate().unwrap();
        let pem = key.to_pem().unwrap();
        let authority = CertificateAuthority::new("did:volt:a", &pem).unwrap();
        assert_eq!(authority.pem(), CertificateAuthority::new("did:volt:a", &pem).unwrap().pem());
        let certified = VerifyingKey::from_certificate(&authority.pem()).unwrap();
        assert_eq!(certified, key.verifying_key());
    }
}
