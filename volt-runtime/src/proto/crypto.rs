//! The key exchange and the cipher of a call, both from aws-lc-rs.
//!
//! Both sides draw an ephemeral X25519 key. HKDF-SHA-256, with a salt and an info text that the published
//! clients fixed, turns the shared secret into the AES-256 key of the call. Messages are encrypted with CBC
//! and PKCS#7 padding, which does not authenticate them. `iv.rs` detects most repetitions without that.

use std::fmt;

use super::ProtocolError;
use aws_lc_rs::{
    agreement::{self, PrivateKey, UnparsedPublicKey, X25519},
    cipher::{
        AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
        PaddedBlockEncryptingKey, UnboundCipherKey,
    },
    encoding::{AsDer, PublicKeyX509Der},
    hkdf,
    iv::FixedLength,
    rand,
};

/// The length of an initialisation vector: one block of AES, in bytes.
pub const IV_LEN: usize = 16;
/// The length of the nonce in a server's key exchange, in bytes.
pub const NONCE_LEN: usize = 16;
/// The length of a call's key, in bytes.
pub const KEY_LEN: usize = 32;
// The constants of the published clients. They are public and the same for all calls.
const SALT: &[u8] = b"a06e10d13fa4445a";
const INFO: &[u8] = b"tdx-volt-encryption-key-derivation";

/// One side's ephemeral X25519 key.
pub struct Ephemeral {
    key: PrivateKey,
    public: Vec<u8>,
}

impl Ephemeral {
    /// Generates a new key.
    ///
    /// # Errors
    ///
    /// Fails if the system returns no random bytes.
    pub fn generate() -> Result<Self, ProtocolError> {
        Self::from_private(PrivateKey::generate(&X25519).map_err(|_| failed("key generation"))?)
    }

    /// Creates the key from its 32 raw bytes, for replaying a recorded call.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not a valid key.
    pub fn from_raw(raw: &[u8]) -> Result<Self, ProtocolError> {
        Self::from_private(
            PrivateKey::from_private_key(&X25519, raw).map_err(|_| failed("key import"))?,
        )
    }

    fn from_private(key: PrivateKey) -> Result<Self, ProtocolError> {
        let public = key.compute_public_key().map_err(|_| failed("key derivation"))?;
        let der: PublicKeyX509Der<'_> = public.as_der().map_err(|_| failed("key encoding"))?;
        let public = der.as_ref().to_vec();
        Ok(Self { key, public })
    }

    /// Returns the public half, as DER `SubjectPublicKeyInfo` (44 bytes).
    pub fn public_der(&self) -> &[u8] {
        &self.public
    }

    /// Derives the key of the call shared with the owner of the public key `peer` (DER).
    ///
    /// # Errors
    ///
    /// Returns [`ProtocolError::PeerKey`] if `peer` is not an X25519 key, or a degenerate one.
    pub fn agree(&self, peer: &[u8]) -> Result<CallKey, ProtocolError> {
        let peer = UnparsedPublicKey::new(&X25519, peer);
        // Fails for a peer key of small order, with which the shared secret is known in advance.
        agreement::agree(&self.key, peer, ProtocolError::PeerKey, |shared| {
            let mut key = zeroize::Zeroizing::new([0; KEY_LEN]);
            hkdf::Salt::new(hkdf::HKDF_SHA256, SALT)
                .extract(shared)
                .expand(&[INFO], hkdf::HKDF_SHA256)
                .and_then(|okm| okm.fill(key.as_mut()))
                .map_err(|_| failed("key derivation"))?;
            CallKey::from_raw(&key)
        })
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ephemeral").finish_non_exhaustive()
    }
}

/// The AES-256-CBC key of one call, for both directions.
///
/// It also identifies the call's protocol: a legacy call uses one initialisation vector for all its
/// messages, a binary one draws a new one for each.
pub struct CallKey {
    legacy_iv: Option<[u8; IV_LEN]>,
    encrypting: PaddedBlockEncryptingKey,
    decrypting: PaddedBlockDecryptingKey,
}

impl CallKey {
    /// Creates the key of a call in the binary protocol.
    ///
    /// # Errors
    ///
    /// Fails if the crypto library rejects the key, which is not expected.
    pub fn from_raw(key: &[u8; KEY_LEN]) -> Result<Self, ProtocolError> {
        Self::new(key, None)
    }

    /// Creates the key of a call in the legacy protocol, with its initialisation vector.
    ///
    /// # Errors
    ///
    /// Same as [`from_raw`](Self::from_raw).
    pub fn legacy(key: &[u8; KEY_LEN], iv: [u8; IV_LEN]) -> Result<Self, ProtocolError> {
        Self::new(key, Some(iv))
    }

    /// Returns the initialisation vector of all messages of the call, if it speaks the legacy protocol.
    pub fn legacy_iv(&self) -> Option<[u8; IV_LEN]> {
        self.legacy_iv
    }

    fn new(key: &[u8; KEY_LEN], legacy_iv: Option<[u8; IV_LEN]>) -> Result<Self, ProtocolError> {
        // The ciphers of the two directions, prepared once for the whole call.
        let unbound = || UnboundCipherKey::new(&AES_256, key).map_err(|_| failed("AES"));
        Ok(Self {
            legacy_iv,
            encrypting: PaddedBlockEncryptingKey::cbc_pkcs7(unbound()?)
                .map_err(|_| failed("AES"))?,
            decrypting: PaddedBlockDecryptingKey::cbc_pkcs7(unbound()?)
                .map_err(|_| failed("AES"))?,
        })
    }

    /// Encrypts the bytes of `buffer` from `start` on, in place; the padding is appended.
    ///
    /// # Errors
    ///
    /// Fails if the crypto library fails, which is not expected.
    pub fn encrypt_from(
        &self,
        iv: [u8; IV_LEN],
        buffer: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), ProtocolError> {
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        self.encrypting
            .less_safe_encrypt(&mut Tail { buffer, start }, context)
            .map(|_| ())
            .map_err(|_| failed("AES"))
    }

    /// Decrypts `buffer` in place and removes the padding.
    ///
    /// # Errors
    ///
    /// Returns [`ProtocolError::Decrypt`] if the length is not a multiple of 16, or the padding is
    /// wrong.
    pub fn decrypt(&self, iv: [u8; IV_LEN], buffer: &mut Vec<u8>) -> Result<(), ProtocolError> {
        let len = self
            .decrypting
            .decrypt(buffer, DecryptionContext::Iv128(FixedLength::from(iv)))
            .map_err(|_| ProtocolError::Decrypt)?
            .len();
        buffer.truncate(len);
        Ok(())
    }
}

impl fmt::Debug for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallKey").finish_non_exhaustive()
    }
}

/// Returns random bytes from the operating system's generator.
///
/// # Errors
///
/// Fails if the system returns no random bytes.
pub fn random<const N: usize>() -> Result<[u8; N], ProtocolError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| failed("random numbers"))?;
    Ok(bytes)
}

/// Returns a random initialisation vector or nonce.
///
/// # Errors
///
/// Same as [`random`].
pub fn random_iv() -> Result<[u8; IV_LEN], ProtocolError> {
    random()
}

/// The part of a buffer that is encrypted: everything from an offset on.
struct Tail<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
}

impl AsMut<[u8]> for Tail<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.start..).unwrap_or_default()
    }
}

impl<'b> Extend<&'b u8> for Tail<'_> {
    fn extend<I: IntoIterator<Item = &'b u8>>(&mut self, bytes: I) {
        self.buffer.extend(bytes);
    }
}

const fn failed(what: &'static str) -> ProtocolError {
    ProtocolError::Crypto(what)
}
