//! Ed25519 keys: the client's own, which signs, and a Volt's, which checks.

use std::fmt;

use aws_lc_rs::{
    digest,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use pem_rfc7468::LineEnding;
use zeroize::Zeroizing;

const PRIVATE_KEY_LABEL: &str = "PRIVATE KEY";
const PUBLIC_KEY_LABEL: &str = "PUBLIC KEY";
/// The DER bytes that stand before the 32 raw bytes in an Ed25519 `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const RAW_LEN: usize = 32;

/// Why a key could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not PEM.
    #[error("it is not PEM text: {0}")]
    NotPem(pem_rfc7468::Error),
    /// PEM of something else.
    #[error("it is a PEM block of `{found}`, where `{expected}` is needed")]
    WrongLabel {
        /// What the block says it is.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A key that a passphrase protects.
    #[error("it is protected by a passphrase; decrypt it first, for example with `openssl pkey`")]
    Encrypted,
    /// Not an Ed25519 key, or damaged.
    #[error("it is not an Ed25519 key")]
    NotEd25519,
    /// The system gave no random bytes.
    #[error("no random bytes could be had for a new key")]
    Random,
}

/// A private Ed25519 key. It is wiped from memory when dropped and never printed.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Random`] when the system has no random bytes to give.
    pub fn generate() -> Result<Self, KeyError> {
        Ed25519KeyPair::generate().map(Self).map_err(|_| KeyError::Random)
    }

    /// Reads a PKCS#8 PEM block.
    ///
    /// # Errors
    ///
    /// Says what the text is instead: not PEM, another kind of key, or one with a passphrase.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, der) =
            pem_rfc7468::decode_vec(pem.trim().as_bytes()).map_err(KeyError::NotPem)?;
        let der = Zeroizing::new(der);
        match label {
            PRIVATE_KEY_LABEL => {
                Ed25519KeyPair::from_pkcs8(&der).map(Self).map_err(|_| KeyError::NotEd25519)
            }
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
            other => {
                Err(KeyError::WrongLabel { found: other.to_owned(), expected: PRIVATE_KEY_LABEL })
            }
        }
    }

    /// The key as a PKCS#8 PEM block, as the published clients write it.
    ///
    /// # Errors
    ///
    /// When the crypto library cannot serialise it, which is not expected.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let der = self.0.to_pkcs8v1().map_err(|_| KeyError::NotEd25519)?;
        pem_rfc7468::encode_string(PRIVATE_KEY_LABEL, LineEnding::LF, der.as_ref())
            .map(Zeroizing::new)
            .map_err(KeyError::NotPem)
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut raw = [0; RAW_LEN];
        raw.copy_from_slice(self.0.public_key().as_ref());
        VerifyingKey(raw)
    }

    /// Signs `message`; the signature is 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&format_args!("of {}", self.verifying_key())).finish()
    }
}

/// A public Ed25519 key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey([u8; RAW_LEN]);

impl VerifyingKey {
    /// The key whose raw bytes these are.
    pub fn from_raw(raw: [u8; RAW_LEN]) -> Self {
        Self(raw)
    }

    /// Reads a `SubjectPublicKeyInfo` PEM block.
    ///
    /// # Errors
    ///
    /// Says what the text is instead: not PEM, or another kind of key.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, der) =
            pem_rfc7468::decode_vec(pem.trim().as_bytes()).map_err(KeyError::NotPem)?;
        if label != PUBLIC_KEY_LABEL {
            return Err(KeyError::WrongLabel {
                found: label.to_owned(),
                expected: PUBLIC_KEY_LABEL,
            });
        }
        der.strip_prefix(&SPKI_PREFIX)
            .and_then(|raw| raw.try_into().ok())
            .map(Self)
            .ok_or(KeyError::NotEd25519)
    }

    /// The key as a `SubjectPublicKeyInfo` PEM block with `\n` line ends.
    #[expect(clippy::missing_panics_doc, reason = "the length is fixed")]
    pub fn to_pem(&self) -> String {
        let der = [&SPKI_PREFIX[..], &self.0].concat();
        pem_rfc7468::encode_string(PUBLIC_KEY_LABEL, LineEnding::LF, &der)
            .expect("44 bytes always fit a PEM block")
    }

    /// The 32 raw bytes.
    pub fn as_raw(&self) -> &[u8; RAW_LEN] {
        &self.0
    }

    /// Base58 of SHA-256 over the raw key: how Volts and clients name a key.
    pub fn fingerprint(&self) -> String {
        bs58::encode(digest::digest(&digest::SHA256, &self.0)).into_string()
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}
