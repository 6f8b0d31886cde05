//! `SignVerify`: signing with the Volt's key, and verifying signatures of the Volt or of
//! identities.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use volt_api::volt::{
    SignVerifyRequest, SignVerifyResponse, sign_verify_request::Digest,
    sign_verify_response::Payload,
};

use crate::{
    actor::Actor,
    error::{Result, invalid},
    store::{identities, resources},
    volt::key_fault,
};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Encodes as base64url without padding, which the API uses for binary data in string fields.
pub(crate) fn encode(bytes: &[u8]) -> String {
    general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64 or base64url, with or without padding.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>> {
    let alphabet =
        if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, LENIENT)
        .decode(text)
        .map_err(|error| invalid(format!("invalid base64: {error}")).into())
}

/// The beginning of an X25519 public key (DER), with which the Volt's part of a key exchange begins.
const EXCHANGED_KEY: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00";

/// Refuses to sign a message with a meaning in the protocol: a token of the Volt, which is a header
/// and claims in base64url, or the Volt's part of a key exchange.
fn refuse_protocol(message: &str) -> Result<()> {
    if message.as_bytes().starts_with(EXCHANGED_KEY) {
        let message = "the message looks like a key exchange, which this method does not sign";
        return Err(invalid(message).into());
    }
    let is_object = |part: &str| {
        let value = decode(part).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        value.is_some_and(|value: serde_json::Value| value.is_object())
    };
    if message.split_once('.').is_some_and(|(header, _)| is_object(header)) {
        return Err(
            invalid("the message looks like a token, which this method does not sign").into()
        );
    }
    Ok(())
}

impl Actor {
    /// Signs with the Volt's key, or verifies a signature. A valid signature yields an empty
    /// response; an invalid one is an error.
    pub(crate) fn sign_verify(&self, request: &SignVerifyRequest) -> Result<SignVerifyResponse> {
        let message = request.message.as_bytes();
        if !request.verify {
            self.demand_owner()?;
            refuse_protocol(&request.message)?;
            let signature = self.volt.key.sign(message).map_err(|error| key_fault(&error))?;
            let payload = if request.encode {
                Payload::DigestEncoded(encode(&signature))
            } else {
                Payload::Digest(signature)
            };
            return Ok(SignVerifyResponse { payload: Some(payload), ..Default::default() });
        }
        let signature = match &request.digest {
            Some(Digest::DigestRaw(bytes)) => bytes.clone(),
            Some(Digest::DigestEncoded(text)) => decode(text)?,
            _ => return Err(invalid("the digest to verify is missing").into()),
        };
        let did = &request.identity_did;
        let keys = if did.is_empty() || *did == self.volt.id {
            vec![self.volt.key.verifying_key()]
        } else {
            self.read(|store| {
                let id = resources::resolve(store, did)?;
                identities::keys(store, &id)
            })?
        };
        if keys.iter().any(|key| key.verify(message, &signature)) {
            return Ok(SignVerifyResponse::default());
        }
        Err(invalid("the signature is invalid").into())
    }
}
