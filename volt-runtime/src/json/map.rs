//! Maps, whose keys are text in JSON regardless of their type in the `.proto`.
//!
//! A duplicate key is an error, although the binary form lets the last one win.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserializer, Serialize,
    de::{DeserializeSeed, Error, MapAccess, Unexpected, Visitor},
};

use super::{
    codec::{Codec, Value},
    depth, number,
};

/// A type that may be the key of a map. As in serde, keys are written as text.
pub trait Key: Ord + Serialize + Sized {
    /// Parses a key from its text.
    fn parse(text: &str) -> Option<Self>;
}

impl Key for String {
    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Key for bool {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

macro_rules! integer_keys {
    ($($integer:ident)*) => {$(
        impl Key for $integer {
            fn parse(text: &str) -> Option<Self> {
                Self::try_from(number::parse_integer(text)?).ok()
            }
        }
    )*};
}

integer_keys!(i32 u32 i64 u64);

/// Reads a map.
pub(super) struct MapVisitor<K, C, T>(PhantomData<(K, C, T)>);

impl<K, C, T> MapVisitor<K, C, T> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, K: Key, T, C: Codec<T>> DeserializeSeed<'de> for MapVisitor<K, C, T> {
    type Value = Option<BTreeMap<K, T>>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de, K: Key, T, C: Codec<T>> Visitor<'de> for MapVisitor<K, C, T> {
    type Value = Option<BTreeMap<K, T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Self::Value, A::Error> {
        // An entry is a message in the binary form.
        let _depth = depth::enter::<A::Error>()?;
        let mut map = BTreeMap::new();
        while let Some(key) = input.next_key_seed(KeyVisitor(PhantomData))? {
            // A value of `None` is the unknown name of an enum, which is skipped.
            let Some(value) = input.next_value_seed(Value::<C, T>::new())? else { continue };
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("a key of a map occurs twice"));
            }
        }
        Ok(Some(map))
    }
}

struct KeyVisitor<K>(PhantomData<K>);

impl<'de, K: Key> DeserializeSeed<'de> for KeyVisitor<K> {
    type Value = K;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<K, D::Error> {
        input.deserialize_str(self)
    }
}

impl<K: Key> Visitor<'_> for KeyVisitor<K> {
    type Value = K;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key of a map, as text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<K, E> {
        K::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}
