//! Base64: the only place that encodes and decodes `bytes` fields.
//!
//! Files travel as base64 in JSON, so speed matters here: the common form is handled by a vectorized crate,
//! the variants that peers may send by a lenient one.

use base64::{
    DecodeError, Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use base64_simd as fast;

/// Some encoders leave bits in the last character, or omit the padding. Both are harmless.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Encodes in the standard alphabet with padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    fast::STANDARD.encode_to_string(bytes)
}

/// Like [`encode`], appending to a buffer.
pub(super) fn encode_into(bytes: &[u8], out: &mut Vec<u8>) {
    fast::STANDARD.encode_append(bytes, out);
}

/// Returns the length of the encoded text.
pub(super) fn encoded_len(bytes: &[u8]) -> usize {
    fast::STANDARD.encoded_length(bytes.len())
}

/// Decodes either alphabet, with or without padding.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    // The standard form decodes many times faster than the variants.
    if let Ok(bytes) = fast::STANDARD.decode_to_vec(text) {
        return Ok(bytes);
    }
    match STANDARD.decode(text) {
        Err(DecodeError::InvalidByte(_, b'-' | b'_')) => URL_SAFE.decode(text),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose;

    use super::*;

    #[test]
    fn every_length_round_trips_in_every_form() {
        let bytes: Vec<u8> = (0..200u8).map(|byte| byte.wrapping_mul(151)).collect();
        for len in 0..bytes.len() {
            let bytes = &bytes[..len];
            let padded = encode(bytes);
            assert_eq!(padded, general_purpose::STANDARD.encode(bytes));
            assert_eq!(padded.len(), encoded_len(bytes));
            let mut appended = b"before".to_vec();
            encode_into(bytes, &mut appended);
            assert_eq!(appended, [b"before", padded.as_bytes()].concat());
            for text in [
                general_purpose::STANDARD_NO_PAD.encode(bytes),
                general_purpose::URL_SAFE.encode(bytes),
                general_purpose::URL_SAFE_NO_PAD.encode(bytes),
                padded,
            ] {
                assert_eq!(decode(&text).unwrap(), bytes, "{text}");
            }
        }
    }

    #[test]
    fn trailing_bits_are_read_and_other_characters_are_not() {
        assert_eq!(decode("-_").unwrap(), [0xFB]);
        for text in ["a", "YQ==\n", "Y Q=", "=", "YQ=a"] {
            assert!(decode(text).is_err(), "{text:?}");
        }
    }
}
