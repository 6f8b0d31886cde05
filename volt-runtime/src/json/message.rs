//! Whole messages.
//!
//! A message's table of fields is generated; the loop over the fields is here and compiled once. Fields are
//! found by index, so that duplicates are detected with a set of bits.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserializer, Serializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor},
    ser::SerializeMap,
};

use super::{
    Reader, Writer, depth,
    names::{self, Names},
    place, usual,
};

/// The JSON form of a generated message.
pub trait Fields: Default {
    /// The full name of the message.
    const MESSAGE: &'static str;
    /// The names of the fields, by index.
    const NAMES: &'static [&'static str];

    /// Returns the index, from 0, of the field with this name, in either spelling.
    fn index(name: &str) -> Option<usize>;

    /// Reads the value of a field.
    fn merge<'de, A: MapAccess<'de>>(
        &mut self,
        index: usize,
        input: Reader<'_, A>,
    ) -> Result<(), A::Error>;

    /// Writes all fields that are set.
    fn write<S: SerializeMap>(&self, output: &mut Writer<'_, S>) -> Result<(), S::Error>;
}

/// prost boxes messages that may contain themselves.
impl<M: Fields> Fields for Box<M> {
    const MESSAGE: &'static str = M::MESSAGE;
    const NAMES: &'static [&'static str] = M::NAMES;

    fn index(name: &str) -> Option<usize> {
        M::index(name)
    }

    fn merge<'de, A: MapAccess<'de>>(
        &mut self,
        index: usize,
        input: Reader<'_, A>,
    ) -> Result<(), A::Error> {
        M::merge(self, index, input)
    }

    fn write<S: SerializeMap>(&self, output: &mut Writer<'_, S>) -> Result<(), S::Error> {
        M::write(self, output)
    }
}

/// Writes a message.
pub fn serialize<M: Fields, S: Serializer>(message: &M, output: S) -> Result<S::Ok, S::Error> {
    if usual::is_usual() {
        return write(message, output, Names::Original);
    }
    let _depth = depth::enter_within_any::<S::Error>()?;
    write(message, output, names::current())
}

fn write<M: Fields, S: Serializer>(
    message: &M,
    output: S,
    names: Names,
) -> Result<S::Ok, S::Error> {
    let mut map = output.serialize_map(None)?;
    message.write(&mut Writer::new(&mut map, names))?;
    map.end()
}

/// Reads a message.
pub fn deserialize<'de, M, D>(input: D) -> Result<M, D::Error>
where
    M: Fields,
    D: Deserializer<'de>,
{
    input.deserialize_map(MessageVisitor(PhantomData))
}

/// Reads the fields of a message in the order of the input.
struct MessageVisitor<M>(PhantomData<M>);

impl<'de, M: Fields> Visitor<'de> for MessageVisitor<M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(M::MESSAGE)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let _depth = depth::enter::<A::Error>()?;
        // Fields that are absent keep their defaults.
        let mut message = M::default();
        let mut seen = Seen::default();
        while let Some(index) = next_field(&mut map, &mut seen, M::index, M::NAMES)? {
            Fields::merge(&mut message, index, Reader::new(&mut map))
                .map_err(|error| place::within(M::NAMES, index, &error))?;
        }
        Ok(message)
    }
}

/// Reads the next known field, rejecting duplicates. Compiled once for all messages.
fn next_field<'de, A: MapAccess<'de>>(
    map: &mut A,
    seen: &mut Seen,
    index: fn(&str) -> Option<usize>,
    names: &[&str],
) -> Result<Option<usize>, A::Error> {
    while let Some(index) = map.next_key_seed(Name(index))? {
        match index {
            // A newer peer may know more fields.
            None => {
                map.next_value::<IgnoredAny>()?;
            }
            Some(index) if seen.insert(index) => return Ok(Some(index)),
            Some(index) => return Err(place::twice(names, index)),
        }
    }
    Ok(None)
}

/// Reads the name of a field.
struct Name(fn(&str) -> Option<usize>);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Option<usize>, D::Error> {
        input.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0(name))
    }
}

/// The set of fields that have been read.
#[derive(Default)]
struct Seen {
    /// Fields 0 to 63: enough for nearly all messages.
    first: u64,
    rest: Vec<u64>,
}

impl Seen {
    /// Returns whether the field is new.
    fn insert(&mut self, index: usize) -> bool {
        let word = match (index / 64).checked_sub(1) {
            None => &mut self.first,
            Some(index) => {
                if index >= self.rest.len() {
                    self.rest.resize(index + 1, 0);
                }
                &mut self.rest[index]
            }
        };
        let bit = 1 << (index % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}
