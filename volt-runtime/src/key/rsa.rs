//! RSA for the legacy protocol, using aws-lc-rs.
//!
//! Signatures are PKCS#1 v1.5 with SHA-256, encryption is OAEP with SHA-1: the choices of the published
//! clients. SHA-1's collisions do not weaken OAEP.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{
        KeyPair, KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
        PrivateDecryptingKey, PublicEncryptingKey,
    },
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use zeroize::Zeroizing;

use super::error::KeyError;

/// A private RSA key. The PKCS#8 bytes are kept for decryption, which needs another form of the
/// key.
pub(super) struct RsaSigningKey {
    pair: KeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
    /// The DER `SubjectPublicKeyInfo`.
    public: Vec<u8>,
}

impl RsaSigningKey {
    /// Generates a key of 2048 bits.
    pub(super) fn generate() -> Result<Self, KeyError> {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| KeyError::Crypto)?;
        let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| KeyError::Crypto)?;
        Self::from_pkcs8(der.as_ref())
    }

    /// Reads a PKCS#8 key (DER).
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let pair = KeyPair::from_pkcs8(der).map_err(|_| KeyError::Unsupported)?;
        let public: PublicKeyX509Der<'_> =
            pair.public_key().as_der().map_err(|_| KeyError::Crypto)?;
        let public = public.as_ref().to_vec();
        Ok(Self { pair, pkcs8: Zeroizing::new(der.to_vec()), public })
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    pub(super) fn public_spki(&self) -> &[u8] {
        &self.public
    }

    /// Signs with PKCS#1 v1.5 and SHA-256, as JWT's RS256.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| KeyError::Crypto)?;
        Ok(signature)
    }
}

impl fmt::Debug for RsaSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaSigningKey").finish_non_exhaustive()
    }
}

/// Returns whether this `SubjectPublicKeyInfo` holds an RSA key.
pub(super) fn is_public_key(spki: &[u8]) -> bool {
    PublicEncryptingKey::from_der(spki).is_ok()
}

/// Verifies a PKCS#1 v1.5 signature with SHA-256.
pub(super) fn verify(spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki).verify(message, signature).is_ok()
}

/// Encrypts with a public key: OAEP with SHA-1, as the legacy protocol requires.
pub(super) fn oaep_encrypt(spki: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
    let key = PublicEncryptingKey::from_der(spki).map_err(|_| KeyError::Crypto)?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| KeyError::Crypto)?;
    // The library writes into a buffer of the maximum size and returns the part that it used.
    let mut out = vec![0; key.ciphertext_size()];
    let written = key
        .encrypt(&OAEP_SHA1_MGF1SHA1, plain, &mut out, None)
        .map_err(|_| KeyError::Crypto)?
        .len();
    out.truncate(written);
    Ok(out)
}

/// Decrypts with a private key.
pub(super) fn oaep_decrypt(pkcs8: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let key = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(|_| KeyError::Crypto)?;
    let key = OaepPrivateDecryptingKey::new(key).map_err(|_| KeyError::Crypto)?;
    let mut out = Zeroizing::new(vec![0; key.min_output_size()]);
    let written = key
        .decrypt(&OAEP_SHA1_MGF1SHA1, sealed, &mut out, None)
        .map_err(|_| KeyError::Crypto)?
        .len();
    out.truncate(written);
    Ok(out)
}
