//! Serializes values as JSON text, directly into a buffer.
//!
//! It differs from `serde_json`'s serializer in two ways that its formatters do not support: text
//! can be escaped a second time while it is written, for the inside of a string, and bytes are
//! encoded as base64 in the buffer itself, without searching for characters to escape.
//!
//! Generated messages serialize only as maps, lists, text, bytes and numbers. The rest of serde's data
//! model is implemented for [`write`](super::write), which accepts any value.

use serde::{
    Serialize, Serializer,
    ser::{
        Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
        SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    },
};
use serde_json::Error;

use super::{base64, depth, scan};

/// The form in which text is written. On the websocket, a message is a JSON string inside another JSON
/// object; writing it escaped saves a second pass over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Unchanged.
    Plain,
    /// For the inside of a JSON string: quotes and backslashes are escaped.
    Escaped,
}

/// The number of bytes that an envelope and a cipher append to a message. Reserving them avoids
/// moving a large message.
const TAIL: usize = 64;

/// The destination and form of the text.
#[derive(Debug)]
pub(super) struct Output<'a> {
    out: &'a mut Vec<u8>,
    form: Form,
    /// The number of objects and lists that are open.
    open: u8,
}

impl<'a> Output<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, form: Form) -> Self {
        Self { out, form, open: 0 }
    }

    /// Writes text that needs no escape, and is the same in both forms.
    fn punctuation(&mut self, byte: u8) {
        self.out.push(byte);
    }

    /// Numbers are formatted by `serde_json`.
    fn number(&mut self, value: impl Serialize) -> Result<(), Error> {
        serde_json::to_writer(&mut *self.out, &value)
    }

    fn quote(&mut self) {
        if self.form == Form::Escaped {
            self.out.push(b'\\');
        }
        self.out.push(b'"');
    }

    fn string(&mut self, text: &str) {
        self.quote();
        self.text(text.as_bytes());
        self.quote();
    }

    fn text(&mut self, mut text: &[u8]) {
        loop {
            let (plain, rest) = text.split_at(scan::plain_len(text));
            self.out.extend_from_slice(plain);
            let Some((&byte, rest)) = rest.split_first() else {
                return;
            };
            self.escape(byte);
            text = rest;
        }
    }

    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        // The escape's own backslash is escaped too, and so is the character after it if necessary.
        if self.form == Form::Escaped {
            self.out.push(b'\\');
        }
        self.out.push(b'\\');
        let letter = match byte {
            b'"' | b'\\' => {
                if self.form == Form::Escaped {
                    self.out.push(b'\\');
                }
                byte
            }
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0C => b'f',
            b'\r' => b'r',
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                self.out.extend_from_slice(&[b'u', b'0', b'0', high]);
                low
            }
        };
        self.out.push(letter);
    }

    fn list(&mut self) -> Result<Compound<'_, 'a>, Error> {
        self.compound(b'[', b']')
    }

    fn object(&mut self) -> Result<Compound<'_, 'a>, Error> {
        self.compound(b'{', b'}')
    }

    /// Begins a list or an object. Text that is nested too deeply to be read is not written.
    fn compound(&mut self, open: u8, close: u8) -> Result<Compound<'_, 'a>, Error> {
        if self.open >= depth::JSON_LIMIT {
            return Err(Error::custom(depth::TOO_DEEP));
        }
        self.open += 1;
        self.punctuation(open);
        Ok(Compound { output: self, first: true, close, variant: false })
    }

    /// Begins an object whose only member is named after a variant.
    fn variant(&mut self, name: &str) {
        self.punctuation(b'{');
        self.string(name);
        self.punctuation(b':');
    }
}

macro_rules! numbers {
    ($($method:ident($number:ty))*) => {$(
        fn $method(self, value: $number) -> Result<(), Error> {
            self.number(value)
        }
    )*};
}

