//! Initialisation vectors: drawing them, recognizing those of this side, and remembering those
//! received.
//!
//! Payloads are not authenticated, so a relay or the network could send a payload back to its sender,
//! or send it twice.
//!
//! A repeated payload is recognized by the first block of its ciphertext, which depends on the random
//! vector of the original. An attacker who changes the vector of the copy changes only the text of that
//! block; one who changes the block garbles its text and that of the next.
//!
//! A payload of this side is recognized by its vector, without memory. A vector is the encryption, with
//! a key of this process, of random bytes and a mark; to others it is random. A peer's vector
//! has the mark by chance once in 2^56 messages. An attacker who changes the vector removes the mark.
//! The first blocks of a client's and a server's payloads differ only in part, so a reflected copy with
//! a suitable vector is accepted. The protocol offers no other way to recognize a reflected payload.

use std::{cell::RefCell, collections::HashSet, sync::OnceLock};

use aws_lc_rs::{
    cipher::{
        AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext,
        UnboundCipherKey,
    },
    rand,
};

use super::{
    ProtocolError,
    crypto::{self, IV_LEN, KEY_LEN},
};

/// An end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The caller.
    Client,
    /// The called side.
    Server,
}

impl End {
    /// The end of a vector before it is encrypted. A process may be both ends of a call.
    const fn mark(self) -> [u8; MARK_LEN] {
        [0, 0, 0, 0, 0, 0, self as u8]
    }
}

const MARK_LEN: usize = 7;

/// The number of vectors drawn at a time: drawing few bytes costs as much as drawing many.
const DRAWN: usize = 64;

/// Vectors that have been drawn, and how many of them are unused. They are sent in clear text, so
/// keeping them reveals nothing; each is used once.
type Drawn = ([[u8; IV_LEN]; DRAWN], usize);

thread_local! {
    static IVS: RefCell<[Drawn; 2]> = const { RefCell::new([([[0; IV_LEN]; DRAWN], 0); 2]) };
}

/// The keys that mark this process's vectors.
struct Marks {
    encrypting: EncryptingKey,
    decrypting: DecryptingKey,
}

fn marks() -> Result<&'static Marks, ProtocolError> {
    static MARKS: OnceLock<Marks> = OnceLock::new();
    // Creating the keys may fail, which `get_or_init` does not allow. Two threads may both create
    // keys; the first to store its own wins, before either has drawn a vector.
    if let Some(marks) = MARKS.get() {
        return Ok(marks);
    }
    let failed = |_| ProtocolError::Crypto("AES");
    let key = crypto::random::<KEY_LEN>()?;
    let unbound = || UnboundCipherKey::new(&AES_256, &key).map_err(failed);
    // Each vector is one block, so the mode of operation does not matter.
    let marks = Marks {
        encrypting: EncryptingKey::ecb(unbound()?).map_err(failed)?,
        decrypting: DecryptingKey::ecb(unbound()?).map_err(failed)?,
    };
    Ok(MARKS.get_or_init(|| marks))
}

/// Draws the vector of a message that `end` sends.
///
/// # Errors
///
/// Fails if the system returns no random bytes, or the crypto library fails.
pub(super) fn draw(end: End) -> Result<[u8; IV_LEN], ProtocolError> {
    IVS.with_borrow_mut(|drawn| {
        let (ivs, left) = &mut drawn[end as usize];
        if *left == 0 {
            rand::fill(ivs.as_flattened_mut())
                .map_err(|_| ProtocolError::Crypto("random numbers"))?;
            // Random bytes before the mark make each block, and so each vector, unique.
            for iv in ivs.iter_mut() {
                iv[IV_LEN - MARK_LEN..].copy_from_slice(&end.mark());
            }
            marks()?
                .encrypting
                .less_safe_encrypt(ivs.as_flattened_mut(), EncryptionContext::None)
                .map_err(|_| ProtocolError::Crypto("AES"))?;
            *left = DRAWN;
        }
        *left -= 1;
        Ok(ivs[*left])
    })
}

