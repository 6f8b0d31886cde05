//! The keys that a configuration holds: the client's own, and the Volt's.
//!
//! The two must have the same algorithm, which selects the protocol. Connecting checks this, not this
//! module.

use super::{ClientConfig, missing, volt::given};
use crate::{
    error::{Error, Result},
    key::{KeyError, SigningKey, VerifyingKey},
};

impl ClientConfig {
    /// Replaces the client's key with a new Ed25519 key. Everything issued for the old key is removed: the
    /// session, the client's DID or id, and the certificates. User input such as a challenge code is kept.
    ///
    /// # Errors
    ///
    /// Fails if the system returns no random bytes.
    pub fn with_new_key(mut self) -> Result<Self> {
        let failed = |error| {
            let message = "a new `credential.key` cannot be generated: the system returned no random \
                           bytes. Allow this process to read them";
            Error::configuration(message).with_source(error)
        };
        let pem = SigningKey::generate().and_then(|key| key.to_pem()).map_err(failed)?;
        let credential = self.credential.get_or_insert_default();
        credential.session_id = None;
        credential.identity_did = None;
        credential.client_id = None;
        credential.cert = None;
        credential.ca = None;
        credential.key = Some(pem.to_string());
        Ok(self)
    }

    /// Reads the client's key. Decrypting a protected key takes noticeable time.
    ///
    /// # Errors
    ///
    /// Fails if `credential.key` is missing or invalid, or is encrypted and the passphrase is
    /// missing or wrong.
    pub fn signing_key(&self) -> Result<SigningKey> {
        let pem = self.credential.as_ref().and_then(|credential| credential.key.as_deref());
        let pem = pem.filter(|pem| !pem.trim().is_empty()).ok_or_else(|| {
            missing("credential.key", "the client's private key in PKCS#8 PEM, best an Ed25519 key")
        })?;
        self.open(pem).map_err(|error| match error {
            KeyError::Encrypted => Error::configuration(
                "`credential.key` is protected by a passphrase: \
                 set it with `ClientConfig::with_passphrase`",
            ),
            KeyError::Passphrase => Error::configuration(
                "`credential.key` cannot be decrypted: the passphrase is wrong. Set the right one with \
                 `ClientConfig::with_passphrase`, the prompt, or the field `p`",
            ),
            error => Error::configuration(format!(
                "`credential.key` is invalid: {error}. Expected an Ed25519 or RSA private key in \
                 PKCS#8 PEM (`openssl pkcs8 -topk8` converts other private keys, \
                 `ClientConfig::with_new_key` creates a new one)"
            )),
        })
    }

    /// Reads a key, with the passphrase that is set or, without one, the passphrase that the prompt
    /// returns. An unencrypted key needs neither.
    fn open(&self, pem: &str) -> Result<SigningKey, KeyError> {
        let open = |passphrase: &str| SigningKey::from_encrypted_pem(pem, passphrase);
        match (SigningKey::from_pem(pem), &self.passphrase, &self.prompt) {
            (Err(KeyError::Encrypted), Some(passphrase), _) => open(passphrase.as_str()),
            (Err(KeyError::Encrypted), None, Some(prompt)) => prompt.open(open),
            (outcome, ..) => outcome,
        }
    }
}

impl ClientConfig {
    /// Returns the Volt's id.
    ///
    /// # Errors
    ///
    /// Fails if `volt.id` is missing.
    pub fn volt_id(&self) -> Result<&str> {
        given(self.volt.id.as_ref()).ok_or_else(|| missing("volt.id", "the Volt's DID"))
    }

    /// Reads the Volt's public key: `volt.public_key`, or else the key in `volt.ca_pem`. Clients verify
    /// each key exchange with it, so a wrong one fails every call.
    ///
    /// # Errors
    ///
    /// Fails if both are missing, or the key cannot be read.
    pub fn volt_key(&self) -> Result<VerifyingKey> {
        let public_key = given(self.volt.public_key.as_ref());
        let (field, key) = match (public_key, given(self.volt.ca_pem.as_ref())) {
            (Some(pem), _) => ("volt.public_key", VerifyingKey::from_pem(pem)),
            (None, Some(pem)) => ("volt.ca_pem", VerifyingKey::from_certificate(pem)),
            (None, None) => {
                return Err(missing(
                    "volt.public_key",
                    "the Volt's public key in PEM, which verifies its answers",
                ));
            }
        };
        key.map_err(|error| {
            Error::configuration(format!(
                "`{field}` is invalid: {error}. A public key belongs in `volt.public_key`, \
                 a certificate into `volt.ca_pem`, both in PEM, Ed25519 or RSA"
            ))
        })
    }

    /// Returns the fingerprint of the Volt's key, by which relays find it: `volt.fingerprint`, or
    /// else computed. A configured one takes precedence, because an RSA key's fingerprint depends
    /// on how its PEM text was written.
    ///
    /// # Errors
    ///
    /// Fails if the fingerprint must be computed and [`volt_key`](Self::volt_key) fails.
    pub fn volt_fingerprint(&self) -> Result<String> {
        // As configured, even if it differs from the key's: relays compare it as text.
        match given(self.volt.fingerprint.as_ref()) {
            Some(fingerprint) => Ok(fingerprint.to_owned()),
            None => self.volt_key().map(|key| key.fingerprint()),
        }
    }
}
