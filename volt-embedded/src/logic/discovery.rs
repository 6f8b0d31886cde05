//! What the Volt tells anyone who looks for it, or for somebody that it knows.

use serde_json::{Value, json};
use volt_api::{
    config::VoltConfig,
    key::{KeyAlgorithm, VerifyingKey},
};

use super::{identities, resources::has_kind};
use crate::{fault::Result, store::resources, tls::Authority, volt::Volt};

impl Volt {
    /// What a client has to know of the Volt.
    pub(crate) fn discovery(&self) -> Result<VoltConfig> {
        let key = self.key.verifying_key();
        let mut volt = VoltConfig::from(self.id.as_str());
        volt.http_address = Some(self.url());
        volt.public_key = Some(key.to_pem());
        // Some of the published clients refuse a configuration without these.
        volt.display_name = Some(self.name()?);
        volt.address = Some(self.address.to_string());
        volt.fingerprint = Some(key.fingerprint());
        volt.ca_pem = self.authority.as_ref().map(Authority::pem);
        Ok(volt)
    }

    /// The DID document of the Volt, or of an identity that it knows.
    pub(crate) fn did_document(&self, did: &str) -> Result<Option<Value>> {
        if did == self.id {
            let mut document = document(did, &[self.key.verifying_key()]);
            document["service"] = json!([{
                "id": format!("{did}#volt-discovery"),
                "type": "volt-discovery",
                "serviceEndpoint": format!("{}/discover", self.url()),
            }]);
            return Ok(Some(document));
        }
        if !did.starts_with("did:") {
            // Who has no DID goes by a fingerprint, or is no identity at all.
            return Ok(None);
        }
        self.store.read(|store| match resources::get(store, did)? {
            Some(resource) if has_kind(&resource, "volt:identity") => {
                Ok(Some(document(did, &identities::keys(store, did)?)))
            }
            _ => Ok(None),
        })
    }
}

fn document(did: &str, keys: &[VerifyingKey]) -> Value {
    let methods = keys.iter().map(|key| {
        let kind = match key.algorithm() {
            KeyAlgorithm::Rsa => "RsaVerificationKey2018",
            // So it is called in the documents that the published clients make.
            _ => "Ed25519Signature2018",
        };
        json!({
            "id": format!("{did}#{}", key.fingerprint()),
            "type": kind,
            "controller": did,
            "publicKeyPem": key.to_pem(),
        })
    });
    json!({
        "@context": "https://www.w3.org/ns/did/v1",
        "id": did,
        "verificationMethod": methods.collect::<Vec<_>>(),
    })
}
