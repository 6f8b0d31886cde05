//! Private keys.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

use super::{
    error::{KeyAlgorithm, KeyError},
    pem,
    rsa::{self, RsaSigningKey},
    verifying::VerifyingKey,
};

/// A private key, Ed25519 or RSA. It is wiped from memory when dropped and never printed.
///
/// ```
/// use volt_runtime::key::SigningKey;
///
/// # fn main() -> Result<(), volt_runtime::key::KeyError> {
/// let key = SigningKey::generate()?;
/// let signature = key.sign(b"message")?;
/// assert!(key.verifying_key().verify(b"message", &signature));
///
/// // PEM is the form in configurations and files.
/// let same = SigningKey::from_pem(&key.to_pem()?)?;
/// assert_eq!(same.verifying_key(), key.verifying_key());
/// # Ok(())
/// # }
/// ```
pub struct SigningKey(Inner);

enum Inner {
    Ed25519(Ed25519KeyPair),
    /// Boxed, because few clients have one.
    Rsa(Box<RsaSigningKey>),
}

impl SigningKey {
    /// Generates a new Ed25519 key.
    ///
    /// # Errors
    ///
    /// Returns [`KeyError::Crypto`] if the system returns no random bytes.
    pub fn generate() -> Result<Self, KeyError> {
        let key = Ed25519KeyPair::generate().map_err(|_| KeyError::Crypto)?;
        Ok(Self(Inner::Ed25519(key)))
    }

    /// Generates a new RSA key of 2048 bits, for the legacy protocol. New clients use
    /// [`generate`](Self::generate).
    ///
    /// # Errors
    ///
    /// Same as [`generate`](Self::generate).
    pub fn generate_rsa() -> Result<Self, KeyError> {
        RsaSigningKey::generate().map(|key| Self(Inner::Rsa(Box::new(key))))
    }

    /// Reads an unencrypted PKCS#8 PEM block. Its content may also be the bare 32 bytes of an Ed25519
    /// seed, as one published client writes it. Lines may have any length.
    ///
    /// # Errors
    ///
    /// Fails if the text is not PEM, holds another kind of key, or the key is encrypted.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::read(pem, None)
    }

    /// Reads a PKCS#8 PEM block, which may be protected by this passphrase: PBES2 with PBKDF2 and
    /// AES-CBC or DES-EDE3-CBC. For an unencrypted key the passphrase is ignored.
    ///
    /// # Errors
    ///
    /// Same as [`from_pem`](Self::from_pem), and [`KeyError::Passphrase`] if the passphrase is
    /// wrong.
    pub fn from_encrypted_pem(pem: &str, passphrase: &str) -> Result<Self, KeyError> {
        Self::read(pem, Some(passphrase))
    }

    fn read(text: &str, passphrase: Option<&str>) -> Result<Self, KeyError> {
        let (label, der) = pem::decode(text)?;
        match (label, passphrase) {
            (pem::PRIVATE_KEY, _) => Self::from_pkcs8(&der),
            (pem::ENCRYPTED_KEY, None) => Err(KeyError::Encrypted),
            (pem::ENCRYPTED_KEY, Some(passphrase)) => {
                Self::from_pkcs8(&pem::decrypt(&der, passphrase)?)
            }
            (other, _) => Err(KeyError::wrong_label(other, pem::PRIVATE_KEY)),
        }
    }

    /// Reads a decrypted key of either algorithm.
    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        // One published client writes the bare seed, without PKCS#8 around it.
        let ed25519 = Ed25519KeyPair::from_pkcs8(der);
        if let Ok(key) = ed25519.or_else(|_| Ed25519KeyPair::from_seed_unchecked(der)) {
            return Ok(Self(Inner::Ed25519(key)));
        }
        RsaSigningKey::from_pkcs8(der).map(|key| Self(Inner::Rsa(Box::new(key))))
    }

    /// Writes the key as an unencrypted PKCS#8 PEM block, as the published clients do. The text is wiped
    /// from memory when dropped.
    ///
    /// # Errors
    ///
    /// Fails if the crypto library cannot serialize the key, which is not expected.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        pem::encode(pem::PRIVATE_KEY, &self.to_pkcs8()?).map(Zeroizing::new)
    }

    /// Writes the key as a PKCS#8 PEM block encrypted with this passphrase: PBES2 with AES-256-CBC
    /// and 600,000 iterations of PBKDF2-HMAC-SHA-256, which take a noticeable time here and
    /// whenever the key is read.
    ///
    /// # Errors
    ///
    /// Returns [`KeyError::Crypto`] if the system returns no random bytes.
    pub fn to_encrypted_pem(&self, passphrase: &str) -> Result<String, KeyError> {
        pem::encode(pem::ENCRYPTED_KEY, &pem::encrypt(&self.to_pkcs8()?, passphrase)?)
    }

    /// An Ed25519 key is written without its public part (RFC 8410), as the published clients write it.
    fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        Ok(Zeroizing::new(match &self.0 {
            Inner::Ed25519(key) => {
                key.to_pkcs8v1().map_err(|_| KeyError::Crypto)?.as_ref().to_vec()
            }
            Inner::Rsa(key) => key.pkcs8().to_vec(),
        }))
    }

    /// Returns the key's algorithm.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match &self.0 {
            Inner::Ed25519(_) => KeyAlgorithm::Ed25519,
            Inner::Rsa(_) => KeyAlgorithm::Rsa,
        }
    }

    /// Returns the public key.
    pub fn verifying_key(&self) -> VerifyingKey {
        match &self.0 {
            Inner::Ed25519(key) => {
                let mut raw = [0; 32];
                raw.copy_from_slice(key.public_key().as_ref());
                VerifyingKey::from_raw(raw)
            }
            Inner::Rsa(key) => VerifyingKey::from_rsa(key.public_spki()),
        }
    }

    /// Signs `message`. An Ed25519 signature is 64 bytes; an RSA key signs with PKCS#1 v1.5 and
    /// SHA-256.
    ///
    /// # Errors
    ///
    /// Fails if the crypto library fails, which is not expected.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.0 {
            Inner::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            Inner::Rsa(key) => key.sign(message),
        }
    }

    fn rsa_pkcs8(&self) -> Result<&[u8], KeyError> {
        match &self.0 {
            Inner::Rsa(key) => Ok(key.pkcs8()),
            Inner::Ed25519(_) => Err(KeyError::WrongKind { expected: KeyAlgorithm::Rsa }),
        }
    }
}

/// Decrypts data that was encrypted for an RSA key: OAEP with SHA-1, as the legacy protocol
/// requires.
pub(crate) fn oaep_decrypt(
    key: &SigningKey,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    rsa::oaep_decrypt(key.rsa_pkcs8()?, sealed)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&format_args!("of {}", self.verifying_key())).finish()
    }
}
