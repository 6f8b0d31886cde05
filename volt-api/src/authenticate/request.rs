//! The request for a session, and the answer to it.
//!
//! The forms are those of the published clients. A Volt verifies signatures over exact texts, so the
//! texts are built once and sent as they were signed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use volt_runtime::{ClientConfig, Error, Result, key::SigningKey};

use super::builder::{Authenticate, Challenge, Identity};
use crate::volt::{
    AuthenticateRequest, AuthenticateResponse, VerifiablePresentation,
    authenticate_request::ClientIdentifier,
};

/// Builds the request of `Authenticate`.
pub(super) fn build(options: &Authenticate) -> Result<AuthenticateRequest> {
    let config = &options.config;
    let key = config.signing_key()?;
    let own = config.credential.as_ref();
    let public = key.verifying_key().to_pem();
    let did = own.and_then(|own| own.identity_did.clone()).filter(|id| id.starts_with("did:"));
    let mut request = AuthenticateRequest::default();
    request.client_identifier = Some(match (&options.identity, did) {
        (Identity::Key, _) => ClientIdentifier::PublicKey(public),
        (Identity::Did, Some(did)) => ClientIdentifier::Did(did),
        (Identity::Did, None) => ClientIdentifier::DidPublicKey(public),
        (Identity::OwnDid(id), known) => {
            let id = id.clone().or(known);
            let id = id.unwrap_or_else(|| format!("did:volt:{}", uuid::Uuid::new_v4()));
            let document = did_document(&id, &public)?;
            request.did_document_signature = sign(&key, &document)?;
            ClientIdentifier::DidDocument(document)
        }
    });
    request.client_name = config.client_name.clone().unwrap_or_default();
    own.and_then(|own| own.bind_ip()).unwrap_or_default().clone_into(&mut request.host);
    request.exchange_token = options.exchange_token.clone().unwrap_or_default();
    request.session_name = options.session_name.clone().unwrap_or_default();
    let given = options.challenge_code.as_deref();
    let code = given.or_else(|| own.and_then(|own| own.challenge_code.as_deref()));
    // The location of the code in configurations of the older API.
    let code = code.or_else(|| config.volt.other.get("challenge_code")?.as_str());
    if let Some(code) = code.filter(|code| !code.is_empty()) {
        request.challenge = match options.challenge {
            Challenge::Hash => URL_SAFE_NO_PAD.encode(volt_runtime::key::sha256(code.as_bytes())),
            Challenge::Signature => sign(&key, code)?,
            Challenge::Plain => code.to_owned(),
        };
    }
    let credentials = own.map(|own| own.vc.as_slice()).unwrap_or_default();
    if options.present_credentials && !credentials.is_empty() {
        request.verifiable_presentation = vec![present(&key, credentials)?];
    }
    Ok(request)
}

/// Creates the document that states the DID's key. Its members are in alphabetical order, because
/// this text is signed.
fn did_document(id: &str, public_key: &str) -> Result<String> {
    let document = json!({
        "id": id,
        "verificationMethod": [{
            "controller": id,
            "id": format!("{id}#key-1"),
            "publicKeyPem": public_key,
            "type": "Ed25519Signature2018",
        }],
    });
    pretty(&document)
}

/// Presents all credentials at once. The signature covers their texts, one directly after the other.
fn present(key: &SigningKey, credentials: &[Value]) -> Result<VerifiablePresentation> {
    let texts = credentials.iter().map(pretty).collect::<Result<Vec<_>>>()?;
    let signature = sign(key, &texts.concat())?;
    Ok(VerifiablePresentation::default().with_credential(texts).with_signature(signature))
}

fn pretty(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|error| unusable(&error))
}

fn sign(key: &SigningKey, text: &str) -> Result<String> {
    let signature = key.sign(text.as_bytes()).map_err(|error| unusable(&error))?;
    Ok(URL_SAFE_NO_PAD.encode(signature))
}

/// Writes a permit into the configuration.
pub(super) fn take_answer(config: &mut ClientConfig, answer: AuthenticateResponse) -> Result<()> {
    let own = config.credential.get_or_insert_default();
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    own.session_id = Some(
        given(answer.session_id)
            .ok_or_else(|| Error::protocol("the Volt permitted the client without a session"))?,
    );
    // A field that the answer leaves out keeps its value.
    own.identity_did = given(answer.identity_did).or(own.identity_did.take());
    own.cert = given(answer.cert).or(own.cert.take());
    own.ca = given(answer.chain).or(own.ca.take());
    for text in answer.credential {
        let Ok(credential) = serde_json::from_str::<Value>(&text) else {
            tracing::warn!("the Volt issued a credential that is not valid JSON; ignoring it");
            continue;
        };
        // A newly issued credential replaces the old one.
        own.vc.retain(|known| known.get("id").is_none() || known.get("id") != credential.get("id"));
        own.vc.push(credential);
    }
    Ok(())
}

