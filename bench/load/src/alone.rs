//! The minimal costs of the protocol: cryptography, JSON and base64, each on its own.

use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use aws_lc_rs::{
    agreement::{self, PrivateKey, UnparsedPublicKey, X25519},
    cipher::{
        AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
        PaddedBlockEncryptingKey, UnboundCipherKey,
    },
    error::Unspecified,
    hkdf,
    iv::FixedLength,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use volt_bench_measure::text;

/// Nanoseconds by operation, such as `aes-encrypt 1024`: the median of several batches.
pub type Costs = BTreeMap<String, f64>;

/// The sizes of messages and blocks in the other measurements.
pub const SIZES: [usize; 4] = [100, 1 << 10, 64 << 10, 1 << 20];

/// The number of batches of each operation.
const BATCHES: usize = 7;

/// Measures every operation for this time.
pub fn measure(time: Duration) -> Result<Costs> {
    let mut bench = Bench { batch: time / BATCHES.try_into()?, costs: Costs::new() };
    bench.keys().map_err(|_| anyhow!("the crypto library refuses its own keys"))?;
    for size in SIZES {
        bench.cipher(size).map_err(|_| anyhow!("the crypto library refuses its own cipher"))?;
        bench.json(size)?;
        bench.base64(size)?;
    }
    Ok(bench.costs)
}

struct Bench {
    batch: Duration,
    costs: Costs,
}

/// The envelope of a message.
#[derive(Deserialize, Serialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    method_payload: Payload<'a>,
}

#[derive(Deserialize, Serialize)]
struct Payload<'a> {
    #[serde(borrow)]
    json_payload: std::borrow::Cow<'a, str>,
}

/// A message with a block, which stays base64 text.
#[derive(Deserialize, Serialize)]
struct Block<'a> {
    block: &'a str,
}

impl Bench {
    fn keys(&mut self) -> Result<(), Unspecified> {
        let generate = || {
            let key = PrivateKey::generate(&X25519)?;
            let public = key.compute_public_key()?;
            Ok::<_, Unspecified>((key, public))
        };
        let ((ours, _), (_, theirs)) = (generate()?, generate()?);
        self.time("x25519-generate", || generate().map(drop))?;
        let theirs = UnparsedPublicKey::new(&X25519, theirs);
        self.time("x25519-agree", || {
            agreement::agree(&ours, &theirs, Unspecified, |shared| {
                black_box(shared);
                Ok(())
            })
        })?;
        self.time("hkdf", || {
            let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"a salt of 16 B..").extract(&[7; 32]);
            let mut key = [0; 32];
            secret.expand(&[b"what the key is for"], hkdf::HKDF_SHA256)?.fill(&mut key)?;
            black_box(key);
            Ok::<_, Unspecified>(())
        })?;
        let signing = Ed25519KeyPair::generate()?;
        let message = [7; 256];
        let signature = signing.sign(&message);
        self.time("ed25519-sign", || {
            black_box(signing.sign(&message));
            Ok::<_, Unspecified>(())
        })?;
        let public = aws_lc_rs::signature::UnparsedPublicKey::new(&ED25519, signing.public_key());
        self.time("ed25519-verify", || public.verify(&message, signature.as_ref()))
    }

    fn cipher(&mut self, size: usize) -> Result<(), Unspecified> {
        let key = || UnboundCipherKey::new(&AES_256, &[7; 32]);
        let encrypting = PaddedBlockEncryptingKey::cbc_pkcs7(key()?)?;
        let decrypting = PaddedBlockDecryptingKey::cbc_pkcs7(key()?)?;
        let mut buffer = vec![7; size];
        self.time(&format!("aes-encrypt {size}"), || {
            buffer.truncate(size);
            encrypting.encrypt(&mut buffer).map(drop)
        })?;
        let mut encrypted = vec![7; size];
        let iv = || FixedLength::from([7; 16]);
        encrypting.less_safe_encrypt(&mut encrypted, EncryptionContext::Iv128(iv()))?;
        let mut buffer = encrypted.clone();
        self.time(&format!("aes-decrypt {size}"), || {
            // Decryption works in place, so restore the ciphertext. Copying costs little.
            buffer.copy_from_slice(&encrypted);
            let context = DecryptionContext::Iv128(iv());
            decrypting.decrypt(&mut buffer, context).map(|plain| {
                black_box(plain);
            })
        })
    }

    fn json(&mut self, size: usize) -> serde_json::Result<()> {
        let block = BASE64.encode(text(size));
        let write = || {
            let inner = serde_json::to_string(&Block { block: &block })?;
            let payload = Payload { json_payload: inner.into() };
            serde_json::to_vec(&Envelope { method_payload: payload })
        };
        self.time(&format!("json-write {size}"), || write().map(|text| drop(black_box(text))))?;
        let written = write()?;
        self.time(&format!("json-read {size}"), || {
            let envelope: Envelope<'_> = serde_json::from_slice(&written)?;
            let message: Block<'_> = serde_json::from_str(&envelope.method_payload.json_payload)?;
            black_box(message.block);
            Ok(())
        })
    }

    fn base64(&mut self, size: usize) -> Result<()> {
        let (bytes, mut text) = (vec![7; size], String::new());
        self.time(&format!("base64-encode {size}"), || {
            text.clear();
            BASE64.encode_string(black_box(&bytes), &mut text);
            Ok::<_, anyhow::Error>(())
        })?;
        let mut bytes = Vec::new();
        self.time(&format!("base64-decode {size}"), || {
            bytes.clear();
            Ok(BASE64.decode_vec(black_box(&text), &mut bytes)?)
        })
    }

    /// Repeats an operation and records its time.
    fn time<E>(&mut self, name: &str, mut once: impl FnMut() -> Result<(), E>) -> Result<(), E> {
        let mut batches = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            let (started, mut count) = (Instant::now(), 0u32);
            while started.elapsed() < self.batch {
                // Reading the clock costs as much as the shortest operation.
                for _ in 0..16 {
                    once()?;
                }
                count += 16;
            }
            batches.push(started.elapsed().as_secs_f64() * 1e9 / f64::from(count.max(1)));
        }
        batches.sort_unstable_by(f64::total_cmp);
        self.costs.insert(name.to_owned(), batches[BATCHES / 2]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_measured_at_every_size() {
        let costs = measure(Duration::from_micros(70)).unwrap();
        assert_eq!(costs.len(), 5 + 6 * SIZES.len(), "{costs:?}");
        assert!(costs.values().all(|cost| *cost > 0.0), "{costs:?}");
    }
}
