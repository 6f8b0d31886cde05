//! The messages of `google.protobuf` with special JSON forms.
//!
//! Wrappers need no codec: they are bare values both in prost and in JSON.
//!
//! `Timestamp`, `Duration` and `FieldMask` are text; `Struct`, `Value` and `ListValue` are JSON itself.
//! The messages of descriptors and of `Api` have the usual form, with tables written by hand because
//! prost-types has the structs without them.

mod descriptor;
mod field_mask;
mod message;
mod structure;
mod time;
mod types;

use std::fmt;

use serde::{
    Deserializer, Serializer,
    de::{IgnoredAny, MapAccess, Visitor},
    ser::SerializeMap,
};

pub(super) use self::message::TYPES;
pub use self::message::{Empty, Named, WellKnown};
use super::codec::{Codec, Plain};
use crate::__fields as fields;

/// Implements the JSON form of enums by their names.
macro_rules! enumerations {
    ($($enumeration:ty;)*) => {$(
        impl $crate::json::codec::Enumeration for $enumeration {
            fn from_name(name: &str) -> Option<Self> {
                Self::from_str_name(name)
            }

            fn name(&self) -> &'static str {
                self.as_str_name()
            }
        }
    )*};
}
use enumerations;

/// Implements the codec of a type that is text in JSON.
macro_rules! text {
    ($type:ty, $format:path, $parse:path, $expected:literal) => {
        impl $crate::json::codec::Codec<$type> for $crate::json::codec::Plain {
            fn read<'de, D: ::serde::Deserializer<'de>>(
                input: D,
            ) -> Result<Option<$type>, D::Error> {
                $crate::json::well_known::read_text(input, $parse, $expected).map(Some)
            }

            fn write<S: ::serde::Serializer>(value: &$type, output: S) -> Result<S::Ok, S::Error> {
                match $format(value) {
                    Some(text) => output.serialize_str(&text),
                    None => Err(::serde::ser::Error::custom(concat!("not ", $expected))),
                }
            }
        }
    };
}
use text;

/// Reads a value from its text.
fn read_text<'de, T, D: Deserializer<'de>>(
    input: D,
    parse: fn(&str) -> Option<T>,
    expected: &'static str,
) -> Result<T, D::Error> {
    struct TextVisitor<T>(fn(&str) -> Option<T>, &'static str);

    impl<T> Visitor<'_> for TextVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.1)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            (self.0)(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }

    input.deserialize_str(TextVisitor(parse, expected))
}

/// `Empty`.
impl Codec<()> for Plain {
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<()>, D::Error> {
        struct EmptyVisitor;

        impl<'de> Visitor<'de> for EmptyVisitor {
            type Value = Option<()>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an empty message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<()>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Some(()))
            }
        }

        input.deserialize_map(EmptyVisitor)
    }

    fn write<S: Serializer>((): &(), output: S) -> Result<S::Ok, S::Error> {
        output.serialize_map(Some(0))?.end()
    }
}
