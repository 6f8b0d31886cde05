//! The JSON form of each protobuf type's values.
//!
//! Most Rust types have one JSON form ([`Plain`]). The exception is `i32`, which may also be an enum
//! ([`Enum`]) or protobuf's `NullValue` ([`NullValue`]). The codec is therefore a type beside the value's.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, Visitor},
};

use super::{
    base64,
    message::{self, Fields},
    number::{self, FloatVisitor, not_finite, read_integer},
};

/// The JSON form of one protobuf type, whose values are `T` in Rust.
pub trait Codec<T> {
    /// Set if `null` is a value rather than the absence of one.
    const NULL: bool = false;

    /// Reads a value. `None` means that it is skipped, as if absent.
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<T>, D::Error>;

    /// Writes a value.
    fn write<S: Serializer>(value: &T, output: S) -> Result<S::Ok, S::Error>;

    /// Returns whether a field without presence omits the value.
    fn is_default(value: &T) -> bool {
        let _ = value;
        false
    }
}

/// The codec of all types whose Rust type determines their JSON form.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

/// The codec of an enum, whose values are plain numbers in Rust.
#[derive(Clone, Copy, Debug)]
pub struct Enum<E>(PhantomData<E>);

/// The codec of `google.protobuf.NullValue`.
#[derive(Clone, Copy, Debug)]
pub struct NullValue;

/// A generated enum.
pub trait Enumeration: Sized + TryFrom<i32> + Into<i32> {
    /// Returns the value with this name, including aliases.
    fn from_name(name: &str) -> Option<Self>;

    /// Returns the name in the `.proto`; the first, if there are several.
    fn name(&self) -> &'static str;
}

impl<E: Enumeration> Codec<i32> for Enum<E> {
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<i32>, D::Error> {
        input.deserialize_any(EnumVisitor(|name| E::from_name(name).map(Into::into)))
    }

    fn write<S: Serializer>(value: &i32, output: S) -> Result<S::Ok, S::Error> {
        match E::try_from(*value) {
            Ok(known) => output.serialize_str(known.name()),
            Err(_) => output.serialize_i32(*value),
        }
    }

    fn is_default(value: &i32) -> bool {
        *value == 0
    }
}

/// Returns the number of an enum's value, as stored in a field.
pub fn enum_number(value: impl Into<i32>) -> i32 {
    value.into()
}

/// Looks up an enum's names. Compiled once for all enums.
struct EnumVisitor(fn(&str) -> Option<i32>);

impl Visitor<'_> for EnumVisitor {
    type Value = Option<i32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name or the number of an enum's value")
    }

    fn visit_i64<R: Error>(self, value: i64) -> Result<Option<i32>, R> {
        number::visited_integer(value).map(Some)
    }

    fn visit_u64<R: Error>(self, value: u64) -> Result<Option<i32>, R> {
        number::visited_integer(value).map(Some)
    }

    fn visit_f64<R: Error>(self, value: f64) -> Result<Option<i32>, R> {
        number::visited_integer(value).map(Some)
    }

    fn visit_str<R: Error>(self, name: &str) -> Result<Option<i32>, R> {
        Ok(self.0(name))
    }
}

macro_rules! integers {
    ($($integer:ident $write:ident $expected:literal;)*) => {$(
        impl Codec<$integer> for Plain {
            fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<$integer>, D::Error> {
                read_integer(input, $expected).map(Some)
            }

            fn write<S: Serializer>(value: &$integer, output: S) -> Result<S::Ok, S::Error> {
                $write(output, *value)
            }

            fn is_default(value: &$integer) -> bool {
                *value == 0
            }
        }
    )*};
}

integers! {
    i32 serialize_i32 "an int32";
    u32 serialize_u32 "a uint32";
    i64 serialize_text "an int64";
    u64 serialize_text "a uint64";
}

fn serialize_i32<S: Serializer>(output: S, value: i32) -> Result<S::Ok, S::Error> {
    output.serialize_i32(value)
}

fn serialize_u32<S: Serializer>(output: S, value: u32) -> Result<S::Ok, S::Error> {
    output.serialize_u32(value)
}

