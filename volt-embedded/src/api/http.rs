//! Plain HTTP: discovery, DID documents, and the list of a relay's Volts.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Value, json};
use volt_api::key::{KeyAlgorithm, VerifyingKey};
use volt_runtime::server::{HttpAnswer, HttpHandler};

use crate::{
    error::Result,
    store::{identities, resources, resources::has_kind},
    volt::Volt,
};

/// Answers the Volt's plain HTTP requests.
pub(crate) struct Web(pub(crate) Arc<Volt>);

impl HttpHandler for Web {
    fn get(&self, path: &str) -> Option<HttpAnswer> {
        match path {
            "/discover" => {
                let volt = self.0.discovery();
                let log = |fault: &_| tracing::error!(?fault, "discovery failed");
                answer(&volt.inspect_err(log).ok()?)
            }
            "/relay" => answer(&json!({ "clients": self.0.listing.list() })),
            _ => {
                let did = percent_decode_str(path.strip_prefix("/did/")?).decode_utf8().ok()?;
                let document = did_document(&self.0, &did).unwrap_or_else(|fault| {
                    tracing::error!(?fault, "looking up a DID failed");
                    None
                });
                answer(&document?)
            }
        }
    }
}

fn answer(value: &impl Serialize) -> Option<HttpAnswer> {
    serde_json::to_vec(value).ok().map(HttpAnswer::json)
}

/// Returns the DID document of the Volt, or of an identity in its store.
fn did_document(volt: &Volt, did: &str) -> Result<Option<Value>> {
    if did == volt.id {
        let mut document = document(did, &[volt.key.verifying_key()]);
        document["service"] = json!([{
            "id": format!("{did}#volt-discovery"),
            "type": "volt-discovery",
            "serviceEndpoint": format!("{}/discover", volt.url()),
        }]);
        return Ok(Some(document));
    }
    if !did.starts_with("did:") {
        // Identities without a DID have a fingerprint as their id and no document.
        return Ok(None);
    }
    volt.store.read_for_authentication(|store| match resources::get(store, did)? {
        Some(resource) if has_kind(&resource, "volt:identity") => {
            Ok(Some(document(did, &identities::keys(store, did)?)))
        }
        _ => Ok(None),
    })
}

fn document(did: &str, keys: &[VerifyingKey]) -> Value {
    let methods = keys.iter().map(|key| {
        let kind = match key.algorithm() {
            KeyAlgorithm::Rsa => "RsaVerificationKey2018",
            // The name that published clients use in their documents.
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
