//! The columns of a Yjs update in its second encoding: numbers, flags and texts, each kind with its own
//! run-length encoding.
//!
//! A few bytes can stand for billions of values, so readers of columns limit their number.

/// The update ends early, or a number in it is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

pub(super) type Result<T> = std::result::Result<T, Malformed>;

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Reads a number: seven bits in each byte, the lowest first.
    pub fn number(&mut self) -> Result<u64> {
        self.more_of_number(0, 0)
    }

    pub fn small(&mut self) -> Result<u32> {
        u32::try_from(self.number()?).map_err(|_| Malformed)
    }

    pub(super) fn length(&mut self) -> Result<usize> {
        usize::try_from(self.number()?).map_err(|_| Malformed)
    }

    /// Reads bytes that follow their length.
    pub(super) fn sized(&mut self) -> Result<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.sized()?).map_err(|_| Malformed)
    }

    /// Reads a signed number as its sign and its magnitude: zero has a sign, too.
    pub(super) fn signed(&mut self) -> Result<(bool, u64)> {
        let first = self.byte()?;
        let amount = u64::from(first & 0x3f);
        let amount = if first & 0x80 == 0 { amount } else { self.more_of_number(amount, 6)? };
        // The library that reads the update next keeps it in 64 bits with a sign.
        if i64::try_from(amount).is_err() {
            return Err(Malformed);
        }
        Ok((first & 0x40 != 0, amount))
    }

    fn more_of_number(&mut self, mut number: u64, mut shift: u32) -> Result<u64> {
        loop {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits.checked_shl(shift).filter(|shifted| shifted >> shift == bits);
            number |= shifted.ok_or(Malformed)?;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
            shift += 7;
        }
    }
}

/// Bytes with their number of repetitions. The last one repeats indefinitely.
#[derive(Debug)]
pub(super) struct Flags<'a> {
    bytes: Bytes<'a>,
    value: u8,
    /// `None` means indefinitely.
    left: Option<u64>,
}

impl<'a> Flags<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: Bytes::new(bytes), value: 0, left: Some(0) }
    }

    pub(super) fn next(&mut self) -> Result<u8> {
        if self.left == Some(0) {
            self.value = self.bytes.byte()?;
            self.left = match self.bytes.len() {
                0 => None,
                // Larger counts would overflow in the library.
                _ => Some(u64::from(self.bytes.small()?.min(i32::MAX as u32 - 1)) + 1),
            };
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        Ok(self.value)
    }
}

/// Numbers, each repeated one with its number of repetitions.
#[derive(Debug)]
pub(super) struct Numbers<'a> {
    bytes: Bytes<'a>,
    value: u64,
    left: u64,
}

impl<'a> Numbers<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: Bytes::new(bytes), value: 0, left: 0 }
    }

    pub(super) fn next(&mut self) -> Result<u64> {
        if self.left == 0 {
            let (repeats, value) = self.bytes.signed()?;
            self.value = value;
            self.left = if repeats { repetitions(&mut self.bytes)? } else { 1 };
        }
        self.left -= 1;
        Ok(self.value)
    }

    pub(super) fn next_small(&mut self) -> Result<u32> {
        u32::try_from(self.next()?).map_err(|_| Malformed)
    }
}

/// Numbers as differences, each repeated difference with its number of repetitions.
#[derive(Debug)]
pub(super) struct Differences<'a> {
    bytes: Bytes<'a>,
    value: i64,
    difference: i64,
    left: u64,
}

impl<'a> Differences<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: Bytes::new(bytes), value: 0, difference: 0, left: 0 }
    }

    pub(super) fn next(&mut self) -> Result<u32> {
        if self.left == 0 {
            let (negative, amount) = self.bytes.signed()?;
            let amount = i32::try_from(amount).map_err(|_| Malformed)?;
            let encoded = if negative { -amount } else { amount };
            self.difference = i64::from(encoded >> 1);
            self.left = if encoded & 1 == 1 { repetitions(&mut self.bytes)? } else { 1 };
        }
        self.left -= 1;
        self.value += self.difference;
        // The library adds in 32 bits with a sign.
        i32::try_from(self.value).map_err(|_| Malformed)?;
        u32::try_from(self.value).map_err(|_| Malformed)
    }
}

/// Texts: their concatenation, and their lengths.
#[derive(Debug)]
pub(super) struct Texts<'a> {
    all: std::str::Chars<'a>,
    lengths: Numbers<'a>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self> {
        let mut bytes = Bytes::new(bytes);
        let all = bytes.text()?.chars();
        Ok(Self { all, lengths: Numbers::new(bytes.0) })
    }

    /// Skips the next text. Returns its length in UTF-16.
    pub(super) fn skip(&mut self) -> Result<u64> {
        let length = self.lengths.next()?;
        let mut left = length;
        while left > 0 {
            let units = self.all.next().ok_or(Malformed)?.len_utf16() as u64;
            // A text that ends within a character would be misread.
            left = left.checked_sub(units).ok_or(Malformed)?;
        }
        Ok(length)
    }
}

fn repetitions(bytes: &mut Bytes<'_>) -> Result<u64> {
    let count = bytes.small()?;
    // Larger counts would overflow in the library.
    count.checked_add(2).map(u64::from).ok_or(Malformed)
}
