//! The keys of a configuration.

use super::{ClientConfig, Credential, missing};
use crate::{
    Error, Result,
    key::{KeyError, SigningKey, VerifyingKey},
};

impl ClientConfig {
    /// Gives the client a new Ed25519 key, in place of one that it may have. What the Volt gave
    /// to the old key, such as a session, goes with it.
    ///
    /// # Errors
    ///
    /// When the system has no random bytes to give.
    pub fn with_new_key(mut self) -> Result<Self> {
        let unusable = |error| Error::configuration("no key can be made").with_source(error);
        let pem = SigningKey::generate().and_then(|key| key.to_pem()).map_err(unusable)?;
        let credential = self.credential.get_or_insert_default();
        *credential = Credential::default();
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
            error => Error::configuration(format!("`credential.key` is no use: {error}")),
        })
    }

    fn open(&self, pem: &str) -> Result<SigningKey, KeyError> {
        match SigningKey::from_pem(pem) {
            Err(KeyError::Encrypted) => {
                let asked = || self.prompt.as_ref()?.ask();
                let passphrase = self.passphrase.clone().or_else(asked);
                let passphrase = passphrase.ok_or(KeyError::Encrypted)?;
                SigningKey::from_encrypted_pem(pem, passphrase.as_str())
            }
            outcome => outcome,
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
        key.map_err(|error| Error::configuration(format!("`{field}` is no use: {error}")))
    }

    /// The fingerprint of the Volt's key: `volt.fingerprint`, or else computed.
    ///
    /// # Errors
    ///
    /// As [`volt_key`](Self::volt_key).
    pub fn volt_fingerprint(&self) -> Result<String> {
        match &self.volt.fingerprint {
            Some(fingerprint) => Ok(fingerprint.clone()),
            None => self.volt_key().map(|key| key.fingerprint()),
        }
    }
}
