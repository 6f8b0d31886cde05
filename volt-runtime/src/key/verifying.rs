//! Public keys.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    digest,
    signature::{ED25519, UnparsedPublicKey},
};
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
};

use super::{
    error::{KeyAlgorithm, KeyError},
    pem, rsa,
};

/// The DER bytes that precede the 32 raw bytes in an Ed25519 `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const RAW_LEN: usize = 32;

/// A public key, Ed25519 or RSA. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifyingKey(Inner);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Inner {
    /// The raw key.
    Ed25519([u8; RAW_LEN]),
    /// The DER `SubjectPublicKeyInfo`.
    Rsa(Arc<[u8]>),
}

impl VerifyingKey {
    /// Creates an Ed25519 key from its raw bytes.
    pub fn from_raw(raw: [u8; RAW_LEN]) -> Self {
        Self(Inner::Ed25519(raw))
    }

    pub(super) fn from_rsa(spki: &[u8]) -> Self {
        Self(Inner::Rsa(spki.into()))
    }

    /// Reads a `SubjectPublicKeyInfo` PEM block.
    ///
    /// # Errors
    ///
    /// When the text is not PEM, or holds another kind of key; the error says which.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, der) = pem::decode(text)?;
        if label != pem::PUBLIC_KEY {
            return Err(KeyError::wrong_label(label, pem::PUBLIC_KEY));
        }
        Self::from_spki(&der)
    }

    /// Reads the key in a certificate (PEM). The certificate's subject and signature are not
    /// verified.
    ///
    /// # Errors
    ///
    /// When the text is not a certificate, or its key is of another kind.
    pub fn from_certificate(text: &str) -> Result<Self, KeyError> {
        let (label, der) = pem::decode(text)?;
        if label != pem::CERTIFICATE {
            return Err(KeyError::wrong_label(label, pem::CERTIFICATE));
        }
        let unreadable = |error: x509_cert::der::Error| KeyError::Certificate(error.to_string());
        let certificate = Certificate::from_der(&der).map_err(unreadable)?;
        let spki = certificate.tbs_certificate().subject_public_key_info();
        Self::from_spki(&spki.to_der().map_err(unreadable)?)
    }

    fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        if let Some(raw) = der.strip_prefix(&SPKI_PREFIX).and_then(|raw| raw.try_into().ok()) {
            return Ok(Self::from_raw(raw));
        }
        if rsa::is_public_key(der) {
            return Ok(Self::from_rsa(der));
        }
        Err(KeyError::Unsupported)
    }

    /// Writes the key as a `SubjectPublicKeyInfo` PEM block with `\n` line ends.
    #[expect(clippy::missing_panics_doc, reason = "a key of any size fits a PEM block")]
    pub fn to_pem(&self) -> String {
        let encode = |der: &[u8]| {
            pem::encode(pem::PUBLIC_KEY, der).expect("a key of any size fits a PEM block")
        };
        match &self.0 {
            Inner::Ed25519(raw) => encode(&[&SPKI_PREFIX[..], raw].concat()),
            Inner::Rsa(spki) => encode(spki),
        }
    }

    /// Returns the key's algorithm.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match &self.0 {
            Inner::Ed25519(_) => KeyAlgorithm::Ed25519,
            Inner::Rsa(_) => KeyAlgorithm::Rsa,
        }
    }

    /// Returns the fingerprint by which Volts and clients identify a key: base58 of SHA-256 over
    /// the raw bytes of an Ed25519 key, or over the PEM text of an RSA key.
    pub fn fingerprint(&self) -> String {
        let hash = match &self.0 {
            Inner::Ed25519(raw) => digest::digest(&digest::SHA256, raw),
            Inner::Rsa(_) => digest::digest(&digest::SHA256, self.to_pem().as_bytes()),
        };
        bs58::encode(hash).into_string()
    }

    /// Returns whether `signature` is this key's signature over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Inner::Ed25519(raw) => {
                UnparsedPublicKey::new(&ED25519, raw).verify(message, signature).is_ok()
            }
            Inner::Rsa(spki) => rsa::verify(spki, message, signature),
        }
    }

    fn rsa_spki(&self) -> Result<&[u8], KeyError> {
        match &self.0 {
            Inner::Rsa(spki) => Ok(spki),
            Inner::Ed25519(_) => Err(KeyError::WrongKind { expected: KeyAlgorithm::Rsa }),
        }
    }
}

/// Encrypts for an RSA key: OAEP with SHA-1, as the legacy protocol requires.
pub(crate) fn oaep_encrypt(key: &VerifyingKey, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
    rsa::oaep_encrypt(key.rsa_spki()?, plain)
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
