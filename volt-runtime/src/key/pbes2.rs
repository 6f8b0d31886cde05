//! PBES2 (RFC 8018): the encryption of a private key with a passphrase.
//!
//! Keys are derived with PBKDF2 and encrypted with AES-CBC. OpenSSL and the published clients also write
//! DES-EDE3-CBC, which is read but not written.

use std::num::NonZeroU32;

use aws_lc_rs::{
    cipher::{
        AES_128, AES_128_KEY_LEN, AES_192, AES_192_KEY_LEN, AES_256, AES_256_KEY_LEN, Algorithm,
        DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
        UnboundCipherKey,
    },
    iv::FixedLength,
    pbkdf2, rand,
};
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _, block_padding::Pkcs7};
use zeroize::Zeroizing;

use super::{
    der::{self, Reader, tag},
    error::KeyError,
};

/// The number of PBKDF2-HMAC-SHA-256 iterations for a new key, as recommended by OWASP's Password
/// Storage Cheat Sheet.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();
/// The same number as the content of a DER integer.
const ITERATIONS_DER: [u8; 3] = [0x09, 0x27, 0xc0];

const AES_BLOCK_LEN: usize = 16;
const DES_EDE3_KEY_LEN: usize = 24;

// The contents of object identifiers.
const PKCS5: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];
const PBKDF2: u8 = 12;
const PBES2: u8 = 13;
const DIGESTS: [u8; 7] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];
const HMAC_SHA1: u8 = 7;
const HMAC_SHA256: u8 = 9;
const HMAC_SHA384: u8 = 10;
const HMAC_SHA512: u8 = 11;
const DES_EDE3_CBC: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07];
const AES: [u8; 8] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];
const AES_128_CBC: u8 = 2;
const AES_192_CBC: u8 = 22;
const AES_256_CBC: u8 = 42;

/// Decrypts an `EncryptedPrivateKeyInfo` (DER). Returns the PKCS#8 key in it.
///
/// PBES2 has no checksum: a wrong passphrase results in bad padding, or in data that is not a key.
pub(super) fn decrypt(der: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (mut parameters, sealed) = open(der)?;
    let derivation = Derivation::read(&mut parameters)?;
    let mut encryption = parameters.sequence().ok_or_else(damaged)?;
    let cipher = encryption.read(tag::OID).ok_or_else(damaged)?;
    let iv = encryption.read(tag::OCTET_STRING).ok_or_else(damaged)?;
    let mut data = Zeroizing::new(sealed.to_vec());
    let length = if cipher == DES_EDE3_CBC {
        let key = derivation.key(passphrase, DES_EDE3_KEY_LEN);
        decrypt_des(&key, iv, &mut data)
    } else {
        let (algorithm, length) = aes(cipher)?;
        decrypt_aes(algorithm, &derivation.key(passphrase, length), iv, &mut data)
    }?;
    data.truncate(length);
    Ok(data)
}

/// Encrypts a PKCS#8 key (DER). Returns an `EncryptedPrivateKeyInfo` (DER): AES-256-CBC with a key
/// from PBKDF2-HMAC-SHA-256.
pub(super) fn encrypt(der: &[u8], passphrase: &str) -> Result<Vec<u8>, KeyError> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    for random in [&mut salt, &mut iv] {
        rand::fill(random).map_err(|_| KeyError::Crypto)?;
    }
    let derivation =
        Derivation { hash: pbkdf2::PBKDF2_HMAC_SHA256, salt: &salt, iterations: ITERATIONS };
    let key = derivation.key(passphrase, AES_256_KEY_LEN);
    let key = UnboundCipherKey::new(&AES_256, &key).map_err(|_| KeyError::Crypto)?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(|_| KeyError::Crypto)?;
    // Room for the padding: a buffer that grows leaves a copy of the key behind.
    let mut data = Vec::with_capacity(der.len() + AES_BLOCK_LEN);
    data.extend_from_slice(der);
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    key.less_safe_encrypt(&mut data, context).map_err(|_| KeyError::Crypto)?;

    let oid = |group: &[u8], number| der::value(tag::OID, &[group, &[number]]);
    let hash = der::sequence(&[&oid(&DIGESTS, HMAC_SHA256), &der::value(tag::NULL, &[])]);
    let derivation = der::sequence(&[
        &der::value(tag::OCTET_STRING, &[&salt]),
        &der::value(tag::INTEGER, &[&ITERATIONS_DER]),
        &hash,
    ]);
    let derivation = der::sequence(&[&oid(&PKCS5, PBKDF2), &derivation]);
    let iv = der::value(tag::OCTET_STRING, &[&iv]);
    let encryption = der::sequence(&[&oid(&AES, AES_256_CBC), &iv]);
    let parameters = der::sequence(&[&derivation, &encryption]);
    let algorithm = der::sequence(&[&oid(&PKCS5, PBES2), &parameters]);
    Ok(der::sequence(&[&algorithm, &der::value(tag::OCTET_STRING, &[&data])]))
}

fn damaged() -> KeyError {
    unsupported("its parameters are damaged")
}

fn unsupported(reason: &str) -> KeyError {
    KeyError::Cipher(reason.to_owned())
}

