//! An authority that issues any certificate a test needs.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use volt_runtime::{ClientConfig, server::ServerTls};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server with a certificate for these names.
    pub(crate) fn server(&self, names: &[&str]) -> ServerTls {
        self.server_with(names, |_| {})
    }

    pub(crate) fn server_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> ServerTls {
        let (certificate, key) = self.issue(names, change);
        ServerTls::new(&certificate, &key).unwrap()
    }

    /// A certificate for these names, and its key, as PEM.
    pub(crate) fn issue(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// Sets a client's certificate for its existing key.
    pub(crate) fn certify(&self, config: &mut ClientConfig) {
        let credential = config.credential.as_mut().unwrap();
        let key = KeyPair::from_pem(credential.key.as_ref().unwrap()).unwrap();
        let params = CertificateParams::default();
        credential.cert = Some(params.signed_by(&key, &self.0).unwrap().pem());
    }
}