fn unusable(error: &dyn std::fmt::Display) -> Error {
    Error::configuration(format!("the client cannot authenticate: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Client;

    fn config() -> ClientConfig {
        let text = json!({
            "client_name": "test",
            "credential": {
                "bindIp": "10.0.0.7",
                "challenge_code": "code",
                "vc": [{ "id": "one", "b": 1, "a": 2 }, { "id": "two" }],
            },
            "volt": { "id": "did:volt:v" },
        });
        let key = SigningKey::generate().unwrap().to_pem().unwrap();
        ClientConfig::from_json(&text.to_string()).unwrap().with_credential(key.as_str(), None)
    }

    fn verifies(config: &ClientConfig, text: &str, signature: &str) {
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = config.signing_key().unwrap().verifying_key();
        assert!(key.verify(text.as_bytes(), &signature));
    }

    #[test]
    fn credentials_are_presented_unchanged_and_signed_together() {
        let config = config();
        let request = build(&Client::authenticate(config.clone())).unwrap();
        assert_eq!((&*request.client_name, &*request.host), ("test", "10.0.0.7"));
        let [presentation] = &request.verifiable_presentation[..] else { panic!("not one") };
        let shown: Value = serde_json::from_str(&presentation.credential[0]).unwrap();
        assert_eq!(shown, config.credential.as_ref().unwrap().vc[0]);
        verifies(&config, &presentation.credential.concat(), &presentation.signature);
        let without = Client::authenticate(config).present_credentials(false);
        assert!(build(&without).unwrap().verifiable_presentation.is_empty());
    }

    #[test]
    fn the_challenge_code_has_three_sources() {
        let mut config = config();
        config.volt.other.insert("challenge_code".to_owned(), json!("older"));
        let sent = |config: &ClientConfig, given: Option<&str>| {
            let mut options = Client::authenticate(config.clone()).challenge(Challenge::Plain);
            if let Some(code) = given {
                options = options.challenge_code(code);
            }
            build(&options).unwrap().challenge
        };
        assert_eq!(sent(&config, Some("given")), "given");
        assert_eq!(sent(&config, None), "code");
        config.credential.as_mut().unwrap().challenge_code = None;
        assert_eq!(sent(&config, None), "older");
        config.volt.other.clear();
        assert_eq!(sent(&config, None), "");
    }

    #[test]
    fn a_did_document_is_signed_as_its_exact_text() {
        let config = config();
        let own = Identity::OwnDid(Some("did:volt:own".to_owned()));
        let request = build(&Client::authenticate(config.clone()).identity(own)).unwrap();
        let Some(ClientIdentifier::DidDocument(document)) = &request.client_identifier else {
            panic!("no document");
        };
        verifies(&config, document, &request.did_document_signature);
        // Alphabetical order, two spaces: the form that other clients sign.
        assert!(
            document.starts_with("{\n  \"id\": \"did:volt:own\",\n  \"verificationMethod\": [")
        );
        let method: Value = serde_json::from_str(document).unwrap();
        assert_eq!(method["verificationMethod"][0]["type"], "Ed25519Signature2018");
    }

    #[test]
    fn values_from_the_volt_are_saved_and_replace_older_ones() {
        let mut config = config();
        let answer = AuthenticateResponse::default()
            .with_session_id("s")
            .with_identity_did("did:volt:me")
            .with_chain("chain")
            .with_credential([r#"{ "id": "two", "new": true }"#, "no JSON"]);
        take_answer(&mut config, answer).unwrap();
        let own = config.credential.as_ref().unwrap();
        assert_eq!(config.session_id(), Some("s"));
        assert_eq!(
            (own.identity_did.as_deref(), own.ca.as_deref()),
            (Some("did:volt:me"), Some("chain"))
        );
        assert_eq!(own.vc.len(), 2);
        assert_eq!(own.vc[1], json!({ "id": "two", "new": true }));
        take_answer(&mut config, AuthenticateResponse::default()).unwrap_err();
    }
}
