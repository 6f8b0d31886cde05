//! Public keys.
//!
//! An Ed25519 key is kept as its 32 bytes and an RSA key as its DER, so keys compare by value and hash.

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

/// The points of small order, in all encodings that decoders accept, without the sign bit. Anyone can
/// make signatures that verify with such a key.
const SMALL_ORDER: [[u8; RAW_LEN]; 7] = {
    const fn near_p(low: u8) -> [u8; RAW_LEN] {
        let mut bytes = [0xff; RAW_LEN];
        bytes[0] = low;
        bytes[RAW_LEN - 1] = 0x7f;
        bytes
    }
    let zero = [0; RAW_LEN];
    let mut one = zero;
    one[0] = 1;
    [
        zero,
        one,
        // The points of order 8.
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
        // p - 1, and the non-canonical encodings p and p + 1 of 0 and 1.
        near_p(0xec),
        near_p(0xed),
        near_p(0xee),
    ]
};

fn has_small_order(raw: &[u8; RAW_LEN]) -> bool {
    // Both signs of a coordinate encode points of the same order.
    let mut unsigned = *raw;
    unsigned[RAW_LEN - 1] &= 0x7f;
    SMALL_ORDER.contains(&unsigned)
}

/// A public key, Ed25519 or RSA. Cloning is cheap. `Display` shows the
/// [fingerprint](Self::fingerprint).
///
/// ```
/// use volt_runtime::key::{KeyAlgorithm, VerifyingKey};
///
/// # fn main() -> Result<(), volt_runtime::key::KeyError> {
/// let key = VerifyingKey::from_pem(
///     "-----BEGIN PUBLIC KEY-----
///     MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
///     -----END PUBLIC KEY-----",
/// )?;
/// assert_eq!(key.algorithm(), KeyAlgorithm::Ed25519);
/// assert!(!key.verify(b"message", &[0; 64]));
/// # Ok(())
/// # }
/// ```
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
    /// Creates an Ed25519 key from its raw bytes. A key of small order verifies no signature.
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
    /// Fails if the text is not PEM, or holds another kind of key; the error names it. Returns
    /// [`KeyError::Weak`] if the key has a small order.
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
    /// Fails if the text is not a certificate, or its key is of another kind.
    pub fn from_certificate(text: &str) -> Result<Self, KeyError> {
        let (label, der) = pem::decode(text)?;
        if label != pem::CERTIFICATE {
            return Err(KeyError::wrong_label(label, pem::CERTIFICATE));
        }
        Self::from_certificate_der(&der)
    }

    /// Reads the key in a certificate (DER), as [`from_certificate`](Self::from_certificate).
    pub(crate) fn from_certificate_der(der: &[u8]) -> Result<Self, KeyError> {
        let unreadable = |error: x509_cert::der::Error| KeyError::Certificate(error.to_string());
        let certificate = Certificate::from_der(der).map_err(unreadable)?;
        let spki = certificate.tbs_certificate().subject_public_key_info();
        Self::from_spki(&spki.to_der().map_err(unreadable)?)
    }

    /// Reads a `SubjectPublicKeyInfo`. An Ed25519 key has a fixed prefix, so no ASN.1 parser is
    /// needed.
    fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        if let Some(raw) = der.strip_prefix(&SPKI_PREFIX).and_then(|raw| raw.try_into().ok()) {
            return if has_small_order(&raw) {
                Err(KeyError::Weak)
            } else {
                Ok(Self::from_raw(raw))
            };
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
        // The published clients hash the text of an RSA key, and the bytes of an Ed25519 key.
        let hash = match &self.0 {
            Inner::Ed25519(raw) => digest::digest(&digest::SHA256, raw),
            Inner::Rsa(_) => digest::digest(&digest::SHA256, self.to_pem().as_bytes()),
        };
        bs58::encode(hash).into_string()
    }

    /// Returns whether `signature` is this key's signature over `message`. A signature of the wrong
    /// length is rejected.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Inner::Ed25519(raw) => {
                // Checked here too, because `from_raw` accepts any bytes.
                !has_small_order(raw)
                    && UnparsedPublicKey::new(&ED25519, raw).verify(message, signature).is_ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// With the identity as key and as R, and S = 0, the equation holds for every message.
    #[test]
    fn a_key_of_small_order_is_refused_and_verifies_nothing() {
        let mut signature = [0; 64];
        signature[0] = 1;
        let mut identity = [0; RAW_LEN];
        identity[0] = 1;
        let forged = UnparsedPublicKey::new(&ED25519, identity).verify(b"any message", &signature);
        assert!(forged.is_ok(), "the library now rejects such keys itself");
        for point in SMALL_ORDER {
            for sign in [0, 0x80] {
                let mut raw = point;
                raw[RAW_LEN - 1] |= sign;
                let key = VerifyingKey::from_raw(raw);
                assert!(!key.verify(b"any message", &signature));
                assert_eq!(VerifyingKey::from_pem(&key.to_pem()), Err(KeyError::Weak));
            }
        }
    }
}
