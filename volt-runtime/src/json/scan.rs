//! Scans for the special characters of JSON strings, many bytes at a time.
//!
//! Most text has long runs without any, which are copied as a whole. Short runs are scanned eight bytes
//! at a time in a register; long ones with `memchr`, whose start-up cost pays off only there.

/// The number of bytes in a register.
pub(crate) const WORD: usize = size_of::<u64>();
/// The length of a run after which many more bytes are expected.
pub(crate) const LONG: usize = 128;

/// Returns how many of eight bytes precede the first quote, backslash or control character.
pub(crate) fn plain(bytes: [u8; WORD]) -> usize {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES * 0x80;
    // If a byte is less than `limit`, its subtraction borrows into its high bit. The borrow can corrupt
    // later bytes, but none before the first match.
    let less = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    let word = u64::from_le_bytes(bytes);
    let equal = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    let special = less(word, 0x20) | equal(b'"') | equal(b'\\');
    // Without a match there are 64 zeros, hence eight bytes.
    special.trailing_zeros() as usize / 8
}

/// Returns how many bytes precede the first quote, backslash or control character.
pub(crate) fn plain_len(text: &[u8]) -> usize {
    let (start, rest) = text.split_at(text.len().min(LONG));
    let (words, tail) = start.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let plain = plain(*word);
        if plain < WORD {
            return index * WORD + plain;
        }
    }
    match tail.iter().position(|&byte| is_special(byte)) {
        Some(place) => words.len() * WORD + place,
        None => start.len() + plain_len_of_long(rest),
    }
}

/// Like [`plain_len`], for a long text.
fn plain_len_of_long(text: &[u8]) -> usize {
    // Chunks that stay in the L1 cache between the two passes over them.
    const PART: usize = 4096;
    let mut len = 0;
    for part in text.chunks(PART) {
        let special = memchr::memchr2(b'"', b'\\', part);
        let plain = part.split_at(special.unwrap_or(part.len())).0;
        // The smallest byte is found without branching on each.
        if plain.iter().copied().min().is_some_and(is_control) {
            let control = plain.iter().position(|&byte| is_control(byte));
            return len + control.unwrap_or(plain.len());
        }
        len += plain.len();
        if special.is_some() {
            break;
        }
    }
    len
}

/// Returns whether a byte is a quote, a backslash or a control character.
pub(crate) fn is_special(byte: u8) -> bool {
    is_control(byte) || byte == b'"' || byte == b'\\'
}

fn is_control(byte: u8) -> bool {
    byte < 0x20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_in_any_context() {
        for byte in 0..=u8::MAX {
            for other in [b' ', b'!', b'"', b'#', b'[', b'\\', b']', 0x00, 0x1F, 0x7F, 0x80, 0xFF] {
                for place in 0..WORD {
                    let mut bytes = [b'x'; WORD];
                    bytes[place] = byte;
                    bytes[(place + 1) % WORD] = other;
                    let first = bytes.iter().position(|&byte| is_special(byte)).unwrap_or(WORD);
                    assert_eq!(plain(bytes), first, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn the_first_of_many_special_bytes_is_found() {
        for special in [b'"', b'\\', 0x1F, 0x00] {
            for place in [0, 1, 31, 32, 4095, 4096, 4097, 8999] {
                let mut text = vec![b'x'; 9000];
                assert_eq!(plain_len(&text), text.len());
                text[place] = special;
                text[8999] = b'"';
                assert_eq!(plain_len(&text), place, "{special}");
            }
        }
        assert_eq!(plain_len(b""), 0);
    }
}
