//! TLS: the Volt's certificate authority, and the server's certificate.
//!
//! The authority's key is the Volt's own key, because the published clients read the Volt's public
//! key from the authority's certificate. The authority's certificate depends on nothing else, so it
//! is the same at every start and need not be stored.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, Error,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType,
    SignatureAlgorithm, date_time_ymd,
};
use volt_api::key::{KeyAlgorithm, VerifyingKey};
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

    /// Creates a certificate (PEM) with which a client of this identity authenticates, for its key
    /// and the host that it names. Returns `None` for a key other than Ed25519.
    pub(crate) fn client(
        &self,
        identity: &str,
        key: &VerifyingKey,
        host: &str,
    ) -> Result<Option<String>, Error> {
        let Some(key) = Certified::new(key) else { return Ok(None) };
        let mut params = params(identity);
        // A host that is neither an address nor a name is left out.
        let name = match host.parse() {
            Ok(address) => Some(SanType::IpAddress(address)),
            Err(_) if host.is_empty() => None,
            Err(_) => host.try_into().ok().map(SanType::DnsName),
        };
        params.subject_alt_names.extend(name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(Some(params.signed_by(&key, &self.0)?.pem()))
    }
}

/// Decodes the first PEM block of a text, with any label. Returns `None` if there is none.
pub(crate) fn der_of_pem(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (_, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
}

/// The public key of a client, Ed25519.
struct Certified(Vec<u8>);

impl Certified {
    fn new(key: &VerifyingKey) -> Option<Self> {
        if key.algorithm() != KeyAlgorithm::Ed25519 {
            return None;
        }
        // The key is the end of its SubjectPublicKeyInfo (RFC 8410).
        let der = der_of_pem(&key.to_pem())?;
        Some(Self(der.get(der.len().checked_sub(32)?..)?.to_vec()))
    }
}

impl PublicKeyData for Certified {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
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
    use volt_api::key::SigningKey;

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

    #[test]
    fn a_clients_certificate_is_for_its_own_key() {
        let authority = CertificateAuthority::new(
            "did:volt:a",
            &SigningKey::generate().unwrap().to_pem().unwrap(),
        )
        .unwrap();
        let key = SigningKey::generate().unwrap().verifying_key();
        for host in ["192.0.2.1", "client.example", "", "no host"] {
            let pem = authority.client("did:volt:c", &key, host).unwrap().unwrap();
            assert_eq!(VerifyingKey::from_certificate(&pem).unwrap(), key, "{host:?}");
        }
        let rsa = SigningKey::generate_rsa().unwrap().verifying_key();
        assert_eq!(authority.client("did:volt:c", &rsa, "").unwrap(), None);
    }
}
