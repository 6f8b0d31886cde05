//! Private keys that a passphrase protects: PKCS#8 with PBES2.

use pkcs8::{EncryptedPrivateKeyInfoRef, Error as Pkcs8Error, pkcs5};
use zeroize::Zeroizing;

use super::KeyError;

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
