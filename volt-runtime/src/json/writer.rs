//! Writes the fields of a message.
//!
//! The mirror of `reader.rs`: one method for each kind of field, and the codec as a type parameter.
//! Defaults are left out, because published clients test fields by their presence.

use std::{collections::BTreeMap, marker::PhantomData};

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    any::{AnyOf, AnyTypes},
    codec::{Codec, Encode, Enum, Enumeration, NullValue, Plain},
    depth,
    map::Key,
    names::{Name, Names},
    place,
};

/// A message being written, to which fields are added.
#[derive(Debug)]
pub struct Writer<'a, S, C = Plain> {
    map: &'a mut S,
    names: Names,
    codec: PhantomData<C>,
}

impl<'a, S> Writer<'a, S> {
    pub(super) const fn new(map: &'a mut S, names: Names) -> Self {
        Self { map, names, codec: PhantomData }
    }

    /// Writes values of the enum `E`.
    pub fn named<E: Enumeration>(&mut self) -> Writer<'_, S, Enum<E>> {
        Writer { map: self.map, names: self.names, codec: PhantomData }
    }

    /// Writes values of `google.protobuf.Any`, which may contain the types of `R`.
    pub fn any<R: AnyTypes>(&mut self) -> Writer<'_, S, AnyOf<R>> {
        Writer { map: self.map, names: self.names, codec: PhantomData }
    }

    /// Writes values of `google.protobuf.NullValue`.
    pub fn null(&mut self) -> Writer<'_, S, NullValue> {
        Writer { map: self.map, names: self.names, codec: PhantomData }
    }
}

impl<S: SerializeMap, C> Writer<'_, S, C> {
    /// Writes a field without presence, unless it has its default.
    pub fn put<T>(&mut self, name: Name, value: &T) -> Result<(), S::Error>
    where
        C: Codec<T>,
    {
        if C::is_default(value) { Ok(()) } else { self.put_member(name, value) }
    }

    /// Writes a field with presence.
    pub fn put_optional<T>(&mut self, name: Name, value: &Option<T>) -> Result<(), S::Error>
    where
        C: Codec<T>,
    {
        match value {
            Some(value) => self.put_member(name, value),
            None => Ok(()),
        }
    }

    /// Writes a value unconditionally, such as the member of a oneof.
    pub fn put_member<T>(&mut self, name: Name, value: &T) -> Result<(), S::Error>
    where
        C: Codec<T>,
    {
        self.entry(name, &Encode::<C, T>::new(value))
    }

    /// Writes a list, unless it is empty.
    pub fn put_repeated<T>(&mut self, name: Name, list: &[T]) -> Result<(), S::Error>
    where
        C: Codec<T>,
    {
        // An empty list and an absent one are the same message.
        if list.is_empty() {
            return Ok(());
        }
        self.entry(name, &List::<C, T>(list, PhantomData))
    }

    /// Writes a map, unless it is empty.
    pub fn put_map<K, T>(&mut self, name: Name, map: &BTreeMap<K, T>) -> Result<(), S::Error>
    where
        K: Key,
        C: Codec<T>,
    {
        if map.is_empty() {
            return Ok(());
        }
        self.entry(name, &Map::<K, C, T>(map, PhantomData))
    }
}

impl<S: SerializeMap, C> Writer<'_, S, C> {
    /// Writes a member. Errors name the field.
    #[inline]
    fn entry(&mut self, name: Name, value: &impl Serialize) -> Result<(), S::Error> {
        let name = match self.names {
            Names::Original => name.original,
            Names::LowerCamel => name.camel,
        };
        let written = self.map.serialize_entry(name, value);
        written.map_err(|error| place::writing(name, &error))
    }
}

/// A list to be written with the codec of its items.
pub(super) struct List<'a, C, T>(pub(super) &'a [T], pub(super) PhantomData<C>);

impl<T, C: Codec<T>> Serialize for List<'_, C, T> {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_seq(self.0.iter().map(Encode::<C, T>::new))
    }
}

/// A map to be written with the codec of its values.
pub(super) struct Map<'a, K, C, T>(pub(super) &'a BTreeMap<K, T>, pub(super) PhantomData<C>);

impl<K: Key, T, C: Codec<T>> Serialize for Map<'_, K, C, T> {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        let _depth = depth::enter_within_any::<S::Error>()?;
        output.collect_map(self.0.iter().map(|(key, value)| (key, Encode::<C, T>::new(value))))
    }
}