/// Reads an `EncryptedPrivateKeyInfo`. Returns the parameters of PBES2 and the encrypted key.
fn open(der: &[u8]) -> Result<(Reader<'_>, &[u8]), KeyError> {
    let mut info = Reader::new(der).sequence().ok_or_else(damaged)?;
    let mut algorithm = info.sequence().ok_or_else(damaged)?;
    let scheme = algorithm.read(tag::OID).ok_or_else(damaged)?;
    match scheme.strip_prefix(&PKCS5) {
        Some([PBES2]) => {}
        // The numbers below PBKDF2 are those of PBES1.
        Some([(..=11)]) => return Err(unsupported("PBES1, which is obsolete")),
        _ => return Err(unsupported("it is not PBES2")),
    }
    let parameters = algorithm.sequence().ok_or_else(damaged)?;
    let sealed = info.read(tag::OCTET_STRING).ok_or_else(damaged)?;
    Ok((parameters, sealed))
}

/// The derivation of a key from the passphrase: PBKDF2.
struct Derivation<'a> {
    hash: pbkdf2::Algorithm,
    salt: &'a [u8],
    iterations: NonZeroU32,
}

impl<'a> Derivation<'a> {
    fn read(parameters: &mut Reader<'a>) -> Result<Self, KeyError> {
        let mut derivation = parameters.sequence().ok_or_else(damaged)?;
        let function = derivation.read(tag::OID).ok_or_else(damaged)?;
        if function.strip_prefix(&PKCS5) != Some(&[PBKDF2]) {
            return Err(unsupported("the key derivation is not PBKDF2"));
        }
        let mut fields = derivation.sequence().ok_or_else(damaged)?;
        let salt = fields.read(tag::OCTET_STRING).ok_or_else(damaged)?;
        let iterations = fields.integer().and_then(NonZeroU32::new).ok_or_else(damaged)?;
        if fields.is_next(tag::INTEGER) {
            // The length of the key, which the cipher implies.
            fields.integer().ok_or_else(damaged)?;
        }
        let hash = if fields.is_empty() {
            // The default.
            pbkdf2::PBKDF2_HMAC_SHA1
        } else {
            let mut hash = fields.sequence().ok_or_else(damaged)?;
            let oid = hash.read(tag::OID).ok_or_else(damaged)?;
            match oid.strip_prefix(&DIGESTS) {
                Some([HMAC_SHA1]) => pbkdf2::PBKDF2_HMAC_SHA1,
                Some([HMAC_SHA256]) => pbkdf2::PBKDF2_HMAC_SHA256,
                Some([HMAC_SHA384]) => pbkdf2::PBKDF2_HMAC_SHA384,
                Some([HMAC_SHA512]) => pbkdf2::PBKDF2_HMAC_SHA512,
                _ => return Err(unsupported("the hash of PBKDF2 is neither SHA-1 nor SHA-2")),
            }
        };
        Ok(Self { hash, salt, iterations })
    }

    fn key(&self, passphrase: &str, length: usize) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(vec![0; length]);
        pbkdf2::derive(self.hash, self.iterations, self.salt, passphrase.as_bytes(), &mut key);
        key
    }
}

/// Returns the AES with this object identifier, and the length of its keys.
fn aes(oid: &[u8]) -> Result<(&'static Algorithm, usize), KeyError> {
    match oid.strip_prefix(&AES) {
        Some([AES_128_CBC]) => Ok((&AES_128, AES_128_KEY_LEN)),
        Some([AES_192_CBC]) => Ok((&AES_192, AES_192_KEY_LEN)),
        Some([AES_256_CBC]) => Ok((&AES_256, AES_256_KEY_LEN)),
        _ => Err(unsupported("the cipher is neither AES-CBC nor DES-EDE3-CBC")),
    }
}

/// Decrypts in place, and returns the length of the result.
fn decrypt_aes(
    algorithm: &'static Algorithm,
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
) -> Result<usize, KeyError> {
    let iv: [u8; AES_BLOCK_LEN] = iv.try_into().map_err(|_| damaged())?;
    let key = UnboundCipherKey::new(algorithm, key).map_err(|_| KeyError::Crypto)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| KeyError::Crypto)?;
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    Ok(key.decrypt(data, context).map_err(|_| KeyError::Passphrase)?.len())
}

/// As [`decrypt_aes`], with DES-EDE3.
fn decrypt_des(key: &[u8], iv: &[u8], data: &mut [u8]) -> Result<usize, KeyError> {
    let cipher = cbc::Decryptor::<des::TdesEde3>::new_from_slices(key, iv);
    let cipher = cipher.map_err(|_| damaged())?;
    Ok(cipher.decrypt_padded::<Pkcs7>(data).map_err(|_| KeyError::Passphrase)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_iterations_are_those_used() {
        let written = der::value(tag::INTEGER, &[&ITERATIONS_DER]);
        assert_eq!(Reader::new(&written).integer(), Some(ITERATIONS.get()));
    }

    #[test]
    fn an_encrypted_key_is_decrypted_with_its_passphrase_alone() {
        for passphrase in ["", "pässwörd"] {
            let sealed = encrypt(b"a key", passphrase).unwrap();
            assert_eq!(**decrypt(&sealed, passphrase).unwrap(), *b"a key");
            // Bad padding is likely, but not certain.
            assert_ne!(
                decrypt(&sealed, "wrong").ok().as_deref().map(|key| &key[..]),
                Some(&b"a key"[..])
            );
        }
    }

    #[test]
    fn damaged_parameters_are_an_error() {
        let sealed = encrypt(b"a key", "").unwrap();
        for end in 0..sealed.len() {
            assert!(matches!(decrypt(&sealed[..end], ""), Err(KeyError::Cipher(_))), "{end}");
        }
    }
}
