//! DER (X.690), as far as keys and the certificates around them need it.

/// The tags of the values that keys consist of.
pub(super) mod tag {
    pub(in crate::key) const INTEGER: u8 = 0x02;
    pub(in crate::key) const OCTET_STRING: u8 = 0x04;
    pub(in crate::key) const NULL: u8 = 0x05;
    pub(in crate::key) const OID: u8 = 0x06;
    pub(in crate::key) const SEQUENCE: u8 = 0x30;
    /// A field with the number 0 of its own structure.
    pub(in crate::key) const FIELD_0: u8 = 0xa0;
}

/// Reads the values in some bytes, one after another. Methods return `None` if the next value has another
/// tag or is malformed.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Reads the content of the next value.
    pub(super) fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        Some(self.next(tag)?.1)
    }

    /// Reads the next value with its tag and its length.
    pub(super) fn read_whole(&mut self, tag: u8) -> Option<&'a [u8]> {
        Some(self.next(tag)?.0)
    }

    /// Reads a sequence, whose values the returned reader reads.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.read(tag::SEQUENCE).map(Self)
    }

    /// Reads a non-negative integer of at most 32 bits.
    pub(super) fn integer(&mut self) -> Option<u32> {
        let content = self.read(tag::INTEGER)?;
        // A leading zero makes the first bit the sign of a positive number.
        let digits = content.strip_prefix(&[0]).unwrap_or(content);
        let is_negative = content.first()? & 0x80 != 0;
        if is_negative || digits.len() > 4 {
            return None;
        }
        Some(digits.iter().fold(0, |value, digit| value << 8 | u32::from(*digit)))
    }

    /// Returns whether the next value has this tag.
    pub(super) fn is_next(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// Returns whether everything was read.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the next value: all of it, and its content.
    fn next(&mut self, tag: u8) -> Option<(&'a [u8], &'a [u8])> {
        let (&[found, first], rest) = self.0.split_first_chunk()?;
        if found != tag {
            return None;
        }
        let (length, rest) = match usize::from(first) {
            length @ ..=0x7f => (length, rest),
            0x81 => {
                let (&[length], rest) = rest.split_first_chunk()?;
                (usize::from(length), rest)
            }
            0x82 => {
                let (&length, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(length)), rest)
            }
            // Keys and certificates are shorter than 64 KiB.
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        Some((whole, content))
    }
}

/// Writes a value whose content consists of these parts.
///
/// # Panics
///
/// If the content is longer than 64 KiB.
pub(super) fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).expect("keys are shorter than 64 KiB");
    let [high, low] = length.to_be_bytes();
    let mut value = match length {
        ..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    value.extend(content);
    value
}

/// Writes a sequence of these values.
pub(super) fn sequence(values: &[&[u8]]) -> Vec<u8> {
    value(tag::SEQUENCE, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_length_read_back() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff] {
            let content = vec![7; length];
            let written = sequence(&[&content]);
            let mut reader = Reader::new(&written);
            assert_eq!(reader.read(tag::SEQUENCE), Some(&content[..]));
            assert!(reader.is_empty());
            assert_eq!(Reader::new(&written).read_whole(tag::SEQUENCE), Some(&written[..]));
            // Cut off anywhere.
            for end in [1, 2, 3, written.len() - 1] {
                let cut = &written[..end.min(written.len() - 1)];
                assert_eq!(Reader::new(cut).read(tag::SEQUENCE), None, "{length} {end}");
            }
        }
    }

    #[test]
    fn a_value_with_another_tag_is_not_read() {
        let mut reader = Reader::new(&[tag::OID, 1, 7]);
        assert_eq!(reader.read(tag::NULL), None);
        assert_eq!(reader.read(tag::OID), Some(&[7][..]));
        assert_eq!(reader.read(tag::OID), None);
    }

    #[test]
    fn integers_are_positive_and_short() {
        for (content, expected) in [
            (&[0][..], Some(0)),
            (&[8, 0], Some(2048)),
            (&[0, 0x80], Some(0x80)),
            (&[0, 0xff, 0xff, 0xff, 0xff], Some(u32::MAX)),
            (&[0x80], None),
            (&[], None),
            (&[1, 0, 0, 0, 0], None),
        ] {
            assert_eq!(Reader::new(&value(tag::INTEGER, &[content])).integer(), expected);
        }
    }
}
