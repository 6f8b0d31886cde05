//! Looking for what JSON strings treat specially, in many bytes at once.

/// How many bytes fit a register.
pub(crate) const WORD: usize = size_of::<u64>();
/// How many bytes are looked at together where there are many.
pub(crate) const BLOCK: usize = 32;

/// How many of eight bytes come before the first quote, backslash or control character.
pub(crate) fn plain(bytes: [u8; WORD]) -> usize {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES * 0x80;
    // Where a byte is less than `limit`, its subtraction borrows into its high bit. That can spoil
    // the bytes that follow it, but not those before the first.
    let less = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    let word = u64::from_le_bytes(bytes);
    let equal = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    let special = less(word, 0x20) | equal(b'"') | equal(b'\\');
    // Without any there are 64 zeros, and eight bytes.
    special.trailing_zeros() as usize / 8
}

/// Whether there is neither a quote, a backslash nor a control character.
pub(crate) fn all_plain(bytes: [u8; BLOCK]) -> bool {
    // Without an early exit, so that the compiler looks at all of them at once.
    bytes.map(|byte| u8::from(is_special(byte))) == [0; BLOCK]
}

/// Whether a byte is a quote, a backslash or a control character.
pub(crate) fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_whatever_stands_around_it() {
        for byte in 0..=u8::MAX {
            for other in [b' ', b'!', b'"', b'#', b'[', b'\\', b']', 0x00, 0x1F, 0x7F, 0x80, 0xFF] {
                for place in 0..WORD {
                    let mut bytes = [b'x'; WORD];
                    bytes[place] = byte;
                    bytes[(place + 1) % WORD] = other;
                    let first = bytes.iter().position(|&byte| is_special(byte)).unwrap_or(WORD);
                    assert_eq!(plain(bytes), first, "{bytes:?}");
                    let mut block = [b'x'; BLOCK];
                    block[place * 3..place * 3 + WORD].copy_from_slice(&bytes);
                    assert_eq!(all_plain(block), first == WORD, "{block:?}");
                }
            }
        }
    }
}
