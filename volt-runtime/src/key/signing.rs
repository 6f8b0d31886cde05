//! Inner keys.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use pem_rfc7468::LineEnding;
use zeroize::Zeroizing;

use super::{
    ENCRYPTED_KEY_LABEL, KeyAlgorithm, KeyError, PRIVATE_KEY_LABEL, VerifyingKey, decode_pem,
    encrypted, rsa::RsaSigningKey,
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
/// # Ok(())
/// # }
/// ```
pub struct SigningKey(Inner);

enum Inner {
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaSigningKey>),
}

impl SigningKey {
    /// Makes a new Ed25519 key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Crypto`] when the system has no random bytes to give.
    pub fn generate() -> Result<Self, KeyError> {
        let key = Ed25519KeyPair::generate().map_err(|_| KeyError::Crypto)?;
        Ok(Self(Inner::Ed25519(key)))
    }

    /// Makes a new RSA key of 2048 bits, for the legacy protocol. New clients use
    /// [`generate`](Self::generate).
    ///
    /// # Errors
    ///
    /// As [`generate`](Self::generate).
    pub fn generate_rsa() -> Result<Self, KeyError> {
        RsaSigningKey::generate().map(|key| Self(Inner::Rsa(Box::new(key))))
    }

    /// Reads a PKCS#8 PEM block that no passphrase protects. Its content may also be the 32 bytes of an
    /// Ed25519 seed alone, as one published client writes it.
    ///
    /// # Errors
    ///
    /// Says what the text is instead: not PEM, another kind of key, or one with a passphrase.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::read(pem, None)
    }

    /// Reads a PKCS#8 PEM block, which may be protected by this passphrase: PBES2 with PBKDF2 and
    /// AES-CBC or DES-EDE3-CBC. For a key without protection the passphrase is not used.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), and [`KeyError::Passphrase`] when it is the wrong one.
    pub fn from_encrypted_pem(pem: &str, passphrase: &str) -> Result<Self, KeyError> {
        Self::read(pem, Some(passphrase))
    }

    fn read(pem: &str, passphrase: Option<&str>) -> Result<Self, KeyError> {
        let (label, der) = decode_pem(pem)?;
        let der = Zeroizing::new(der);
        match (label, passphrase) {
            (PRIVATE_KEY_LABEL, _) => Self::from_pkcs8(&der),
            (ENCRYPTED_KEY_LABEL, None) => Err(KeyError::Encrypted),
            (ENCRYPTED_KEY_LABEL, Some(passphrase)) => {
                Self::from_pkcs8(&encrypted::decrypt(&der, passphrase)?)
            }
            (other, _) => {
                Err(KeyError::WrongLabel { found: other.to_owned(), expected: PRIVATE_KEY_LABEL })
            }
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        // One published client writes the bare seed, without PKCS#8 around it.
        let ed25519 = Ed25519KeyPair::from_pkcs8(der);
        if let Ok(key) = ed25519.or_else(|_| Ed25519KeyPair::from_seed_unchecked(der)) {
            return Ok(Self(Inner::Ed25519(key)));
        }
        RsaSigningKey::from_pkcs8(der).map(|key| Self(Inner::Rsa(Box::new(key))))
    }

    /// The key as a PKCS#8 PEM block, as the published clients write it.
    ///
    /// # Errors
    ///
    /// When the crypto library cannot serialise it, which is not expected.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let pem = encode_pem(PRIVATE_KEY_LABEL, &self.to_pkcs8()?)?;
        Ok(Zeroizing::new(pem))
    }

    /// The key as a PKCS#8 PEM block that this passphrase protects: PBES2 with AES-256-CBC and
    /// PBKDF2-HMAC-SHA-256 of 600,000 rounds, which takes a noticeable time here and whenever it is read.
    ///
    /// # Errors
    ///
    /// [`KeyError::Crypto`] when the system has no random bytes to give.
    pub fn to_encrypted_pem(&self, passphrase: &str) -> Result<String, KeyError> {
        encode_pem(ENCRYPTED_KEY_LABEL, &encrypted::encrypt(&self.to_pkcs8()?, passphrase)?)
    }

    fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        Ok(Zeroizing::new(match &self.0 {
            Inner::Ed25519(key) => {
                key.to_pkcs8v1().map_err(|_| KeyError::Crypto)?.as_ref().to_vec()
            }
            Inner::Rsa(key) => key.pkcs8().to_vec(),
        }))
    }

    /// What kind of key it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match &self.0 {
            Inner::Ed25519(_) => KeyAlgorithm::Ed25519,
            Inner::Rsa(_) => KeyAlgorithm::Rsa,
        }
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        match &self.0 {
            Inner::Ed25519(key) => {
                let mut raw = [0; 32];
                raw.copy_from_slice(key.public_key().as_ref());
                VerifyingKey::from_raw(raw)
            }
            Inner::Rsa(key) => key.public().clone(),
        }
    }

    /// Signs `message`. An Ed25519 signature is 64 bytes; an RSA key signs with PKCS#1 v1.5 and
    /// SHA-256.
    ///
    /// # Errors
    ///
    /// When the crypto library fails, which is not expected.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.0 {
            Inner::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            Inner::Rsa(key) => key.sign(message),
        }
    }

    pub(super) fn rsa_pkcs8(&self) -> Result<&[u8], KeyError> {
        match &self.0 {
            Inner::Rsa(key) => Ok(key.pkcs8()),
            Inner::Ed25519(_) => Err(KeyError::WrongKind { expected: KeyAlgorithm::Rsa }),
        }
    }
}

fn encode_pem(label: &'static str, der: &[u8]) -> Result<String, KeyError> {
    pem_rfc7468::encode_string(label, LineEnding::LF, der).map_err(KeyError::NotPem)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&format_args!("of {}", self.verifying_key())).finish()
    }
}
