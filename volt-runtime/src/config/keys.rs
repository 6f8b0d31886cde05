//! The keys of a configuration.

use super::{ClientConfig, missing};
use crate::{
    error::{Error, Result},
    key::{KeyError, SigningKey, VerifyingKey},
};

impl ClientConfig {
    /// Gives the client a new Ed25519 key, in place of one that it may have. What belongs to the old
    /// key goes with it: the session, the client's DID or id, and the certificates. What its user gave
    /// it stays, such as a challenge code.
    ///
    /// # Errors
    ///
    /// When the system has no random bytes to give.
    pub fn with_new_key(mut self) -> Result<Self> {
        let unusable = |error| Error::configuration("no key can be made").with_source(error);
        let pem = SigningKey::generate().and_then(|key| key.to_pem()).map_err(unusable)?;
        let credential = self.credential.get_or_insert_default();
        credential.session_id = None;
        credential.identity_did = None;
        credential.client_id = None;
        credential.cert = None;
        credential.ca = None;
        credential.key = Some(pem.to_string());
        Ok(self)
    }

    /// The client's key.
    ///
    /// # Errors
    ///
    /// When `credential.key` is missing, is no key that this SDK can use, or needs a passphrase that
    /// was not given or is wrong.
    pub fn signing_key(&self) -> Result<SigningKey> {
        let pem = self.credential.as_ref().and_then(|credential| credential.key.as_deref());
        let pem = pem.filter(|pem| !pem.is_empty()).ok_or_else(|| {
            missing("credential.key", "the client's private key in PKCS#8 PEM, best an Ed25519 key")
        })?;
        self.open(pem).map_err(|error| match error {
            KeyError::Encrypted => Error::configuration(
                "`credential.key` is protected by a passphrase: \
                 give it with `ClientConfig::with_passphrase`",
            ),
            KeyError::Passphrase => Error::configuration(
                "`credential.key` cannot be opened: the passphrase is wrong: give the one that the key \
                 was protected with, by `ClientConfig::with_passphrase`, the prompt, or the field `p`",
            ),
            error => Error::configuration(format!(
                "`credential.key` is no use: {error}. It must be an Ed25519 or RSA private key in \
                 PKCS#8 PEM (`openssl pkcs8 -topk8` converts others, \
                 `ClientConfig::with_new_key` makes a new one)"
            )),
        })
    }

    fn open(&self, pem: &str) -> Result<SigningKey, KeyError> {
        let open = |passphrase: &str| SigningKey::from_encrypted_pem(pem, passphrase);
        match (SigningKey::from_pem(pem), &self.passphrase, &self.prompt) {
            (Err(KeyError::Encrypted), Some(passphrase), _) => open(passphrase.as_str()),
            (Err(KeyError::Encrypted), None, Some(prompt)) => prompt.open(open),
            (outcome, ..) => outcome,
        }
    }

    /// The Volt's public key: `volt.public_key`, or else the key in `volt.ca_pem`.
    ///
    /// # Errors
    ///
    /// When there is neither, or it cannot be read.
    pub fn volt_key(&self) -> Result<VerifyingKey> {
        let (field, key) = match (&self.volt.public_key, &self.volt.ca_pem) {
            (Some(pem), _) => ("volt.public_key", VerifyingKey::from_pem(pem)),
            (None, Some(pem)) => ("volt.ca_pem", VerifyingKey::from_certificate(pem)),
            (None, None) => {
                return Err(missing(
                    "volt.public_key",
                    "the Volt's public key in PEM, which its answers are checked with",
                ));
            }
        };
        key.map_err(|error| {
            Error::configuration(format!(
                "`{field}` is no use: {error}. A public key belongs into `volt.public_key`, \
                 a certificate into `volt.ca_pem`, both in PEM, Ed25519 or RSA"
            ))
        })
    }

    /// The fingerprint of the Volt's key, by which relays find it: `volt.fingerprint`, or else computed.
    /// The one that is given counts, because that of an RSA key hangs on how its PEM text was written.
    ///
    /// # Errors
    ///
    /// As [`volt_key`](Self::volt_key), where it must be computed.
    pub fn volt_fingerprint(&self) -> Result<String> {
        match self.volt.fingerprint.as_deref() {
            Some(given) if !given.is_empty() => Ok(given.to_owned()),
            _ => self.volt_key().map(|key| key.fingerprint()),
        }
    }
}
