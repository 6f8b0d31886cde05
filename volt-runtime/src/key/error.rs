//! Key algorithms and key errors.
//!
//! Each text continues a sentence about a field: "`credential.key` is invalid: it is …". No text
//! contains a part of the key.

use std::fmt;

use crate::Error;

/// The reason why a key could not be read or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not valid PEM, with the reason.
    #[error("it is not PEM text: {0}")]
    NotPem(&'static str),
    /// A PEM block with another label, such as a certificate in place of a key.
    #[error("it is a PEM block `{found}`, not `{expected}`{}", conversion(found, expected))]
    WrongLabel {
        /// The label of the block.
        found: String,
        /// The expected label.
        expected: &'static str,
    },
    /// The key is encrypted and no passphrase was given.
    #[error("it is protected by a passphrase, and none was given")]
    Encrypted,
    /// The passphrase does not decrypt the key.
    #[error("the passphrase is wrong")]
    Passphrase,
    /// The key is encrypted with an unsupported scheme.
    #[error(
        "it is protected by an unsupported cipher: {0}. \
         Protect it with another: `openssl pkcs8 -in KEY | openssl pkcs8 -topk8 -v2 aes-256-cbc`"
    )]
    Cipher(String),
    /// Neither an Ed25519 nor an RSA key, or damaged. Keys of other algorithms, such as ECDSA, are not
    /// supported.
    #[error("it is neither an Ed25519 nor an RSA key, or it is damaged")]
    Unsupported,
    /// An Ed25519 public key of small order: signatures that it accepts can be made without a private
    /// key.
    #[error("it is an Ed25519 key of small order, for which anyone can forge signatures")]
    Weak,
    /// Not a certificate, or damaged.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// The key has the wrong algorithm for its use.
    #[error(
        "an {expected} key is required: the client's key and the Volt's must have the same algorithm"
    )]
    WrongKind {
        /// The required algorithm.
        expected: KeyAlgorithm,
    },
    /// The crypto library failed, which is not expected. Generating a key fails with this error if
    /// the system returns no random bytes.
    #[error("the crypto library failed")]
    Crypto,
}

/// An error of the configuration, with the `KeyError` as its source.
impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self::configuration(format!("the key cannot be used: {error}")).with_source(error)
    }
}

impl KeyError {
    pub(super) fn wrong_label(found: &str, expected: &'static str) -> Self {
        Self::WrongLabel { found: found.to_owned(), expected }
    }
}

/// Returns a hint for converting a block with another label.
fn conversion(found: &str, expected: &str) -> &'static str {
    if found == "OPENSSH PRIVATE KEY" && expected == "PRIVATE KEY" {
        ": it is in OpenSSH's own format; convert it with `ssh-keygen -p -m PKCS8 -f KEY`"
    } else {
        ""
    }
}

/// The algorithm of a key. It selects the protocol: Ed25519 the binary one, RSA the legacy one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// RSA, signing with PKCS#1 v1.5 and SHA-256.
    Rsa,
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        })
    }
}
