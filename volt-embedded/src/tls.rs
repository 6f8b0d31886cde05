//! TLS: the Volt's own certificate authority, and the certificate that it serves with.
//!
//! The authority is the Volt's own key: so a client that has only its certificate knows the Volt's
//! public key by that as well, as the published clients expect. Since that key is kept with the Volt, and
//! nothing else goes into the certificate, it is the same at every start and needs no file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, Error,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use volt_runtime::server::ServerTls;

/// A Volt's certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// The authority of the Volt with this id and key (PEM).
    pub(crate) fn new(id: &str, key_pem: &str) -> Result<Self, Error> {
        let key = KeyPair::from_pem(key_pem)?;
        let mut params = params(id);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, key).map(Self)
    }

    /// Its certificate, PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a server at this address speaks TLS with: a new key, certified for this machine's names
    /// and the address.
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

/// A certificate of this subject that does not expire (RFC 5280, 4.1.2.5): it goes when its key does.
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
    fn the_authority_follows_from_the_key_and_tells_it() {
        let key = SigningKey::generate().unwrap();
        let pem = key.to_pem().unwrap();
        let authority = Authority::new("did:volt:a", &pem).unwrap();
        assert_eq!(authority.pem(), Authority::new("did:volt:a", &pem).unwrap().pem());
        let certified = VerifyingKey::from_certificate(&authority.pem()).unwrap();
        assert_eq!(certified, key.verifying_key());
    }
}
