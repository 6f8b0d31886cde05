//! Private keys that a passphrase protects: PKCS#8 with PBES2.

use pkcs8::{
    EncryptedPrivateKeyInfoOwned, EncryptedPrivateKeyInfoRef, Error as Pkcs8Error,
    der::{Encode as _, asn1::OctetString},
    pkcs5::{self, pbes2},
};
use zeroize::Zeroizing;

use super::KeyError;

/// Rounds of PBKDF2-HMAC-SHA-256 for a new key: what OWASP's Password Storage Cheat Sheet asks for.
const ITERATIONS: u32 = 600_000;

/// Opens an `EncryptedPrivateKeyInfo` (DER) and gives the PKCS#8 key in it.
pub(super) fn decrypt(der: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let unsupported = |error: &dyn std::fmt::Display| KeyError::Cipher(error.to_string());
    let encrypted =
        EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| unsupported(&error))?;
    match encrypted.decrypt(passphrase) {
        Ok(key) => Ok(key.to_bytes()),
        // A wrong passphrase shows as bad padding, or as a key that makes no sense.
        Err(
            Pkcs8Error::EncryptedPrivateKey(pkcs5::Error::DecryptFailed)
            | Pkcs8Error::Asn1(_)
            | Pkcs8Error::KeyMalformed(_),
        ) => Err(KeyError::Passphrase),
        Err(error) => Err(unsupported(&error)),
    }
}

/// Protects a PKCS#8 key (DER), as an `EncryptedPrivateKeyInfo` (DER): AES-256-CBC with a key by
/// PBKDF2-HMAC-SHA-256.
pub(super) fn encrypt(der: &[u8], passphrase: &str) -> Result<Vec<u8>, KeyError> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    for random in [&mut salt, &mut iv] {
        aws_lc_rs::rand::fill(random).map_err(|_| KeyError::Crypto)?;
    }
    let parameters = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, iv)
        .map_err(|_| KeyError::Crypto)?;
    let sealed = parameters.encrypt(passphrase, der).map_err(|_| KeyError::Crypto)?;
    let info = EncryptedPrivateKeyInfoOwned {
        encryption_algorithm: parameters.into(),
        encrypted_data: OctetString::new(sealed).map_err(|_| KeyError::Crypto)?,
    };
    info.to_der().map_err(|_| KeyError::Crypto)
}
