//! Messages as JSON: protobuf's canonical mapping, based on serde.
//!
//! Output is canonical: field names as in the `.proto`, defaults omitted, 64-bit integers as
//! strings, bytes as base64, enums by name. Input may have any form that the mapping allows, and
//! more: see [`read`].
//!
//! | protobuf | JSON that is written |
//! |---|---|
//! | `bool`, `string` | the same |
//! | 32-bit integers, `float`, `double` | a number; `"NaN"`, `"Infinity"` and `"-Infinity"` where there is none |
//! | 64-bit integers | text, because many readers parse numbers as floats |
//! | `bytes` | base64 in the standard alphabet, with padding |
//! | an enum | its name; its number if that has no name here |
//! | a message | an object; a map too, with its keys as text |
//! | `repeated` | a list |
//! | `Timestamp`, `Duration`, `FieldMask` | text: `"2026-01-31T12:00:00Z"`, `"1.500s"`, `"name,unitPrice"` |
//! | `Struct`, `Value`, `ListValue` | any JSON |
//! | wrappers such as `StringValue` | the bare value |
//! | `Any` | the message inside, with the URL of its type as `@type`; its type must be known: see [`register`] |
//!
//! Generated messages implement serde's traits with this module. Each provides three functions
//! ([`Fields`]): look up a field by name, read a field, and write all fields. Everything else is
//! generic.

mod any;
mod base64;
mod codec;
mod depth;
mod map;
mod message;
mod names;
mod number;
mod output;
mod place;
mod reader;
pub(crate) mod scan;
mod usual;
mod well_known;
mod writer;

use serde::{Serialize, de::DeserializeOwned};

pub use self::{
    any::register,
    names::Names,
    output::Form,
    well_known::{Empty, WellKnown},
};
#[doc(hidden)]
pub use self::{
    any::{AnyOf, AnyType, AnyTypes},
    codec::{Codec, Enum, Enumeration, NullValue, Plain, enum_number},
    message::{Fields, deserialize, serialize},
    names::Name,
    reader::Reader,
    well_known::Named,
    writer::Writer,
};

/// Appends a message to `out`.
///
/// ```
/// use volt_runtime::json::{self, Form, WellKnown};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // A 64-bit integer is text in protobuf's JSON; reading accepts a number too.
/// let mut out = Vec::new();
/// json::write(&WellKnown(7_i64), &mut out, Form::Plain)?;
/// assert_eq!(out, br#""7""#);
/// assert_eq!(*json::read::<WellKnown<i64>>(b"7")?, 7);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Fails if a value has no JSON form. No message of the Volt API can fail; some of `google.protobuf`
/// can, such as a `Timestamp` beyond the year 9999, or an `Any` of a type that is unknown: see
/// [`register`]. Text that [`read`] would refuse because it is nested too deeply is an error too. Output
/// written before the error stays in `out`.
pub fn write(
    message: &impl Serialize,
    out: &mut Vec<u8>,
    form: Form,
) -> Result<(), serde_json::Error> {
    message.serialize(&mut output::Output::new(out, form))
}

/// Like [`write()`], with the field names that `names` selects.
///
/// ```
/// use volt_runtime::json::{self, Form, Names, WellKnown};
///
/// let api = WellKnown(prost_types::SourceContext { file_name: "shop.proto".to_owned() });
/// let mut out = Vec::new();
/// json::write_with_names(&api, &mut out, Form::Plain, Names::LowerCamel)?;
/// assert_eq!(out, br#"{"fileName":"shop.proto"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
///
/// Same as [`write()`].
pub fn write_with_names(
    message: &impl Serialize,
    out: &mut Vec<u8>,
    form: Form,
    names: Names,
) -> Result<(), serde_json::Error> {
    names::with(names, || write(message, out, form))
}

/// Reads a message. `text` must contain nothing else.
///
/// Lenient where peers differ: names may be in camelCase too; unknown fields are skipped; `null`
/// means absent; integers may be strings, or floats without a fraction; bytes may be in either
/// base64 alphabet, padded or not. The unknown number of an enum is kept; an unknown name is
/// skipped, because an enum's field has no room for it.
///
/// # Errors
///
/// Fails if the text is not JSON, or not this message: a value of another type or out of range, a
/// duplicate field, two members of a oneof, or messages nested deeper than their binary form allows. The
/// error names the field. The limit is 100 messages, counting entries of maps, and 127 objects and lists
/// of JSON. The messages within a `google.protobuf.Any`, and all further ones in it, are counted again
/// from zero.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    // One UTF-8 check of the whole text is faster than serde_json's check of each string.
    match std::str::from_utf8(text) {
        Ok(text) => read_text(text),
        Err(error) => Err(serde::de::Error::custom(error)),
    }
}

/// Like [`read`], for text that is known to be UTF-8.
///
/// # Errors
///
/// Same as [`read`].
pub(crate) fn read_text<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}
