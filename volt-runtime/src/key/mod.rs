//! Keys: the client's own, which signs, and a Volt's, which checks.
//!
//! Ed25519 keys speak the binary protocol. RSA keys are those of older configurations and speak the
//! legacy protocol; nothing else about them differs here.

mod encrypted;
mod rsa;
mod signing;
mod verifying;

pub(crate) use self::rsa::{oaep_decrypt, oaep_encrypt};
pub use self::{signing::SigningKey, verifying::VerifyingKey};

const PRIVATE_KEY_LABEL: &str = "PRIVATE KEY";
const ENCRYPTED_KEY_LABEL: &str = "ENCRYPTED PRIVATE KEY";
const PUBLIC_KEY_LABEL: &str = "PUBLIC KEY";
const CERTIFICATE_LABEL: &str = "CERTIFICATE";

/// Why a key could not be read or used.
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
    /// A key that a passphrase protects, and none was given.
    #[error("it is protected by a passphrase, and none was given")]
    Encrypted,
    /// The passphrase does not open the key.
    #[error("the passphrase is wrong")]
    Passphrase,
    /// A key protected in a way that is not known here.
    #[error("it is protected by a cipher that is not supported: {0}")]
    Cipher(String),
    /// Neither an Ed25519 nor an RSA key, or damaged.
    #[error("it is neither an Ed25519 nor an RSA key, or it is damaged")]
    Unsupported,
    /// Not a certificate, or damaged.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// A key of the wrong kind for what it is used for.
    #[error(
        "an {expected} key is needed for this: the client's key and the Volt's must be of one kind"
    )]
    WrongKind {
        /// The kind that is needed.
        expected: KeyAlgorithm,
    },
    /// The crypto library failed, which is not expected.
    #[error("the crypto library failed")]
    Crypto,
}

/// What kind of key it is, which also decides the protocol: Ed25519 speaks binary v1, RSA the legacy
/// JSON protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// RSA, signing with PKCS#1 v1.5 and SHA-256.
    Rsa,
}

impl std::fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        })
    }
}

/// SHA-256 of some bytes, as the API wants it of codes and contents.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// The label and the content of the first PEM block in a text.
///
/// What stands before the block, such as a certificate in words, is skipped.
fn decode_pem(text: &str) -> Result<(&str, Vec<u8>), KeyError> {
    let block = text.find("-----BEGIN ").and_then(|start| text.get(start..)).unwrap_or(text);
    let end = block.find("-----END ").and_then(|end| {
        let rest = block.get(end..)?;
        Some(end + rest.find('\n').unwrap_or(rest.len()))
    });
    let block = end.and_then(|end| block.get(..end)).unwrap_or(block).trim();
    pem_rfc7468::decode_vec(block.as_bytes()).map_err(KeyError::NotPem)
}
