//! PEM, and the encryption that protects a private key in it (PKCS#8 with PBES2).
//!
//! The reader is written by hand, because keys arrive in configurations that people edit and that other
//! clients write: with lines of any length, text around the block, or `\n` as two characters. The first two
//! are accepted; the last is explained.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pem_rfc7468::LineEnding;
use pkcs8::{
    EncryptedPrivateKeyInfoOwned, EncryptedPrivateKeyInfoRef, Error as Pkcs8Error,
    der::{Encode as _, asn1::OctetString},
    pkcs5::{self, EncryptionScheme, pbes2},
};
use zeroize::Zeroizing;

use super::error::KeyError;

pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY";
pub(super) const ENCRYPTED_KEY: &str = "ENCRYPTED PRIVATE KEY";
pub(super) const PUBLIC_KEY: &str = "PUBLIC KEY";
pub(super) const CERTIFICATE: &str = "CERTIFICATE";

/// The number of PBKDF2-HMAC-SHA-256 iterations for a new key, as recommended by OWASP's Password
/// Storage Cheat Sheet.
const ITERATIONS: u32 = 600_000;

/// Writes a PEM block with `\n` line ends.
pub(super) fn encode(label: &'static str, der: &[u8]) -> Result<String, KeyError> {
    pem_rfc7468::encode_string(label, LineEnding::LF, der)
        .map_err(|_| KeyError::NotPem("it is too long"))
}

/// Reads the label and the content of the first PEM block in a text.
///
/// The reader is as lenient as OpenSSL: text around the block is skipped, and white space within
/// the base64 is ignored, so lines may have any length.
pub(super) fn decode(text: &str) -> Result<(&str, Zeroizing<Vec<u8>>), KeyError> {
    let (label, body, _) = block(text)?;
    // Blocks with headers, such as those of OpenSSL's own encryption: the caller rejects their label.
    if body.contains(':') && ![PRIVATE_KEY, ENCRYPTED_KEY, PUBLIC_KEY, CERTIFICATE].contains(&label)
    {
        return Ok((label, Zeroizing::default()));
    }
    Ok((label, content(body)?))
}

/// Reads the certificates (DER) in a text, as lenient as [`decode`]. Other PEM blocks are skipped.
///
/// # Errors
///
/// Fails if there is no certificate, or the text is not PEM.
#[cfg(feature = "tls")]
pub(crate) fn certificates(text: &str) -> Result<Vec<Vec<u8>>, KeyError> {
    let (mut found, mut other, mut rest) = (Vec::new(), None, text);
    while rest.contains(BEGIN) {
        let (label, body, after) = block(rest)?;
        // A chain may contain a key or parameters in between.
        if label == CERTIFICATE {
            found.push(content(body)?.to_vec());
        } else {
            other = Some(label);
        }
        rest = after;
    }
    match other {
        Some(label) if found.is_empty() => Err(KeyError::wrong_label(label, CERTIFICATE)),
        None if found.is_empty() => Err(KeyError::NotPem("it contains no certificate")),
        _ => Ok(found),
    }
}

const BEGIN: &str = "-----BEGIN ";

/// Splits a text at its first PEM block: the label, the text within, and the text after. Each error
/// names the wrong line.
fn block(text: &str) -> Result<(&str, &str, &str), KeyError> {
    let (_, rest) = text.split_once(BEGIN).ok_or(KeyError::NotPem(
        "a PEM block starts with a line such as `-----BEGIN PRIVATE KEY-----`",
    ))?;
    let (label, rest) = rest
        .split_once("-----")
        .filter(|(label, _)| !label.contains(['\n', '\r']))
        .ok_or(KeyError::NotPem("its `-----BEGIN …` line does not end in `-----`"))?;
    let (body, end) = rest
        .split_once("-----END ")
        .ok_or(KeyError::NotPem("its `-----END …-----` line is missing"))?;
    match end.split_once("-----") {
        Some((end, after)) if end == label => Ok((label, body, after)),
        _ => Err(KeyError::NotPem("its `-----BEGIN …` and `-----END …` lines do not match")),
    }
}

/// Decodes the text within a PEM block.
fn content(body: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if body.contains("\\n") || body.contains("\\r") {
        return Err(KeyError::NotPem(
            "its lines are separated by the two characters `\\n`: put line breaks in their place",
        ));
    }
    let base64: Zeroizing<Vec<u8>> =
        body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>().into();
    STANDARD
        .decode(&*base64)
        .map(Zeroizing::new)
        .map_err(|_| KeyError::NotPem("the text between its first and last line is not base64"))
}

/// Decrypts an `EncryptedPrivateKeyInfo` (DER). Returns the PKCS#8 key in it.
pub(super) fn decrypt(der: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let unsupported = |error: &dyn std::fmt::Display| KeyError::Cipher(error.to_string());
    let encrypted =
        EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| unsupported(&error))?;
    if let EncryptionScheme::Pbes1(_) = encrypted.encryption_algorithm {
        return Err(KeyError::Cipher("PBES1, which is obsolete".to_owned()));
    }
    // PBES2 has no checksum, so a wrong passphrase is recognized only by its invalid result.
    match encrypted.decrypt(passphrase) {
        Ok(key) => Ok(key.to_bytes()),
        // A wrong passphrase results in bad padding or an invalid key.
        Err(
            Pkcs8Error::EncryptedPrivateKey(pkcs5::Error::DecryptFailed)
            | Pkcs8Error::Asn1(_)
            | Pkcs8Error::KeyMalformed(_),
        ) => Err(KeyError::Passphrase),
        Err(error) => Err(unsupported(&error)),
    }
}

/// Encrypts a PKCS#8 key (DER). Returns an `EncryptedPrivateKeyInfo` (DER): AES-256-CBC with a key
/// from PBKDF2-HMAC-SHA-256.
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
