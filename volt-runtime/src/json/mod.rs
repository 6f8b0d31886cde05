//! Messages as JSON: protobuf's canonical mapping, over serde.
//!
//! What is written is canonical: field names as in the `.proto`, defaults left out, 64-bit integers
//! as strings, bytes as base64, enums by name. What is read may take any form that the mapping
//! allows, and then some: see [`read`].
//!
//! Generated messages implement serde's traits with what else is in here. Each has three functions
//! of its own ([`Fields`]): which field a name is, how a field is read, and how all are written.
//! Everything else is generic.

mod base64;
mod codec;
mod map;
mod message;
mod number;
mod output;
mod reader;
pub(crate) mod scan;
mod well_known;
mod writer;

use serde::{Serialize, de::DeserializeOwned};

pub use self::output::Form;
#[doc(hidden)]
pub use self::{
    codec::{Codec, Enum, Enumeration, NullValue, Plain, enum_number},
    message::{Fields, deserialize, serialize},
    reader::Reader,
    writer::Writer,
};

/// Appends a message to `out`.
///
/// # Errors
///
/// When a value has no JSON form. Of the messages of the Volt API none can fail; of those of
/// `google.protobuf` some can, such as a `Timestamp` beyond the year 9999. What was written until
/// then stays in `out`.
pub fn write(
    message: &impl Serialize,
    out: &mut Vec<u8>,
    form: Form,
) -> Result<(), serde_json::Error> {
    message.serialize(&mut output::Output::new(out, form))
}

/// Reads a message; `text` must hold it and nothing else.
///
/// Lenient where peers differ: names may be in camelCase too; unknown fields are skipped; `null`
/// is the same as nothing; integers may be strings, or floats without a fraction; bytes may be in
/// either base64 alphabet, padded or not. The unknown number of an enum is kept; an unknown name
/// is skipped, because an enum's field has no room for it.
///
/// # Errors
///
/// When the text is not JSON, or not this message: a value of another type or out of range, a
/// field that is there twice, two members of a oneof, or nesting deeper than some sixty messages.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    // One check of the whole is faster than serde_json's own, one for each string.
    match std::str::from_utf8(text) {
        Ok(text) => read_text(text),
        Err(error) => Err(serde::de::Error::custom(error)),
    }
}

/// As [`read`], where it is known that the text is UTF-8.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn read_text<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}
