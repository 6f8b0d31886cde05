//! Bytes as text. The one place that knows how.

use base64::{
    DecodeError, Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};

/// Some encoders leave bits in the last character, or no padding. Both do no harm.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// In the standard alphabet with padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    general_purpose::STANDARD.encode(bytes)
}

/// From either alphabet, with or without padding.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    match STANDARD.decode(text) {
        Err(DecodeError::InvalidByte(_, b'-' | b'_')) => URL_SAFE.decode(text),
        result => result,
    }
}
