//! Keys: private keys, which sign, and public keys, which verify.
//!
//! Clients with an Ed25519 key speak the binary protocol; those with an RSA key, from an older
//! configuration, speak the legacy protocol.
//!
//! Keys travel as PEM: private ones as PKCS#8, which may be protected by a passphrase, and public ones as
//! `SubjectPublicKeyInfo`. Reading accepts what the published clients and OpenSSL write. A
//! [fingerprint](VerifyingKey::fingerprint) is the short name of a public key.
//!
//! To create a key outside of a program, use `openssl genpkey -algorithm ed25519`, and for its public key
//! `openssl pkey -in KEY -pubout`.
//!
//! All cryptography uses aws-lc-rs. Private keys are wiped from memory when dropped.

mod error;
mod pem;
mod rsa;
mod signing;
mod verifying;

#[cfg(all(feature = "tls", feature = "client"))]
#[cfg(feature = "tls")]
pub(crate) use self::pem::certificates;
pub use self::{
    error::{KeyAlgorithm, KeyError},
    signing::SigningKey,
    verifying::VerifyingKey,
};
pub(crate) use self::{signing::oaep_decrypt, verifying::oaep_encrypt};

/// Returns the SHA-256 digest of some bytes, which the API uses for codes and contents.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hash.copy_from_slice(digest.as_ref());
    hash
}
