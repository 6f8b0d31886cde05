//! Reads one field of a message.
//!
//! The generated code calls one method for each kind of field; the codec of its values is a type parameter.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    any::{AnyOf, AnyTypes},
    codec::{Codec, Enum, Enumeration, NullValue, OrNull, Plain, Value},
    map::{Key, MapVisitor},
};

/// Reads the value of one field into its place.
///
/// In all forms of fields `null` leaves the field as it is.
#[derive(Debug)]
pub struct Reader<'a, A, C = Plain> {
    map: &'a mut A,
    codec: PhantomData<C>,
}

impl<'a, A> Reader<'a, A> {
    pub(super) const fn new(map: &'a mut A) -> Self {
        Self { map, codec: PhantomData }
    }

    /// Reads values of the enum `E`.
    #[must_use]
    pub fn named<E: Enumeration>(self) -> Reader<'a, A, Enum<E>> {
        Reader { map: self.map, codec: PhantomData }
    }

    /// Reads values of `google.protobuf.Any`, which may contain the types of `R`.
    #[must_use]
    pub fn any<R: AnyTypes>(self) -> Reader<'a, A, AnyOf<R>> {
        Reader { map: self.map, codec: PhantomData }
    }

    /// Reads values of `google.protobuf.NullValue`.
    #[must_use]
    pub fn null(self) -> Reader<'a, A, NullValue> {
        Reader { map: self.map, codec: PhantomData }
    }

    /// Skips the value.
    pub fn skip<'de>(self) -> Result<(), A::Error>
    where
        A: MapAccess<'de>,
    {
        self.map.next_value::<IgnoredAny>().map(|_| ())
    }
}

impl<A, C> Reader<'_, A, C> {
    /// Reads a field without presence.
    pub fn get<'de, T>(self, field: &mut T) -> Result<(), A::Error>
    where
        A: MapAccess<'de>,
        C: Codec<T>,
    {
        if let Some(value) = self.value()? {
            *field = value;
        }
        Ok(())
    }

    /// Reads a field with presence.
    pub fn get_optional<'de, T>(self, field: &mut Option<T>) -> Result<(), A::Error>
    where
        A: MapAccess<'de>,
        C: Codec<T>,
    {
        *field = self.value()?;
        Ok(())
    }

    /// Reads a member of a oneof.
    pub fn get_oneof<'de, T, O>(
        self,
        oneof: &mut Option<O>,
        member: fn(T) -> O,
    ) -> Result<(), A::Error>
    where
        A: MapAccess<'de>,
        C: Codec<T>,
    {
        if let Some(value) = self.value()? {
            // Members with `null` are absent, so only a second value is a contradiction.
            if oneof.is_some() {
                return Err(A::Error::custom("two members of the same oneof"));
            }
            *oneof = Some(member(value));
        }
        Ok(())
    }

    /// Reads a list.
    pub fn get_repeated<'de, T>(self, field: &mut Vec<T>) -> Result<(), A::Error>
    where
        A: MapAccess<'de>,
        C: Codec<T>,
    {
        if let Some(list) = self.map.next_value_seed(OrNull(ListVisitor::<C, T>::new()))? {
            *field = list;
        }
        Ok(())
    }

    /// Reads a map.
    pub fn get_map<'de, K, T>(self, field: &mut BTreeMap<K, T>) -> Result<(), A::Error>
    where
        A: MapAccess<'de>,
        K: Key,
        C: Codec<T>,
    {
        if let Some(map) = self.map.next_value_seed(OrNull(MapVisitor::<K, C, T>::new()))? {
            *field = map;
        }
        Ok(())
    }

    /// Reads one value. `null` is absent, except for types of which it is a value.
    fn value<'de, T>(self) -> Result<Option<T>, A::Error>
    where
        A: MapAccess<'de>,
        C: Codec<T>,
    {
        let value = Value::<C, T>::new();
        if C::NULL {
            self.map.next_value_seed(value)
        } else {
            self.map.next_value_seed(OrNull(value))
        }
    }
}

/// Reads a list.
pub(super) struct ListVisitor<C, T>(PhantomData<(C, T)>);

impl<C, T> ListVisitor<C, T> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T, C: Codec<T>> DeserializeSeed<'de> for ListVisitor<C, T> {
    type Value = Option<Vec<T>>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Option<Vec<T>>, D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de, T, C: Codec<T>> Visitor<'de> for ListVisitor<C, T> {
    type Value = Option<Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<Vec<T>>, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(Value::<C, T>::new())? {
            list.extend(value);
        }
        Ok(Some(list))
    }
}
