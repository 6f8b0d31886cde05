//! `SignVerify`: signatures by the Volt's key, and checking them or those of identities.

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

/// Base64url without padding, which the API uses for texts that it does not call bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Either kind of base64, padded or not.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>> {
    let alphabet =
        if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, LENIENT)
        .decode(text)
        .map_err(|error| invalid(format!("this is not base64: {error}")).into())
}

impl Actor {
    /// Signs with the Volt's key, or checks a signature; a wrong one is refused, a right one gets an
    /// empty answer.
    pub(crate) fn sign_verify(&self, request: &SignVerifyRequest) -> Result<SignVerifyResponse> {
        let message = request.message.as_bytes();
        if !request.verify {
            self.demand_owner()?;
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
            self.volt.store.read(|store| {
                let id = resources::resolve(store, did)?;
                identities::keys(store, &id)
            })?
        };
        if keys.iter().any(|key| key.verify(message, &signature)) {
            return Ok(SignVerifyResponse::default());
        }
        Err(invalid("the signature is wrong").into())
    }
}