/// Written as text, because many JSON readers parse numbers as floats.
fn serialize_text<S: Serializer>(output: S, value: impl itoa::Integer) -> Result<S::Ok, S::Error> {
    output.serialize_str(itoa::Buffer::new().format(value))
}

impl Codec<f64> for Plain {
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<f64>, D::Error> {
        input.deserialize_any(FloatVisitor).map(Some)
    }

    fn write<S: Serializer>(value: &f64, output: S) -> Result<S::Ok, S::Error> {
        match not_finite(*value) {
            Some(name) => output.serialize_str(name),
            None => output.serialize_f64(*value),
        }
    }

    fn is_default(value: &f64) -> bool {
        // Only positive zero is the default.
        value.to_bits() == 0
    }
}

impl Codec<f32> for Plain {
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<f32>, D::Error> {
        let wide = input.deserialize_any(FloatVisitor)?;
        #[expect(clippy::cast_possible_truncation, reason = "losses are checked below")]
        let value = wide as f32;
        if value.is_infinite() && wide.is_finite() {
            return Err(D::Error::custom(format_args!("{wide} is out of range for a float")));
        }
        Ok(Some(value))
    }

    fn write<S: Serializer>(value: &f32, output: S) -> Result<S::Ok, S::Error> {
        match not_finite((*value).into()) {
            Some(name) => output.serialize_str(name),
            None => output.serialize_f32(*value),
        }
    }

    fn is_default(value: &f32) -> bool {
        value.to_bits() == 0
    }
}

impl Codec<bool> for Plain {
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<bool>, D::Error> {
        bool::deserialize(input).map(Some)
    }

    fn write<S: Serializer>(value: &bool, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_bool(*value)
    }

    fn is_default(value: &bool) -> bool {
        !value
    }
}

impl Codec<String> for Plain {
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
        String::deserialize(input).map(Some)
    }

    fn write<S: Serializer>(value: &String, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(value)
    }

    fn is_default(value: &String) -> bool {
        value.is_empty()
    }
}

impl Codec<Vec<u8>> for Plain {
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Vec<u8>>, D::Error> {
        input.deserialize_str(BytesVisitor).map(Some)
    }

    fn write<S: Serializer>(value: &Vec<u8>, output: S) -> Result<S::Ok, S::Error> {
        if output.is_human_readable() {
            output.serialize_str(&base64::encode(value))
        } else {
            // Ours: see `Output`.
            output.serialize_bytes(value)
        }
    }

    fn is_default(value: &Vec<u8>) -> bool {
        value.is_empty()
    }
}

/// Reads base64 in any of its forms.
struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes as base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        base64::decode(text).map_err(|error| E::custom(format_args!("not base64: {error}")))
    }
}

impl<M: Fields> Codec<M> for Plain {
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<M>, D::Error> {
        message::deserialize(input).map(Some)
    }

    fn write<S: Serializer>(value: &M, output: S) -> Result<S::Ok, S::Error> {
        message::serialize(value, output)
    }
}

/// Reads a required value: in lists, maps, and below [`OrNull`].
pub(super) struct Value<C, T>(PhantomData<(C, T)>);

impl<C, T> Value<C, T> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T, C: Codec<T>> DeserializeSeed<'de> for Value<C, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Option<T>, D::Error> {
        C::read(input)
    }
}

/// Reads a value with `seed`, or `null` as `None`.
pub(super) struct OrNull<Seed>(pub(super) Seed);

impl<'de, T, Seed> DeserializeSeed<'de> for OrNull<Seed>
where
    Seed: DeserializeSeed<'de, Value = Option<T>>,
{
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Option<T>, D::Error> {
        input.deserialize_option(self)
    }
}

impl<'de, T, Seed> Visitor<'de> for OrNull<Seed>
where
    Seed: DeserializeSeed<'de, Value = Option<T>>,
{
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Option<T>, D::Error> {
        self.0.deserialize(input)
    }
}

/// A value to be written.
pub(super) struct Encode<'a, C, T>(&'a T, PhantomData<C>);

impl<'a, C, T> Encode<'a, C, T> {
    pub(super) const fn new(value: &'a T) -> Self {
        Self(value, PhantomData)
    }
}

impl<T, C: Codec<T>> Serialize for Encode<'_, C, T> {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        C::write(self.0, output)
    }
}