impl<'s, 'a> Serializer for &'s mut Output<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'s, 'a>;
    type SerializeTuple = Compound<'s, 'a>;
    type SerializeTupleStruct = Compound<'s, 'a>;
    type SerializeTupleVariant = Compound<'s, 'a>;
    type SerializeMap = Compound<'s, 'a>;
    type SerializeStruct = Compound<'s, 'a>;
    type SerializeStructVariant = Compound<'s, 'a>;

    /// Tells the codec of bytes not to encode them as text.
    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.out.reserve(base64::encoded_len(value) + TAIL);
        self.quote();
        base64::encode_into(value, self.out);
        self.quote();
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.string(value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.out.extend_from_slice(if value { &b"true"[..] } else { b"false" });
        Ok(())
    }

    numbers! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_f32(f32) serialize_f64(f64)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(variant);
        value.serialize(&mut *self)?;
        self.punctuation(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'s, 'a>, Error> {
        self.list()
    }

    fn serialize_tuple(self, _: usize) -> Result<Compound<'s, 'a>, Error> {
        self.list()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Compound<'s, 'a>, Error> {
        self.list()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'s, 'a>, Error> {
        self.variant(variant);
        Ok(Compound { variant: true, ..self.list()? })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'s, 'a>, Error> {
        self.object()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'s, 'a>, Error> {
        self.object()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'s, 'a>, Error> {
        self.variant(variant);
        Ok(Compound { variant: true, ..self.object()? })
    }
}

/// A list or an object being written.
#[derive(Debug)]
pub(super) struct Compound<'s, 'a> {
    output: &'s mut Output<'a>,
    first: bool,
    close: u8,
    /// Set if it is the value of a variant, whose object ends with it.
    variant: bool,
}

impl Compound<'_, '_> {
    fn comma(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.output.punctuation(b',');
        }
    }

    fn element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        self.comma();
        value.serialize(&mut *self.output)
    }

    fn member<T: ?Sized + Serialize>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        self.comma();
        self.output.string(name);
        self.output.punctuation(b':');
        value.serialize(&mut *self.output)
    }

    fn finish(self) {
        self.output.open -= 1;
        self.output.punctuation(self.close);
        if self.variant {
            self.output.punctuation(b'}');
        }
    }
}

macro_rules! lists {
    ($($list:ident :: $element:ident)*) => {$(
        impl $list for Compound<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn $element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

lists! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

macro_rules! structs {
    ($($object:ident)*) => {$(
        impl $object for Compound<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.member(name, value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

structs! { SerializeStruct SerializeStructVariant }

impl SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = Error;

    /// Keys are text; numbers and booleans are quoted.
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Error> {
        self.comma();
        let start = self.output.out.len();
        key.serialize(&mut *self.output)?;
        match self.output.out.get(start) {
            Some(b'"' | b'\\') => {}
            Some(b'{' | b'[') | None => return Err(Error::custom("a key must be text")),
            Some(_) => {
                let key = self.output.out.split_off(start);
                self.output.quote();
                self.output.out.extend_from_slice(&key);
                self.output.quote();
            }
        }
        self.output.punctuation(b':');
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.output)
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;

    /// Every shape in serde's data model.
    #[derive(Serialize)]
    struct Shapes {
        text: Vec<String>,
        letter: char,
        numbers: (i8, i16, i32, i64, u8, u16, u32, u64, f32, f64),
        nothing: (Option<u8>, (), Unit),
        some: Option<bool>,
        list: Vec<Enum>,
        by_name: BTreeMap<String, f64>,
        by_number: BTreeMap<i32, Pair>,
        by_truth: BTreeMap<bool, Newtype>,
        empty: (Vec<u8>, BTreeMap<String, u8>),
    }

    #[derive(Serialize)]
    struct Unit;
    #[derive(Serialize)]
    struct Newtype(String);
    #[derive(Serialize)]
    struct Pair(u8, String);
    #[derive(Serialize)]
    enum Enum {
        Unit,
        Newtype(u8),
        Tuple(u8, u8),
        Struct { a: u8, b: String },
    }

    fn shapes() -> Shapes {
        let mut text: Vec<String> =
            (0..=0x7F_u8).map(|byte| char::from(byte).to_string()).collect();
        // Tests each position within a chunk, and around its ends.
        text.extend((0..40).map(|place| format!("{}\"\u{1}é\\", "x".repeat(place))));
        text.push((0..=0x7F_u8).map(char::from).collect());
        text.push("Grüße, 世界 🌍, long enough for more than one chunk".to_owned());
        Shapes {
            text,
            letter: '"',
            numbers: (i8::MIN, -1, 0, i64::MIN, u8::MAX, 1, 2, u64::MAX, 0.1, -1.5e300),
            nothing: (None, (), Unit),
            some: Some(true),
            list: vec![
                Enum::Unit,
                Enum::Newtype(1),
                Enum::Tuple(1, 2),
                Enum::Struct { a: 1, b: "\n".to_owned() },
            ],
            by_name: BTreeMap::from([("a \"b\"".to_owned(), f64::NAN), (String::new(), 1.0)]),
            by_number: BTreeMap::from([
                (-1, Pair(1, "\\".to_owned())),
                (2, Pair(3, String::new())),
            ]),
            by_truth: BTreeMap::from([(true, Newtype("\t".to_owned()))]),
            empty: (Vec::new(), BTreeMap::new()),
        }
    }

    #[test]
    fn text_equals_serde_json_and_escaped_text_its_inside() {
        let (mut plain, mut escaped) = (Vec::new(), Vec::new());
        shapes().serialize(&mut Output::new(&mut plain, Form::Plain)).unwrap();
        shapes().serialize(&mut Output::new(&mut escaped, Form::Escaped)).unwrap();
        let expected = serde_json::to_string(&shapes()).unwrap();
        assert_eq!(String::from_utf8(plain).unwrap(), expected);
        let quoted = serde_json::to_string(&expected).unwrap();
        assert_eq!(String::from_utf8(escaped).unwrap(), quoted[1..quoted.len() - 1]);
    }

    #[test]
    fn keys_that_are_not_text_are_errors() {
        for form in [Form::Plain, Form::Escaped] {
            let map = BTreeMap::from([(vec![1], 1)]);
            assert!(map.serialize(&mut Output::new(&mut Vec::new(), form)).is_err());
        }
    }
}