/// Returns whether this process drew a vector for a message of `end`.
pub(super) fn is_drawn(end: End, mut iv: [u8; IV_LEN]) -> Result<bool, ProtocolError> {
    marks()?
        .decrypting
        .decrypt(&mut iv, DecryptionContext::None)
        .map_err(|_| ProtocolError::Crypto("AES"))?;
    Ok(iv.ends_with(&end.mark()))
}

/// The number of payloads that a call remembers at least, once it has received that many.
pub(super) const REMEMBERED: usize = 2048;
/// Most calls receive no more than this many messages: a response and the end.
const FEW: usize = 2;

/// The payloads received in a call, by the first blocks of their ciphertexts: all of a short call, and
/// the last 2,048 to 4,096 of a long one, which bounds the memory of an endless stream to some 80 KiB.
///
/// Only half of each block is kept. It is as random as the whole.
#[derive(Debug, Default)]
pub(super) struct Received {
    few: [u64; FEW],
    count: usize,
    /// The blocks beyond the first few. Boxed, because most calls have none and many calls are open.
    many: Option<Box<Many>>,
}

/// The newest blocks, and those before.
#[derive(Debug, Default)]
struct Many {
    newest: HashSet<u64>,
    earlier: HashSet<u64>,
}

impl Received {
    /// Returns whether the block was remembered already.
    pub(super) fn contains(&self, block: [u8; IV_LEN]) -> bool {
        let half = half(block);
        self.few.iter().take(self.count).any(|seen| *seen == half)
            || self
                .many
                .as_ref()
                .is_some_and(|many| many.newest.contains(&half) || many.earlier.contains(&half))
    }

    pub(super) fn remember(&mut self, block: [u8; IV_LEN]) {
        if let Some(free) = self.few.get_mut(self.count) {
            *free = half(block);
            self.count += 1;
            return;
        }
        let many = self.many.get_or_insert_default();
        if many.newest.len() >= REMEMBERED {
            many.earlier = std::mem::take(&mut many.newest);
        }
        many.newest.insert(half(block));
    }
}

fn half(block: [u8; IV_LEN]) -> u64 {
    block.first_chunk().map_or(0, |half| u64::from_ne_bytes(*half))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn initialisation_vectors_never_repeat() {
        let draw = |end| (0..3 * DRAWN).map(|_| draw(end).unwrap()).collect::<BTreeSet<_>>();
        let mut all = draw(End::Client);
        all.extend(draw(End::Server));
        all.extend(std::thread::spawn(move || draw(End::Client)).join().unwrap());
        assert_eq!(all.len(), 9 * DRAWN);
    }

    #[test]
    fn an_end_recognizes_its_own_vectors_on_every_thread() {
        for (end, other) in [(End::Client, End::Server), (End::Server, End::Client)] {
            for _ in 0..2 * DRAWN {
                let iv = draw(end).unwrap();
                assert!(is_drawn(end, iv).unwrap() && !is_drawn(other, iv).unwrap());
                assert!(std::thread::spawn(move || is_drawn(end, iv)).join().unwrap().unwrap());
                let random = crypto::random_iv().unwrap();
                assert!(!is_drawn(end, random).unwrap() && !is_drawn(other, random).unwrap());
            }
        }
    }

    #[test]
    fn a_long_call_remembers_a_bounded_number() {
        let iv = |number: u64| {
            let mut iv = [0; IV_LEN];
            iv[..8].copy_from_slice(&number.to_ne_bytes());
            iv
        };
        let mut received = Received::default();
        for number in 0..10 * REMEMBERED as u64 {
            assert!(!received.contains(iv(number)));
            received.remember(iv(number));
            let oldest = (number + 1).saturating_sub(REMEMBERED as u64);
            assert!(received.contains(iv(number)) && received.contains(iv(oldest)));
            let many = received.many.as_ref().map_or(0, |it| it.newest.len() + it.earlier.len());
            assert!(many <= 2 * REMEMBERED);
        }
    }
}
